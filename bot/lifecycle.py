"""Start in order, serve, drain, stop in reverse; one task group owns every task."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from bot.bootstrap import Frontdesk
from bot.bootstrap_console import console_of, first_link
from bot.bootstrap_corrections import library_of
from bot.bootstrap_discord import discord_of
from bot.bootstrap_handoffs import handoff_watch
from bot.bootstrap_models import models_of
from bot.bootstrap_schedule import learning_schedule
from bot.bootstrap_slack import slack_of
from bot.live import Line, LiveAdapter, Watch
from bot.slack.http import PATH
from bot.slack.parts import SlackParts
from bot.web.app import Surroundings, build
from core.errors import FrontdeskError, SettingsError, StorageError
from core.ports import ChatAdapter, Generator
from core.staff.bookkeeping import Bookkeeping
from retrieval.retriever import Reader

if TYPE_CHECKING:
    from bot.discord.parts import DiscordParts

logger = logging.getLogger(__name__)

FOLLOW_SECONDS = 2.0  # a publish or rollback in any process is served here after at most this long
ANSWER_SECONDS = 10
LEAST_FREE_BYTES = 64 * 2**20  # below it a page of replies and a snapshot no longer fit
DRAIN_SECONDS = 25  # the ten and the fifteen of the worker's own `Terms.drain`
ROLES = frozenset({"web", "worker", "slack", "discord", "console"})


async def serve(graph: Frontdesk, roles: frozenset[str] = ROLES, *, with_port: bool = False) -> None:
    """Run the parts named by `roles` until SIGTERM or SIGINT, then end in order.

    `with_port` serves health and metrics even where no part listens: what runs containers asks for them.

    The page and the platforms take nothing new; while open calls wait the worker goes on for `ANSWER_SECONDS`, then it claims no more and
    finishes what it writes, all within `DRAIN_SECONDS`; then the courier delivers what is ready, and the rest stops. A part that
    fails ends the process: it must not live on half.
    """
    stop = _stop_at_signals()
    with_slack, with_discord = _serves_slack(graph, roles), _serves_discord(graph, roles)
    listener = _listen(graph.settings.host, graph.settings.port) if with_port or _needs_port(graph, roles) else None
    knowledge = await graph.served_knowledge(publishes="worker" in roles)
    retriever = graph.retriever(knowledge) if "worker" in roles else None
    reader = retriever or graph.reader(knowledge)
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(slack_of(graph, reader)) if with_slack else None
        adapters: dict[str, ChatAdapter] = {"web": LiveAdapter("web")} if "web" in roles else {}
        adapters |= {"slack": slack.adapter} if slack else {}
        discord = await stack.enter_async_context(discord_of(graph, reader)) if with_discord else None
        adapters |= {"discord": discord.adapter} if discord else {}
        models = await models_of(graph) if retriever else None
        generator = await stack.enter_async_context(_closing(models.generator if models else graph.quoting))
        if models:
            await models.follower.start()
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        background = [tasks.create_task(reader.watch(FOLLOW_SECONDS, _report_stale))]
        first_to_end = []
        if retriever and models:
            # The page is up while the model is loaded; until then, and if it cannot be, answers quote passages.
            background += [tasks.create_task(models.follower.run()), tasks.create_task(models.guard.run())]
            engine = await graph.engine(retriever, generator)
            await engine.warm_up()
            first_to_end.append(tasks.create_task(graph.worker(engine, adapters).run()))
            minded = (
                graph.sweeper(),
                graph.retention(),
                Bookkeeping(graph.figure_book),
                handoff_watch(graph.settings, graph.database, graph.ring),
                learning_schedule(graph),
            )
            background += [tasks.create_task(part.run()) for part in minded]
            logger.info("answering from %r with model %r", (await retriever.manifest()).knowledge, generator.version)
        if adapters:
            background.append(tasks.create_task(graph.courier(adapters).run()))
        if slack and slack.socket and "slack" in roles:
            first_to_end.append(tasks.create_task(slack.socket.run()))
        if discord and "discord" in roles:
            first_to_end.append(tasks.create_task(discord.gateway.run()))
        if listener is not None:
            library = library_of(graph, reader)
            background.append(tasks.create_task(library.releases.run()))
            console = console_of(graph, library, reader.passage, stop) if "console" in roles else None
            server = _server(_web(graph, roles, reader, generator, adapters, slack, discord, console))
            first_to_end.append(tasks.create_task(_serve_page(server, listener, stop)))
        graph.report(f"Frontdesk is ready: {_where(graph, listener, roles)}")
        if listener is not None and "console" in roles and (link := await first_link(graph, _url(graph, listener))):
            graph.report(f"Nobody can sign in to the console yet. Open this within 15 minutes, once: {link}")
        await stop.wait()
        logger.info("stopping")
        for task in reversed(first_to_end):  # a worker that stopped with the page would leave customers waiting on open calls
            task.cancel()
            await asyncio.wait([task], timeout=ANSWER_SECONDS)
        await asyncio.wait(first_to_end)
        for task in background:
            task.cancel()


def _serves_slack(graph: Frontdesk, roles: frozenset[str]) -> bool:
    """Whether Slack is set up. Raises `SettingsError` when it is half, or asked for and not at all."""
    asked = graph.settings.slack
    if asked.problem:
        raise SettingsError(f"{asked.problem} See: README, Slack")
    if "slack" in roles and roles != ROLES and not asked.is_served:
        raise SettingsError(
            "Slack is not set up: slack.bot_token or slack.client_id, and slack.app_token or slack.signing_secret. See: README, Slack"
        )
    if asked.client_id and (asked.admins or asked.admin_group) and not asked.home_workspace:
        logger.warning("nobody may run commands of admins in Slack before slack.home_workspace is set, the id of your own team")
    return asked.is_served


def _serves_discord(graph: Frontdesk, roles: frozenset[str]) -> bool:
    """Whether Discord is set up. Raises `SettingsError` when it is asked for and not."""
    is_served = bool(graph.settings.discord.bot_token)
    if "discord" in roles and roles != ROLES and not is_served:
        raise SettingsError("Discord is not set up: discord.bot_token. See: README, Discord")
    return is_served


def _needs_port(graph: Frontdesk, roles: frozenset[str]) -> bool:
    asked = graph.settings.slack
    return bool(roles & {"web", "console"}) or ("slack" in roles and bool(asked.signing_secret or asked.client_id))


def _where(graph: Frontdesk, listener: socket.socket | None, roles: frozenset[str]) -> str:
    if listener is not None:
        return _url(graph, listener)
    served = {"slack": graph.settings.slack.is_served, "discord": bool(graph.settings.discord.bot_token)}
    platforms = " and ".join(platform.title() for platform, is_served in served.items() if is_served and platform in roles)
    return f"connecting to {platforms}" if platforms else "answering for other processes"


def _url(graph: Frontdesk, listener: socket.socket) -> str:
    return f"http://{graph.settings.host}:{listener.getsockname()[1]}"


def _stop_at_signals() -> asyncio.Event:
    """Return the event that the first SIGTERM or SIGINT sets; a second one ends the process at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def handle() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, handle)
    return stop


async def _serve_page(server: uvicorn.Server, listener: socket.socket, stop: asyncio.Event) -> None:
    """Serve until cancelled, then let open answers end; a server that ends by itself stops everything."""
    serving = asyncio.create_task(server.serve([listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise
    finally:
        stop.set()


def _listen(host: str, port: int) -> socket.socket:
    """Take the address first: a port in use should fail before a model is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
        # asyncio leaves Nagle's algorithm on for a socket it did not make itself: 44 ms a request instead of 2.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another: frontdesk run --port N") from error


class _Server(uvicorn.Server):
    """Leaves signals to `serve`; uvicorn raises them again when it ends, which skips every clean-up."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


def _server(app: FastAPI) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # its lines would hold addresses of customers
        timeout_graceful_shutdown=DRAIN_SECONDS,
        server_header=False,
    )
    return _Server(config)


def _web(
    graph: Frontdesk,
    roles: frozenset[str],
    reader: Reader,
    generator: Generator,
    adapters: dict[str, ChatAdapter],
    slack: SlackParts | None,
    discord: DiscordParts | None,
    console: ASGIApp | None,
) -> FastAPI:
    """What is served on the port: the page where it belongs to this process, Slack's events, health."""
    page, web = None, adapters.get("web")
    if isinstance(web, LiveAdapter):
        page = Surroundings(
            line=Line(graph.dispatch, graph.inbox, web),
            conversation_log=graph.conversation_log,
            passage=reader.passage,
            suggestions=reader.titles,
            model=lambda: generator.version,
            updates=Watch(graph.updates, web).updates,
        )
    takes_slack = slack is not None and "slack" in roles
    signed = {PATH: slack.endpoint} if takes_slack and slack and slack.endpoint else {}
    pages = slack.pages if takes_slack and slack else {}

    async def health() -> dict[str, str]:
        problems = {
            "database": await _database_problem(graph),
            "index": await _index_problem(reader),
            "model": _model_problem(generator),
            "slack": slack.problem if takes_slack and slack else "",
            "discord": discord.gateway.problem if discord and "discord" in roles else "",
        }
        return {part: problem for part, problem in problems.items() if problem}

    return build(page, health, lambda: graph.metrics.exposition(graph.inbox.backlog), signed, pages, console)


async def _database_problem(graph: Frontdesk) -> str:
    try:
        await graph.database.revision()
    except StorageError as error:
        return str(error)
    free = shutil.disk_usage(graph.settings.data_dir).free
    if free < LEAST_FREE_BYTES:
        return f"only {free // 2**20} MiB are free in {graph.settings.data_dir}: free some space before messages can no longer be stored."
    return ""


async def _index_problem(reader: Reader) -> str:
    try:
        await reader.manifest()
    except FrontdeskError as error:
        return str(error)
    return ""


def _model_problem(generator: Generator) -> str:
    return "" if generator.is_open else "the model is not loaded yet, or could not be: see the log. Answers quote passages meanwhile."


def _report_stale(error: FrontdeskError) -> None:
    logger.error("the newest knowledge is not served: %s", error)


@asynccontextmanager
async def _closing(generator: Generator) -> AsyncIterator[Generator]:
    try:
        yield generator
    finally:
        await generator.aclose()
