"""Processes of the kill test on Discord: one that answers, and one that listens at the gateway."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosqlite  # noqa: F401  # these are imported when they are first needed: in every process that is forked, unless it was done before
import asyncpg  # noqa: F401
import discord  # noqa: F401
import sqlalchemy.dialects.postgresql.asyncpg
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401

from bot.bootstrap import Frontdesk
from bot.bootstrap_discord import discord_of
from bot.discord import adapter as adapter_module
from bot.discord import live
from bot.discord.adapter import DiscordAdapter
from bot.discord.parts import DiscordParts
from bot.settings import Settings
from core.delivery import courier, worker
from core.delivery.courier import Courier
from core.delivery.crew import Bell
from core.delivery.worker import Worker
from core.ports import ChatAdapter, Delivery
from core.storage.database import Database
from tests.bench.delivery_worker import LEASE_SECONDS, Echo
from tests.bench.slack_worker import Aloud, NoArticles, multiply
from tests.servers.discord import pointed_at


class Forgetful:
    """`ChatAdapter` of Discord that neither looks whether the first attempt arrived nor names what it sends."""

    platform = DiscordAdapter.platform

    def __init__(self, adapter: DiscordAdapter) -> None:
        self.send, self.preview = adapter.send, adapter.preview
        adapter_module.nonce_of = lambda *_: uuid.uuid4().hex[:25]  # in this process alone

    async def find(self, delivery: Delivery) -> str | None:
        return None


def work(database_url: str, settings: Settings, url: str, previews: bool, broken: str) -> None:
    """Answer until killed."""
    asyncio.run(_work(database_url, settings, url, previews, broken))


def listen(database_url: str, settings: Settings, url: str) -> None:
    """Take what the gateway tells until killed."""
    asyncio.run(_listen(database_url, settings, url))


def serve(database_url: str, settings: Settings, url: str) -> None:
    """Do both in one process, in which a model keeps a thread busy."""
    threading.Thread(target=multiply, daemon=True).start()
    asyncio.run(_serve(database_url, settings, url))


async def _work(database_url: str, settings: Settings, url: str, previews: bool, broken: str) -> None:
    worker_terms = worker.Terms(lease=LEASE_SECONDS, renew=LEASE_SECONDS / 4, max_attempts=1000, at_once=8)
    courier_terms = courier.Terms(lease=LEASE_SECONDS, call=LEASE_SECONDS / 3, max_attempts=1000, at_once=8, longest_delay=1)
    accepted, finished = Bell(), Bell()
    async with _discord(database_url, settings, url) as (graph, parts), asyncio.TaskGroup() as tasks:
        adapter: ChatAdapter = Forgetful(parts.adapter) if broken == "nonce" else parts.adapter
        dialogue = Aloud() if previews else Echo()
        live.FIRST_SECONDS = 0.0  # its answers are quicker than any that would be shown
        answering = Worker(graph.inbox, graph.conversation_log, dialogue, adapter.preview, accepted, finished, worker_terms)
        tasks.create_task(answering.run())
        tasks.create_task(Courier(graph.outbox, {adapter.platform: adapter}, finished, courier_terms).run())


async def _listen(database_url: str, settings: Settings, url: str) -> None:
    async with _discord(database_url, settings, url) as (_, parts):
        await parts.gateway.run()


async def _serve(database_url: str, settings: Settings, url: str) -> None:
    async with _discord(database_url, settings, url) as (graph, parts), asyncio.TaskGroup() as tasks:
        adapters = {parts.adapter.platform: parts.adapter}
        tasks.create_task(graph.worker(Echo(), adapters).run())
        tasks.create_task(graph.courier(adapters).run())
        tasks.create_task(parts.gateway.run())


@asynccontextmanager
async def _discord(database_url: str, settings: Settings, url: str) -> AsyncIterator[tuple[Frontdesk, DiscordParts]]:
    logging.basicConfig(level=logging.ERROR)  # what faults cause is told as warnings, hundreds of them
    graph = Frontdesk(settings, Database(database_url), lambda said: None)
    with pointed_at(url):
        async with discord_of(graph, NoArticles(), 0.05, 0.0) as parts:  # type: ignore[arg-type]
            yield graph, parts
