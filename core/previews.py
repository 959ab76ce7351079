"""What a platform shows while an answer is written, so that exactly one message stays of it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from core.domain import Address


class Preview(NamedTuple):
    """A preview that was begun; without a reference nobody knows whether it was posted, so look for it under its attempt."""

    attempt: str
    reference: str | None
    leaving: bool = False  # somebody has begun to take it away


class Previews(Protocol):
    """The preview of each conversation, and the one place where it is decided whether a reply replaces it or it is taken away."""

    async def begin(self, address: Address, attempt: str) -> bool:
        """Record the intent before anything is posted.

        False: show nothing. The attempt is over, an earlier attempt left a preview for the reply to replace, or an earlier reply is
        still on its way and would take this preview for its own.
        """
        ...

    async def shown(self, address: Address, reference: str) -> bool:
        """Record where it is shown. False: it has ended meanwhile, so it must be taken away unless it has become the reply."""
        ...

    async def of(self, address: Address) -> Preview | None:
        """Return the preview of a conversation, None when there is none."""
        ...

    async def leave(self, address: Address) -> bool:
        """Decide that it is taken away. False: there is none, or a reply is on its way and takes its place."""
        ...

    async def missing(self, address: Address) -> str | None:
        """Forget one that was looked for in vain; where it is shown if that has become known meanwhile."""
        ...

    async def end(self, address: Address) -> None:
        """Forget it: it was taken away. The one that became a reply is forgotten when the outbox records that reply as sent."""
        ...
