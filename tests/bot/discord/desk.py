"""What can be pressed, on the local Discord: the real client, worker and courier on SQLite, and the smallest way in and out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import discord

from bot.bootstrap import Frontdesk
from bot.discord.buttons import Buttons, as_option, view_for
from bot.discord.interactions import DIRECT, PLATFORM, Desk
from bot.discord.messages import alert, draft, render
from bot.discord.private import PRIVATE, answer_privately
from bot.discord.slash import Slash, add_commands, sync
from bot.discord.tags import Tags, is_post, keep_in_step
from bot.discord.windows import Windows
from bot.settings import Settings
from core.dialogue.engine import Engine
from core.domain import Action, Actor, Address, Cue, InboundMessage
from core.ports import Delivery
from core.serving.extractive import ExtractiveGenerator
from core.staff.actions import Actions
from core.staff.commands import Commands
from core.staff.rights import Person, Rule, Verdict, is_staff
from core.storage.audit import SqlAuditLog
from core.storage.channels import SqlChannels
from core.storage.correction_store import SqlCorrectionStore
from core.storage.database import Database
from core.storage.drafts import SqlDrafts
from core.storage.feedback import SqlFeedbackLog
from core.storage.inbox import SqlInbox
from core.storage.tables import turns
from core.storage.turn_book import SqlTurnBook
from core.storage.vault import SqlVault
from tests.bot.slack.office import AsksForPerson, Shelf, Writer
from tests.servers.discord import DiscordPlatform
from tests.servers.discord_client import Bot
from tests.servers.discord_state import ANN, GUILD, HELP, STAFF, TEXT, Channel, Message

STAFF_ROOM = GUILD + 100
KEY = b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@dataclass(frozen=True)
class Roles:
    """Whoever has the role Staff is staff and admin of the guild."""

    rule: Rule = Rule(frozenset({str(GUILD)}), admin_groups=frozenset({str(STAFF)}), staff_groups=frozenset({str(STAFF)}))

    async def is_staff(self, guild: str, member: discord.abc.User) -> Verdict:
        return is_staff((await self.person_and_rule(guild, member))[0], self.rule)

    async def person_and_rule(self, guild: str, member: discord.abc.User) -> tuple[Person, Rule]:
        roles = frozenset(str(role.id) for role in member.roles) if isinstance(member, discord.Member) else None
        return Person(str(member.id), None if guild == DIRECT else guild, False, False, member.bot, roles), self.rule


@dataclass
class Adapter:
    """`ChatAdapter` without a care for faults; drafts and alerts go to the staff's channel."""

    client: Bot
    vault: SqlVault
    book: SqlTurnBook
    platform: str = PLATFORM

    async def send(self, delivery: Delivery) -> str:
        if delivery.action is Action.REPLY and delivery.address.thread_id.startswith(PRIVATE):
            return await answer_privately(self.client, self.vault, delivery, ())
        to_staff = delivery.action in (Action.DRAFT, Action.ALERT)
        channel = self.client.text(STAFF_ROOM if to_staff else int(delivery.address.thread_id))
        *first, last = await self._texts(delivery)
        for text in first:
            await channel.send(text)
        post = self.client.get_channel(int(delivery.address.thread_id)) if not to_staff else None
        said = await channel.send(last, **as_option(view_for(delivery, in_forum=is_post(post))))
        if isinstance(post, discord.Thread) and is_post(post):
            await keep_in_step(post, delivery, Tags())
        return f"{said.channel.id}/{said.id}"

    async def _texts(self, delivery: Delivery) -> tuple[str, ...]:
        turn = await self.book.turn(delivery.turn_id)
        question = turn.question if turn else ""
        match delivery.action:
            case Action.DRAFT:
                return draft(delivery, question)
            case Action.ALERT:
                return (alert(delivery, question),)
        return render(delivery)

    async def find(self, delivery: Delivery) -> str | None:
        return None

    async def preview(self, message: InboundMessage, attempt: str, text: str | Cue) -> None: ...


class Graph(Frontdesk):
    """Tells staff of Discord who waits for a person."""

    @cached_property
    def inbox(self) -> SqlInbox:
        return SqlInbox(self.database, alerts={PLATFORM})


@dataclass
class Counter:
    """What a test looks at."""

    discord: DiscordPlatform
    graph: Frontdesk
    client: Bot
    vault: SqlVault

    async def ask(self, text: str, channel: int = HELP, thread: int | None = None, user: int = ANN, **more: Any) -> list[Message]:
        """Somebody asks, in a channel or a thread of it; return what the bot says there, when nothing waits any more."""
        place = self.discord.channels[channel]
        address = Address(PLATFORM, str(place.guild or DIRECT), str(channel), str(thread or channel))
        number = self.discord.snowflake()
        await self.graph.dispatch.accept(InboundMessage(str(number), address, Actor(str(user)), text, order_key=f"{number:020}", **more))
        await self.quiet()
        return self.discord.by_bot(thread or channel)

    async def quiet(self) -> None:
        """Wait until every message has its turn and every reply is out."""
        async with asyncio.timeout(20):
            while (backlog := await self.graph.inbox.backlog()).waiting or backlog.undelivered:  # noqa: ASYNC110  # the database rings no bell
                await asyncio.sleep(0.02)

    async def turn_ids(self) -> list[str]:
        return [turn["turn_id"] for turn in await self.turns()]

    async def turns(self) -> list[dict[str, Any]]:
        """Every turn that was logged, oldest first."""
        async with self.graph.database.read() as connection:
            rows = (await connection.execute(turns.select().order_by(turns.c.answered_at))).mappings().all()
        return [dict(row) for row in rows]

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
async def counter(database: Database, server: DiscordPlatform) -> AsyncIterator[Counter]:
    """Serve the local Discord until the block ends."""
    server.channels.setdefault(STAFF_ROOM, Channel(STAFF_ROOM, TEXT, "staff", GUILD))
    graph, shelf, writer = Graph(Settings(), database, lambda said: None), Shelf(), Writer()
    engine = Engine(shelf, AsksForPerson(), writer, ExtractiveGenerator())  # type: ignore[arg-type]
    book, vault, audit, channels = SqlTurnBook(database), SqlVault(database, [KEY]), SqlAuditLog(database), SqlChannels(database)
    log, feedback, drafts, corrections = graph.conversation_log, SqlFeedbackLog(database), SqlDrafts(database), SqlCorrectionStore(database)
    actions = Actions(graph.dispatch.accept, book, feedback, drafts, log, audit, corrections)
    desk: Desk = Desk(graph.dispatch, actions, book, Roles(), vault, shelf.passage)
    windows = Windows(desk)
    slash = Slash(desk, graph.privacy_desk, lambda rules: Commands(rules, audit, channels, graph.knowledge_store, graph.inbox.backlog), 30)

    async def prepare(client: Bot) -> None:
        client.add_dynamic_items(*Buttons(desk).items())
        add_commands(client.tree, slash, windows, GUILD)
        await sync(client.tree, vault)
        await sync(client.tree, vault, GUILD)

        @client.event
        async def on_interaction(interaction: discord.Interaction[Any]) -> None:
            await windows.submitted(interaction)

    async with Bot(prepare=prepare).running(server.token) as client:
        adapters = {PLATFORM: Adapter(client, vault, book)}
        tasks = [asyncio.create_task(one) for one in (graph.worker(engine, adapters).run(), graph.courier(adapters).run())]  # type: ignore[arg-type]
        try:
            yield Counter(server, graph, client, vault)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
