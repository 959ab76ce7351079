"""What can be pressed and typed: an office in which whoever has the role Staff is staff and admin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bot.discord.client import FrontdeskClient
from bot.discord.interactions import DIRECT, PLATFORM
from bot.secrets import vault_keys
from core.domain import Actor, Address, InboundMessage
from core.storage.audit import SqlAuditLog
from core.storage.database import Database
from core.storage.vault import SqlVault
from tests.bot.discord.office import STAFF_ROOM, Office, office, staff_room
from tests.servers.discord import DiscordPlatform
from tests.servers.discord_state import ANN, GUILD, HELP, STAFF, Message

__all__ = ["STAFF_ROOM", "Counter", "buttons_of", "counter"]


@dataclass
class Counter(Office):
    """An office whose customers need not be heard first."""

    @property
    def client(self) -> FrontdeskClient:
        return self.parts.client

    @property
    def vault(self) -> SqlVault:
        return SqlVault(self.graph.database, vault_keys(self.graph.settings))

    async def take(self, text: str, channel: int = HELP, thread: int | None = None, user: int = ANN, **more: object) -> list[Message]:
        """Somebody asks, in a channel or a thread of it; return what the bot says there, when nothing waits any more."""
        place = self.discord.channels[channel]
        address = Address(PLATFORM, str(place.guild or DIRECT), str(channel), str(thread or channel))
        number = self.discord.snowflake()
        message = InboundMessage(str(number), address, Actor(str(user)), text, order_key=f"{number:020}", **more)  # type: ignore[arg-type]
        await self.graph.dispatch.accept(message)
        await self.quiet()
        return self.discord.by_bot(thread or channel)

    async def turn_ids(self) -> list[str]:
        return [turn["turn_id"] for turn in await self.turns()]

    async def audited(self) -> list[tuple[str, str, str]]:
        """Who did what, and what came of it, oldest first."""
        entries = await SqlAuditLog(self.graph.database).entries(100)
        return [(entry.actor, entry.action, entry.result) for entry in reversed(entries)]

    async def told(self, count: int = 1) -> str:
        """The last thing that was said to one person alone, when so many were."""
        await self.discord.until(lambda: len([one for one in self.discord.ephemerals if one.content]) >= count)
        return [one for one in self.discord.ephemerals if one.content][-1].content


def buttons_of(message: Message) -> list[str]:
    """The acts of the buttons under a message."""
    return [one["custom_id"].split(":")[1] for row in message.components for one in row["components"]]


@asynccontextmanager
async def counter(database: Database, server: DiscordPlatform, gate: asyncio.Event | None = None) -> AsyncIterator[Counter]:
    """Serve the local Discord until the block ends."""
    if STAFF_ROOM not in server.channels:
        staff_room(server)
    rights = {"staff_role": str(STAFF), "admin_role": str(STAFF), "home_guild": str(GUILD), "staff_channel": str(STAFF_ROOM)}
    async with office(database, server, gate, **rights) as opened:
        yield Counter(opened.discord, opened.graph, opened.parts, opened.writer, opened.shelf)
