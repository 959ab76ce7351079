"""What a platform shows while an answer is written, so that exactly one message stays of it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from core.domain import Address


class Preview(NamedTuple):
    """A preview that was begun; without a reference nobody knows whether it was posted, so look for it under its attempt."""

    attempt: str
    reference: str | None


class Previews(Protocol):
    """The preview of each conversation. Ask for what an earlier attempt left before beginning anew."""

    async def begin(self, address: Address, attempt: str) -> bool:
        """Record the intent before anything is posted; what an earlier attempt is known to show keeps its reference.

        False: show nothing. The attempt is over, or an earlier reply is still on its way and would take this preview for its own.
        """
        ...

    async def shown(self, address: Address, reference: str) -> bool:
        """Record where it is shown. False: it has ended meanwhile, so it must be taken away."""
        ...

    async def of(self, address: Address) -> Preview | None:
        """Return the preview of a conversation, None when there is none."""
        ...

    async def end(self, address: Address) -> None:
        """Forget it: it was taken away. The one that became a reply is forgotten when the outbox records that reply as sent."""
        ...
