"""How far a platform has been heard, channel by channel, for platforms that do not send again what was missed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Position(NamedTuple):
    """The last message of a channel that was dealt with; what came after it may have been missed."""

    workspace_id: str
    message_id: int  # ids of later messages are higher


class Positions(Protocol):
    """The position of each channel, thread and private conversation."""

    async def all(self, platform: str, limit: int) -> Mapping[str, Position]:
        """Return the positions by channel, of the `limit` channels that spoke last."""
        ...

    async def advance(self, platform: str, by_channel: Mapping[str, Position]) -> None:
        """Record positions; one that another process has recorded further on stays."""
        ...
