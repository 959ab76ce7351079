"""What Discord tells: every message goes to the inbox, or is none of our business; what cannot be stored now is tried again."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from functools import partial

import discord

from bot.discord.adapter import DiscordAdapter
from bot.discord.backfill import Backfill
from bot.discord.events import PRIVATE, Place, deleted, edited, heard, is_said
from bot.discord.lanes import Lanes
from bot.discord.people import People
from bot.discord.places import Places
from bot.discord.rooms import Rooms
from bot.dispatch import Dispatch
from bot.door import Door
from bot.staff_threads import Author
from core.errors import DeliveryError

logger = logging.getLogger(__name__)

_MAX_EDITS_KEPT = 1000


class Receiver:
    """The one way in for messages from Discord, heard or read later. Each channel is dealt with in order."""

    def __init__(
        self,
        dispatch: Dispatch,
        door: Door,
        people: People,
        places: Places,
        rooms: Rooms,
        adapter: DiscordAdapter,
        backfill: Backfill,
        lanes: Lanes,
    ) -> None:
        self._dispatch = dispatch
        self._door = door
        self._people = people
        self._places = places
        self._rooms = rooms
        self._adapter = adapter
        self._backfill = backfill
        self._lanes = lanes
        self._edits: OrderedDict[int, datetime | None] = OrderedDict()

    def said(self, message: discord.Message) -> None:
        """Take a message; returns at once."""
        self._backfill.began(message.channel.id, message.id, guild_of(message))
        task = self._lanes.follow(message.channel.id, partial(self._hear, message))
        if task is not None:
            task.add_done_callback(partial(self._dealt_with, message))

    def changed(self, message: discord.Message, before: discord.Message | None) -> None:
        """Take an edit; an update that is none, as a preview of a link, changes nothing. Returns at once."""
        if before is not None and before.content == message.content:
            return
        if message.id in self._edits and self._edits[message.id] == message.edited_at:
            return
        self._edits[message.id] = message.edited_at
        while len(self._edits) > _MAX_EDITS_KEPT:
            self._edits.popitem(last=False)
        self._lanes.follow(message.channel.id, partial(self._change, message))

    def removed(self, guild_id: int | None, channel_id: int, message_ids: Iterable[int]) -> None:
        """Take a deletion. Returns at once."""
        for message_id in message_ids:
            self._lanes.follow(channel_id, partial(self._remove, guild_id, channel_id, message_id))

    async def _hear(self, message: discord.Message) -> None:
        guild_id = guild_of(message)
        me = self._places.me(guild_id)
        if is_said(message, me):
            place = await self._places.place(guild_id, message.channel.id)
            await self._let_in(message, place)

    def _dealt_with(self, message: discord.Message, task: asyncio.Task[None]) -> None:
        """It is stored or passed over; only what was given up at the end is read again by the next process."""
        if not task.cancelled():
            self._backfill.done(message.channel.id, message.id)

    async def _let_in(self, message: discord.Message, place: Place) -> None:
        found = heard(message, place, self._places.me(place.guild_id))
        if found is None:
            return
        address = found.message.address
        self._rooms.note(address.thread_id, exists=place.is_direct or place.thread_id is not None)
        if await self._door.hear(found, Author(partial(self._is_staff, message, place), partial(_name_of, message))):
            await self._withdraw(place, message.id)  # staff have answered: what is shown of another answer goes
            await self._adapter.took_over(found.message)

    async def _is_staff(self, message: discord.Message, place: Place) -> bool:
        guild = str(place.guild_id) if place.guild_id is not None else PRIVATE
        return (await self._people.is_staff(guild, message.author)).allowed

    async def _change(self, message: discord.Message) -> None:
        guild_id = guild_of(message)
        me = self._places.me(guild_id)
        if is_said(message, me):
            now = edited(message, await self._places.place(guild_id, message.channel.id), me)
            if now is not None:
                await self._dispatch.accept(now)

    async def _remove(self, guild_id: int | None, channel_id: int, message_id: int) -> None:
        place = await self._places.place(guild_id, channel_id)
        if await self._dispatch.accept(deleted(message_id, place)):
            await self._withdraw(place, message_id)

    async def _withdraw(self, place: Place, message_id: int) -> None:
        try:
            await self._adapter.withdraw(place.address(message_id))
        except DeliveryError as error:
            logger.info("what was shown of an answer stays: %s", error)


async def _name_of(message: discord.Message) -> str:
    """Return how the author of a message calls themselves."""
    return message.author.display_name


def guild_of(message: discord.Message) -> int | None:
    """Return the guild of a message, None for a direct one."""
    if message.guild is not None:
        return message.guild.id
    return getattr(message.channel, "guild_id", None)
