"""Signing in elsewhere: what a provider is asked and says, and the state that ties both to one browser."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Protocol

from core.errors import FrontdeskError
from core.members import Identity
from core.sessions import Tickets, digest, new_token

LASTS = timedelta(minutes=10)
CALLBACK = "/sign-in/callback"
_PURPOSE = "state"


class ProviderError(FrontdeskError):
    """A provider did not answer, or said what it should not; the message is for the log."""


class Claimed(NamedTuple):
    """Whom a provider has identified."""

    identity: Identity
    email: str  # verified by the provider


class Challenge(NamedTuple):
    """What only this sign-in knows."""

    state: str  # comes back in the address
    nonce: str  # comes back inside the signed token
    verifier: str  # of PKCE: proves that the code is for us
    next: str = "/"


class Provider(Protocol):
    """Knows people, and says who somebody is."""

    name: str  # as people know it
    issuer: str

    async def address(self, redirect_uri: str, challenge: Challenge) -> str:
        """Return where to send a browser. Raises `ProviderError`."""
        ...

    async def claimed(self, redirect_uri: str, challenge: Challenge, code: str) -> Claimed:
        """Return whom a code stands for. Raises `ProviderError` for whatever is not as it must be."""
        ...


@dataclass(frozen=True, slots=True)
class Challenges:
    """Sign-ins that are under way, each bound to the browser that began it and good for one return."""

    tickets: Tickets

    async def begin(self, next: str) -> tuple[Challenge, str]:
        """Return a new challenge, and what only the browser holds."""
        challenge, browser = Challenge(new_token(), new_token(), new_token(), next), new_token()
        await self.tickets.issue(digest(challenge.state), _PURPOSE, json.dumps([digest(browser), *challenge]), LASTS)
        return challenge, browser

    async def redeem(self, state: str, browser: str) -> Challenge | None:
        """Return the challenge of a state, once, to the browser that began it."""
        kept = await self.tickets.take(digest(state), _PURPOSE)
        if kept is None or not browser:
            return None
        holder, *challenge = json.loads(kept)
        return Challenge(*challenge) if holder == digest(browser) else None
