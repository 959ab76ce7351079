"""Reads what was said while nobody listened: the gateway tells it again only to a session that lives on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import aiohttp
import discord

from bot.discord.events import PLATFORM, PRIVATE, snowflake_at
from core.delivery.crew import backoff
from core.domain import utc_now
from core.errors import StorageError
from core.positions import Position, Positions

logger = logging.getLogger(__name__)

MAX_AGE = timedelta(minutes=30)  # an answer that comes later surprises more than it helps
MAX_MESSAGES = 100  # of a channel
MAX_DIRECT = 100  # private conversations: Discord tells no bot which it has, so the last ones are asked
WRITE_SECONDS = 2.0
FIRST_DELAY, LONGEST_DELAY = 1.0, 60.0
_MAX_CHANNELS = 50_000
_MAX_HELD = 10_000  # events; of a flood beyond it some are dealt with before what was missed

Readable = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.Thread | discord.PartialMessageable


@dataclass
class _Heard:
    """What of a channel has been dealt with since its position was last written."""

    workspace_id: str
    last: int = 0
    under_way: set[int] = field(default_factory=set)

    @property
    def position(self) -> int:
        """The last message before which nothing is under way."""
        return min(self.last, min(self.under_way) - 1) if self.under_way else self.last


class Backfill:
    """Keeps how far each channel was heard, and reads what came after."""

    def __init__(self, client: discord.AutoShardedClient, positions: Positions) -> None:
        self._client = client
        self._positions = positions
        self._heard: dict[int, _Heard] = {}
        self._gaps: set[int] = {-1}  # shards that have perhaps missed something; before the first of them is ready, everything
        self._held: list[tuple[int, Callable[[], None]]] = []  # by shard, in the order in which they came
        self.hear: Callable[[discord.Message], None] = lambda message: None

    def began(self, channel_id: int, message_id: int, guild_id: int | None) -> None:
        """Note that a message is being dealt with."""
        heard = self._heard.setdefault(channel_id, _Heard(str(guild_id) if guild_id is not None else PRIVATE))
        heard.under_way.add(message_id)

    def done(self, channel_id: int, message_id: int) -> None:
        """Note that it need never be read again."""
        heard = self._heard.get(channel_id)
        if heard is not None:  # else it came twice, live and read, and is written down already
            heard.under_way.discard(message_id)
            heard.last = max(heard.last, message_id)

    def missed(self, shard_id: int) -> None:
        """Note that a shard has a new session: until `fill` has read what was missed, no position moves past it."""
        self._gaps.add(shard_id)

    def in_order(self, shard_id: int, follow: Callable[[], None]) -> None:
        """Follow an event of a shard: now, or after what the shard has missed, for that was said before."""
        if self._gaps & {shard_id, -1} and len(self._held) < _MAX_HELD:
            self._held.append((shard_id, follow))
        else:
            follow()

    async def fill(self, shard_id: int) -> None:
        """Read what a shard has missed, as often as it takes; twice does no harm, because the inbox knows every message."""
        attempts = 0
        while not self._client.is_closed():
            try:
                await self._fill(shard_id)
                self._gaps -= {shard_id, -1}
                self._let_go()
                return
            except (StorageError, discord.DiscordException, aiohttp.ClientError, TimeoutError, OSError) as error:
                attempts += 1
                logger.warning("what was said on Discord meanwhile cannot be read yet, attempt %d: %r", attempts, error)
                await asyncio.sleep(backoff(attempts, FIRST_DELAY, LONGEST_DELAY))

    async def run(self) -> None:
        """Write positions until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(WRITE_SECONDS)
                await self.write()
        finally:
            await self.write()

    async def write(self) -> None:
        """Write down how far each channel was heard; later, while something is still to be read or the database is away."""
        if self._gaps:
            return
        now = {channel_id: Position(heard.workspace_id, heard.position) for channel_id, heard in self._heard.items() if heard.position > 0}
        with suppress(StorageError):
            await self._positions.advance(PLATFORM, {str(channel_id): position for channel_id, position in now.items()})
            for channel_id, position in now.items():
                if not self._heard[channel_id].under_way and self._heard[channel_id].last == position.message_id:
                    del self._heard[channel_id]

    def _let_go(self) -> None:
        held, self._held = self._held, []
        for shard_id, follow in held:
            self.in_order(shard_id, follow)

    async def _fill(self, shard_id: int) -> None:
        known = await self._positions.all(PLATFORM, _MAX_CHANNELS)
        if not known:
            return  # the first start: what was said before is none of the bot's business
        oldest = snowflake_at(utc_now() - MAX_AGE)
        for channel in self._channels(shard_id, known):
            position = known.get(str(channel.id))
            after = max(oldest, position.message_id if position else 0)
            last = getattr(channel, "last_message_id", None)
            if isinstance(channel, discord.PartialMessageable) or (last is not None and last > after):
                await self._read(channel, after)

    def _channels(self, shard_id: int, known: Mapping[str, Position]) -> Iterator[Readable]:
        for guild in self._client.guilds:
            if guild.shard_id == shard_id:
                yield from guild.text_channels
                yield from guild.voice_channels
                yield from guild.stage_channels
                yield from guild.threads
        if shard_id == 0:
            direct = [channel_id for channel_id, position in known.items() if position.workspace_id == PRIVATE]
            yield from (self._client.get_partial_messageable(int(channel_id)) for channel_id in direct[:MAX_DIRECT])

    async def _read(self, channel: Readable, after: int) -> None:
        count = 0
        try:
            async for message in channel.history(limit=MAX_MESSAGES, after=discord.Object(after), oldest_first=True):
                count += 1
                self.hear(message)
        except (discord.Forbidden, discord.NotFound):
            logger.info("channel %s cannot be read: what was said there meanwhile is not known", channel.id)
        if count == MAX_MESSAGES:
            logger.warning("more than %d messages were missed in channel %s: the later ones are not read", MAX_MESSAGES, channel.id)
        elif count:
            logger.info("%d messages of channel %s are read that were said meanwhile", count, channel.id)
