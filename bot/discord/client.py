"""The connection to Discord's gateway: it asks for as little as it can, keeps as little as it can, and says why it ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import aiohttp
import discord
from discord import app_commands

from bot.discord.backfill import Backfill
from bot.discord.lanes import Lanes
from bot.discord.receiver import Receiver, guild_of
from bot.discord.rest import FAILURES, Rest
from bot.discord.sessions import Sessions
from core.delivery.crew import backoff
from core.errors import DeliveryError, SettingsError, StorageError

logger = logging.getLogger(__name__)

MAX_KEPT_MESSAGES = 500  # only to tell an edit from the preview of a link
DRAIN_SECONDS = 5.0
_AWAY = (discord.GatewayNotFound, discord.HTTPException, discord.RateLimited, aiohttp.ClientError, TimeoutError, OSError)
_FIRST_DELAY, _LONGEST_DELAY = 1.0, 60.0
_ENDS = {
    4004: "Discord refuses the bot token: copy it again from the page Bot of your application into discord.bot_token.",
    4013: "Discord does not know the intents that were asked for: update discord.py.",
    4014: "Discord does not grant the intents that were asked for: switch Message Content Intent on (page Bot of your application), "
    "or set discord.message_content to false.",
}


class Shards(NamedTuple):
    """The part of all guilds that a process listens to."""

    ids: list[int] | None = None
    of: int | None = None


ALL_SHARDS = Shards()  # of as many as Discord advises


def shards_of(asked: str) -> Shards:
    """Return the shards of the setting, such as `0-3/16`; empty: all of them. Raises `SettingsError`."""
    if not asked:
        return ALL_SHARDS
    those, _, count = asked.partition("/")
    first, _, last = those.partition("-")
    ids = list(range(int(first), int(last or first) + 1))
    if not ids or ids[-1] >= int(count):
        raise SettingsError(f"discord.shards is {asked!r}: of {count} shards the first is 0 and the last {int(count) - 1}.")
    return Shards(ids, int(count))


class FrontdeskClient(discord.AutoShardedClient):
    """discord.py's client, with its events told to a `Gateway`."""

    def __init__(self, message_content: bool, shards: Shards = ALL_SHARDS, ready_seconds: float = 2.0) -> None:
        """`ready_seconds` without another guild end the beginning."""
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # nobody speaks here
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=message_content)
        super().__init__(
            intents=intents,
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=MAX_KEPT_MESSAGES,
            max_ratelimit_timeout=None,  # it would refuse calls of which many are left, if the window is long
            guild_ready_timeout=ready_seconds,
            shard_ids=shards.ids,  # type: ignore[arg-type]  # None is the default of the library
            shard_count=shards.of,
        )
        self.sessions: Sessions | None = None
        self.tree = app_commands.CommandTree(self)
        self.submitted: Callable[[discord.Interaction[Any]], Awaitable[None]] | None = None  # for windows; commands have their tree
        self.gateway: Gateway | None = None

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait for the turn of this process."""
        if self.sessions:
            await self.sessions.wait_for_turn()

    async def on_shard_connect(self, shard_id: int) -> None:
        """Follow a new session."""
        if self.gateway:
            self.gateway.backfill.missed(shard_id)

    async def on_shard_ready(self, shard_id: int) -> None:
        """Follow a new session that knows its guilds."""
        if self.gateway:
            await self.gateway.backfill.fill(shard_id)

    async def on_message(self, message: discord.Message) -> None:
        """Follow a message."""
        if self.gateway:
            self.gateway.in_order(guild_of(message), partial(self.gateway.receiver.said, message))

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Follow a window that was sent."""
        if self.submitted:
            await self.submitted(interaction)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """Follow an edit, and updates that are none."""
        if self.gateway:
            self.gateway.in_order(payload.guild_id, partial(self.gateway.receiver.changed, payload.message, payload.cached_message))

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """Follow a deletion."""
        self._removed(payload.guild_id, payload.channel_id, [payload.message_id])

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """Follow many deletions."""
        self._removed(payload.guild_id, payload.channel_id, payload.message_ids)

    async def on_error(self, event_method: str, /, *args: object, **kwargs: object) -> None:
        """Log what failed, without what people wrote."""
        logger.exception("an event of Discord could not be followed: %s", event_method)

    def _removed(self, guild_id: int | None, channel_id: int, message_ids: Iterable[int]) -> None:
        if self.gateway:
            self.gateway.in_order(guild_id, partial(self.gateway.receiver.removed, guild_id, channel_id, message_ids))


class Gateway:
    """The way in: connected until it is told to stop."""

    def __init__(self, client: FrontdeskClient, rest: Rest, receiver: Receiver, backfill: Backfill, lanes: Lanes) -> None:
        self._client = client
        self._rest = rest
        self._lanes = lanes
        self.receiver = receiver
        self.backfill = backfill
        backfill.hear = receiver.said
        self.announce: Callable[[], Awaitable[None]] | None = None  # tells Discord which commands there are

    @property
    def problem(self) -> str:
        """What keeps events from coming in, empty when all is well."""
        if self._client.sessions and self._client.sessions.problem:
            return self._client.sessions.problem
        shards: Sequence[discord.ShardInfo] = tuple(self._client.shards.values())
        return "" if shards and not any(shard.is_closed() for shard in shards) else "no connection to the gateway: see the log."

    def in_order(self, guild_id: int | None, follow: Callable[[], None]) -> None:
        """Follow an event after what its shard has missed; direct messages come on shard 0."""
        self.backfill.in_order((guild_id >> 22) % (self._client.shard_count or 1) if guild_id else 0, follow)

    async def run(self) -> None:
        """Listen until cancelled, then store what was heard. Raises `SettingsError` when Discord will never let the bot in."""
        self._client.gateway = self
        writing = asyncio.create_task(self.backfill.run())
        try:
            await self._log_in()
            await self._announce()
            await self._listen()
        finally:
            # Replies still go out: only the gateway is left, calls go on until the client is closed.
            await asyncio.gather(*(shard.disconnect() for shard in self._client.shards.values()), return_exceptions=True)
            self._client.gateway = None
            await self._lanes.aclose(DRAIN_SECONDS)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _log_in(self) -> None:
        attempts = 0
        while True:
            try:
                await self._rest.open()
                return
            except DeliveryError as error:
                attempts += 1
                logger.warning("%s", error)
                await asyncio.sleep(backoff(attempts, _FIRST_DELAY, _LONGEST_DELAY))

    async def _announce(self) -> None:
        """Tell Discord of the commands; what goes wrong leaves those that it knows, and the next start tries again."""
        try:
            if self.announce:
                await self.announce()
        except (*FAILURES, StorageError) as error:
            logger.error("Discord was not told of the commands: %s", error)

    async def _listen(self) -> None:
        attempts = 0
        while True:
            try:
                await self._client.connect()
                raise SettingsError("Discord has ended the connection for good: see the log.")
            except (discord.PrivilegedIntentsRequired, discord.ConnectionClosed) as error:
                code = 4014 if isinstance(error, discord.PrivilegedIntentsRequired) else error.code
                raise SettingsError(_ENDS.get(code, f"Discord has ended the connection with {code}: see the log.")) from error
            except _AWAY as error:
                attempts += 1
                logger.warning("Discord's gateway is out of reach, attempt %d: %r", attempts, error)
                await asyncio.sleep(backoff(attempts, _FIRST_DELAY, _LONGEST_DELAY))
