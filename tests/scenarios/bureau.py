"""One Frontdesk on a local Slack, a local Discord and the chat page at once: customers on each, staff where a test wants them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn

from bot.bootstrap import Frontdesk
from bot.bootstrap_discord import discord_of
from bot.bootstrap_handoffs import handoff_watch
from bot.bootstrap_slack import slack_of
from bot.live import Line, LiveAdapter, Watch
from bot.settings import Discord, Settings
from bot.slack.http import PATH
from bot.staffing import Staff
from bot.web.app import Surroundings, build
from core.dialogue.engine import Engine
from core.handoff import State
from core.members import EVERYWHERE
from core.serving.extractive import ExtractiveGenerator
from core.staff.handoff_watch import HandoffWatch
from core.storage.database import Database
from core.storage.handoff_book import SqlHandoffBook
from tests.bot.counter import AsksForPerson, Shelf, Writer
from tests.bot.discord import office as in_discord
from tests.bot.slack import office as in_slack
from tests.servers import discord_state
from tests.servers.chat import QuietServer, listening
from tests.servers.discord import DiscordPlatform, pointed_at
from tests.servers.discord_state import Message
from tests.servers.slack import SlackPlatform
from tests.servers.slack_state import Channel, User

ANN, BOB, CAT = "U0ANN", "U0BOB", "U0CAT"  # a customer and two of staff in Slack
DAN, EVE = discord_state.ANN, discord_state.BOB  # a customer and one of staff in Discord


@dataclass
class Bureau:
    """What a test looks at."""

    slack: SlackPlatform
    discord: DiscordPlatform
    graph: Frontdesk
    discord_parts: Any
    page: httpx.AsyncClient

    async def quiet(self) -> None:
        """Wait until all is heard, every message has its turn and everything is out."""
        async with asyncio.timeout(30):
            await self._office().heard()
            while (backlog := await self.graph.inbox.backlog()).waiting or backlog.undelivered:  # noqa: ASYNC110  # the database rings no bell
                await asyncio.sleep(0.02)
            await self.discord_parts.live.idle()

    def watch(self, patience: float = 1e-9) -> HandoffWatch:
        """What sees to customers whom nobody takes, with as little patience as a test wants."""
        watch = handoff_watch(self.graph.settings, self.graph.database, self.graph.ring)
        watch._patience = patience
        return watch

    def in_thread_of_slack(self) -> list[str]:
        """What the bot said in the thread of the last hand-off in Slack's channel of staff, without the packet."""
        begins = self.packet_in_slack().ts
        return [
            in_slack.said(one) for one in self.slack.thread(in_slack.STAFF_ROOM, begins) if one.user == in_slack.BOT and one.ts != begins
        ]

    def packet_in_slack(self) -> Any:
        """The message that begins the last thread."""
        return [one for one in self.slack.by_bot(in_slack.STAFF_ROOM) if one.thread_ts in (None, one.ts)][-1]

    def packet_in_discord(self) -> Message:
        """The message that begins the last thread."""
        return self.discord.by_bot(in_discord.STAFF_ROOM)[-1]

    def in_thread_of_discord(self) -> list[str]:
        """What the bot said in the thread of the last hand-off in Discord's channel of staff."""
        thread = self.packet_in_discord().id
        return [one.content for one in self.discord.by_bot(thread)] if thread in self.discord.channels else []

    async def press_in_discord(self, user: int, act: str) -> Any:
        """Press a button of the last packet."""
        packet = self.packet_in_discord()
        offered = [one["custom_id"] for row in packet.components for one in row["components"]]
        return await self.discord.press(user, packet, next(one for one in offered if one.startswith(f"fd:{act}:")))

    async def press_in_slack(self, user: str, act: str) -> None:
        """Press a button of the last packet."""
        await self.slack.press(user, in_slack.STAFF_ROOM, self.packet_in_slack().ts, act)

    async def say_on_page(self, text: str, conversation_id: str | None = None) -> dict[str, Any]:
        """A visitor says something; the reply."""
        answer = await self.page.post("/api/chat", json={"message": text, "conversation_id": conversation_id})
        lines = [line for line in answer.text.replace("\r", "").split("\n\n") if line.startswith("event: reply")]
        return dict(httpx.Response(200, text=lines[0].split("data: ", 1)[1]).json())

    async def updates_on_page(self, conversation_id: str, after: int = 0) -> list[dict[str, Any]]:
        """What a visitor is told besides."""
        asked = {"conversation_id": conversation_id, "after": after}
        return list((await self.page.get("/api/updates", params=asked)).json()["updates"])

    async def until(self, state: State) -> None:
        """Wait until the last hand-off is in a state, and everybody has been told."""
        book = SqlHandoffBook(self.graph.database)
        async with asyncio.timeout(20):
            while [one.state for one in await book.page(EVERYWHERE, 1, closed=not state.is_open)] != [state]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # a press rings no bell when it is done
        await self.quiet()

    def _office(self) -> in_discord.Office:
        return in_discord.Office(self.discord, self.graph, self.discord_parts, Writer(), Shelf())


@asynccontextmanager
async def bureau(database: Database, staff_in: str, couriers: int = 1, **more: Any) -> AsyncIterator[Bureau]:
    """Serve all three until the block ends; `staff_in` is the platform of staff, or empty; `more` are settings about staff."""
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(SlackPlatform(echo_own=True, ack_seconds=30.0))
        discord = await stack.enter_async_context(DiscordPlatform())
        slack.channels[in_slack.STAFF_ROOM] = Channel(in_slack.STAFF_ROOM, "staff", members={BOB, CAT, in_slack.BOT})
        slack.users[CAT] = User(CAT, "cat")
        in_discord.staff_room(discord)
        graph = Frontdesk(_settings(slack, discord, staff_in, more), database, lambda said: None)
        engine = Engine(Shelf(), AsksForPerson(), Writer(), ExtractiveGenerator(), contact="help@shop.example")  # type: ignore[arg-type]
        stack.enter_context(pointed_at(discord))
        slack_parts = await stack.enter_async_context(slack_of(graph, Shelf()))  # type: ignore[arg-type]
        discord_parts = await stack.enter_async_context(discord_of(graph, Shelf(), 0.05, 0.0))  # type: ignore[arg-type]
        page = LiveAdapter("web")
        adapters = {"slack": slack_parts.adapter, "discord": discord_parts.adapter, "web": page}
        url = await stack.enter_async_context(_served(slack, graph, slack_parts, page))
        running = [graph.worker(engine, adapters).run(), discord_parts.gateway.run()]  # type: ignore[arg-type]
        running += [graph.courier(adapters).run() for _ in range(couriers)]  # type: ignore[arg-type]
        tasks = [asyncio.create_task(one) for one in running]
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30))
        try:
            async with asyncio.timeout(20):
                await discord_parts.client.wait_until_ready()
            yield Bureau(slack, discord, graph, discord_parts, client)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def _settings(slack: SlackPlatform, discord: DiscordPlatform, staff_in: str, more: dict[str, Any]) -> Settings:
    of_slack = {"staff": f"{BOB},{CAT}", "oncall_group": "S0CALL", "staff_channel": in_slack.STAFF_ROOM if staff_in == "slack" else ""}
    of_discord = {"staff": str(EVE), "staff_channel": str(in_discord.STAFF_ROOM) if staff_in == "discord" else ""}
    of_discord |= {"oncall_role": str(discord_state.STAFF)}
    return Settings(
        slack=in_slack.slack_settings(slack, **of_slack),
        discord=Discord(bot_token=discord.token, message_content=True, **of_discord),
        staff=Staff(**more),
        contact="help@shop.example",
    )


@asynccontextmanager
async def _served(slack: SlackPlatform, graph: Frontdesk, parts: Any, adapter: LiveAdapter) -> AsyncIterator[str]:
    async def health() -> dict[str, str]:
        return {}

    async def metrics() -> bytes:
        return await graph.metrics.exposition(graph.inbox.backlog)

    listener = listening(0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    slack.events_url = f"{url}{PATH}"
    watch = Watch(graph.updates, adapter, seconds=2.0)
    shelf, line = Shelf(), Line(graph.dispatch, graph.inbox, adapter)
    page = Surroundings(line, graph.conversation_log, shelf.passage, shelf.titles, lambda: "writer", watch.updates)
    web = QuietServer(uvicorn.Config(build(page, health, metrics, {PATH: parts.endpoint}), log_config=None, lifespan="off"))
    task = asyncio.create_task(web.serve([listener]))
    try:
        yield url
    finally:
        web.should_exit = True
        await task
