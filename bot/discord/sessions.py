"""New sessions of the gateway: as slowly as Discord asks, whichever process begins them, and none when the day's are nearly used up."""

from __future__ import annotations

import asyncio
import logging

from bot.discord.rest import Rest
from core.errors import DeliveryError, StorageError
from core.slots import Slots

logger = logging.getLogger(__name__)

SECONDS_APART = 5.0  # between two sessions of a bot
RESERVE = 50  # of the 1,000 and more sessions of a day; whoever uses up all of them has the bot's token reset by Discord
PAUSE_SECONDS = 30.0  # the library gives up a connection that waits for a minute, and makes another one
MANY = 200  # sessions in a day; a bot that is well begins some ten
_NAME = "discord-session"


class Sessions:
    """The way to a new session."""

    def __init__(self, rest: Rest, slots: Slots, seconds_apart: float = SECONDS_APART) -> None:
        self._rest = rest
        self._slots = slots
        self._seconds_apart = seconds_apart
        self.problem = ""

    async def wait_for_turn(self) -> None:
        """Return when a session may be begun; the library takes no error here for anything but the end."""
        while await self._are_few_left():  # noqa: ASYNC110  # Discord tells nobody when there are more
            await asyncio.sleep(PAUSE_SECONDS)
        await asyncio.sleep(await self._next_slot())

    async def _are_few_left(self) -> bool:
        try:
            limit = (await self._rest.session_starts())["session_start_limit"]
        except DeliveryError as error:
            logger.warning("how many sessions of the gateway are left today is not known: %s", error)
            return False
        left, hours = limit["remaining"], limit["reset_after"] / 3_600_000
        if limit["total"] - left >= MANY:
            logger.error(_MANY, left, hours)
        self.problem = _FEW_LEFT.format(left=left, hours=hours) if left <= RESERVE else ""
        if self.problem:
            logger.error("Discord: %s", self.problem)
        return bool(self.problem)

    async def _next_slot(self) -> float:
        """Seconds to wait; a database that is away must not keep the bot from coming back, then each process waits for itself."""
        try:
            return await self._slots.take(_NAME, self._seconds_apart)
        except StorageError as error:
            logger.warning("sessions of other processes are not known: %s", error)
            return self._seconds_apart


_FEW_LEFT = (
    "only {left} sessions of the gateway are left for the next {hours:.1f} h, so none is begun and nothing comes in. Something restarts "
    "the bot or breaks its connection all the time: look for it in the log, and stop other programs that use this token."
)
_MANY = (
    "The bot begins session after session on Discord, which lets it begin %d more in the next %.1f h and then resets its token. Is it "
    "restarted again and again, or does something else use its token?"
)
