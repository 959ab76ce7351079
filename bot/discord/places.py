"""Where a message is: which channel or forum a thread belongs to."""

from __future__ import annotations

from collections import OrderedDict

import discord

from bot.discord.events import Me, Place
from bot.discord.rest import Rest

_THREADS = (10, 11, 12)  # kinds of channels that are threads
_FORUMS = (15, 16)
_MAX_KEPT = 10_000


class Places:
    """Looks places up in what the gateway has told, and asks Discord where it has not."""

    def __init__(self, client: discord.Client, rest: Rest) -> None:
        self._client = client
        self._rest = rest
        self._asked: OrderedDict[int, Place] = OrderedDict()

    def me(self, guild_id: int | None) -> Me:
        """Return who the bot is in a guild."""
        user = self._client.user
        guild = self._client.get_guild(guild_id) if guild_id is not None else None
        role = guild.self_role if guild is not None else None
        return Me(user.id if user is not None else 0, frozenset({role.id} if role is not None else ()))

    async def place(self, guild_id: int | None, channel_id: int) -> Place:
        """Return where a channel or thread is. Raises a `DeliveryError`."""
        if guild_id is None:
            return Place(None, channel_id)
        guild = self._client.get_guild(guild_id)
        channel = guild.get_channel_or_thread(channel_id) if guild is not None else None
        if isinstance(channel, discord.Thread):
            if channel.parent is not None:
                return Place(guild_id, channel.parent_id, channel_id, isinstance(channel.parent, discord.ForumChannel))
        elif channel is not None:
            return Place(guild_id, channel_id)
        return await self._ask(guild_id, channel_id)

    async def _ask(self, guild_id: int, channel_id: int) -> Place:
        """Ask for a thread that the gateway has not told of: its first message may come before it."""
        if channel_id not in self._asked:
            found = await self._rest.channel(str(channel_id))
            place = Place(guild_id, channel_id)
            if found["type"] in _THREADS:
                parent = await self._rest.channel(found["parent_id"])
                place = Place(guild_id, int(parent["id"]), channel_id, parent["type"] in _FORUMS)
            self._asked[channel_id] = place
            while len(self._asked) > _MAX_KEPT:
                self._asked.popitem(last=False)
        return self._asked[channel_id]
