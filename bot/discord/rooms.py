"""Where the messages of a conversation stand: in its thread, made of the question; in a direct message; or in the channel itself."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from bot.discord.rest import HAS_THREAD, UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, DiscordRefusedError, Rest
from core.domain import Address
from core.text import clean

logger = logging.getLogger(__name__)

THREADLESS_SECONDS = 60.0  # so long a channel where no thread could be made is not asked again
_MAX_KNOWN = 10_000
_MAX_NAME = 90  # Discord takes 100 characters
_UNNAMED = "Support"


class Room(NamedTuple):
    """A channel to post in, and what to answer there."""

    channel_id: str
    reply_to: str = ""  # the question, in a channel where the bot may make no threads


class Rooms:
    """Finds and makes threads."""

    def __init__(self, rest: Rest, clock: Callable[[], float] = monotonic) -> None:
        self._rest = rest
        self._clock = clock
        self._known: OrderedDict[str, bool] = OrderedDict()  # whether a thread exists, as far as this process has seen
        self._threadless: dict[str, float] = {}  # channels, and until when

    def note(self, thread_id: str, exists: bool = True) -> None:
        """Remember whether a thread exists, so that Discord need not be asked."""
        self._known[thread_id] = exists
        self._known.move_to_end(thread_id)
        while len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    async def find(self, address: Address) -> Room:
        """Return where a conversation is now; its channel while it has no thread. Raises a `DeliveryError`."""
        if address.channel_id == address.thread_id:
            return Room(address.channel_id)
        exists = self._known.get(address.thread_id)
        if exists is not None:
            return Room(address.thread_id) if exists else Room(address.channel_id, address.thread_id)
        try:
            await self._rest.channel(address.thread_id)
        except DiscordRefusedError as error:
            if error.code != UNKNOWN_CHANNEL:
                raise
            return Room(address.channel_id, address.thread_id)
        self.note(address.thread_id)
        return Room(address.thread_id)

    async def open(self, address: Address, name: str) -> Room:
        """Return where to post, in a new thread of this name if there is none. Raises a `DeliveryError`."""
        room = await self.find(address)
        if not room.reply_to or self._threadless.get(address.channel_id, 0.0) > self._clock():
            return room
        try:
            await self._rest.start_thread(address.channel_id, address.thread_id, _shortened(name))
        except DiscordRefusedError as error:
            if error.code == UNKNOWN_MESSAGE:
                raise  # the question is gone, and with it whoever waited for an answer
            if error.code != HAS_THREAD:
                logger.info("no thread can be made in channel %s (%s), replies stand in it", address.channel_id, error)
                self._avoid(address.channel_id)
                return room
        self.note(address.thread_id)
        return Room(address.thread_id)

    def forget(self, address: Address) -> None:
        """Look again before the next message: the thread is perhaps gone."""
        self._known.pop(address.thread_id, None)

    def _avoid(self, channel_id: str) -> None:
        if len(self._threadless) >= _MAX_KNOWN:
            self._threadless.clear()
        self._threadless[channel_id] = self._clock() + THREADLESS_SECONDS


def _shortened(name: str) -> str:
    words = " ".join(clean(name).split())
    return (words if len(words) <= _MAX_NAME else words[: _MAX_NAME - 1].rstrip() + "…") or _UNNAMED
