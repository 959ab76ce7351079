"""How members come in and stay in: sessions, tickets that are good for once, attempts; the ports they are kept through.

Whatever a browser or a link holds is random, 256 bits, and kept as its SHA-256 only: who reads the database can sign in as nobody.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Protocol

from core.members import Member

LASTS = timedelta(hours=8)  # of a session, however busy
IDLE = timedelta(minutes=30)  # of a session that nobody uses
LINK_LASTS = timedelta(minutes=15)


def new_token() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


class Sessions(Protocol):
    """Who is signed in, by the digest of what their browser holds."""

    async def begin(self, session: str, member_id: str) -> None:
        """Keep a new session."""
        ...

    async def member(self, session: str) -> Member | None:
        """Return whose session it is, with the role they have now, and count it as used; None when it is over or they were removed."""
        ...

    async def look(self, session: str) -> Member | None:
        """Return the same as `member`, and count nothing."""
        ...

    async def end(self, session: str) -> None:
        """End a session."""
        ...

    async def end_all(self, member_id: str) -> None:
        """End every session of a member."""
        ...


class Tickets(Protocol):
    """What is good for once and not for long, by the digest of a token: sign-in links, states of a sign-in elsewhere."""

    async def issue(self, ticket: str, purpose: str, payload: str, lasts: timedelta) -> None:
        """Keep a ticket."""
        ...

    async def look(self, ticket: str, purpose: str) -> str | None:
        """Return the payload of a ticket that is good, which it stays."""
        ...

    async def take(self, ticket: str, purpose: str) -> str | None:
        """Return the payload of a ticket that is good, to one caller only."""
        ...


class Attempts(Protocol):
    """How often something was tried, in all processes."""

    async def allow(self, key: str, limit: int, window: timedelta) -> bool:
        """Count one more try of `key`, unless there were `limit` within `window`; then nothing is counted and it is False."""
        ...
