"""Start in order, serve, drain, stop in reverse; one task group owns every task."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn

from bot.bootstrap import Frontdesk
from bot.web.app import Surroundings, build
from core.errors import FrontdeskError, ModelError, SettingsError, StorageError
from core.ports import Generator
from retrieval.retriever import SnapshotRetriever

logger = logging.getLogger(__name__)

FOLLOW_SECONDS = 2.0  # a publish or rollback in any process is served here after at most this long
DRAIN_SECONDS = 25


async def serve(graph: Frontdesk) -> None:
    """Serve the chat page until SIGTERM or SIGINT, then finish the answers that are being written."""
    listener = _listen(graph.settings.host, graph.settings.port)
    knowledge = await graph.served_knowledge()
    retriever = graph.retriever(knowledge)
    async with _closing(graph.generator()) as generator, asyncio.TaskGroup() as tasks:
        background = [
            tasks.create_task(retriever.watch(FOLLOW_SECONDS, _report_stale)),
            tasks.create_task(_open(generator)),
        ]
        surroundings = await _surroundings(graph, retriever, generator)
        logger.info("serving knowledge %r with model %r", knowledge, generator.version)
        graph.report(f"Frontdesk is ready: http://{graph.settings.host}:{listener.getsockname()[1]}")
        await _server(surroundings).serve([listener])
        for task in background:
            task.cancel()


def _listen(host: str, port: int) -> socket.socket:
    """Take the address first: a port in use should fail before a model is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SettingsError(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another: frontdesk run --port N") from error


class _Server(uvicorn.Server):
    """Ends at SIGTERM or SIGINT and lets the caller go on; uvicorn raises the signal again, which skips every clean-up."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle both signals while serving; a second SIGINT does not wait for open answers."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def _server(surroundings: Surroundings) -> uvicorn.Server:
    config = uvicorn.Config(
        build(surroundings),
        log_config=None,
        access_log=False,  # its lines would hold addresses of customers
        timeout_graceful_shutdown=DRAIN_SECONDS,
        server_header=False,
    )
    return _Server(config)


async def _surroundings(graph: Frontdesk, retriever: SnapshotRetriever, generator: Generator) -> Surroundings:
    async def health() -> dict[str, str]:
        return {
            part: problem
            for part, problem in {
                "database": await _database_problem(graph),
                "index": await _index_problem(retriever),
                "model": _model_problem(generator),
            }.items()
            if problem
        }

    engine = await graph.engine(retriever, generator)
    await engine.warm_up()
    return Surroundings(
        dispatch=graph.dispatch(engine),
        conversation_log=graph.conversation_log,
        passage=retriever.passage,
        suggestions=retriever.titles,
        model=lambda: generator.version,
        health=health,
        metrics=graph.metrics.exposition,
    )


async def _database_problem(graph: Frontdesk) -> str:
    try:
        await graph.database.revision()
    except StorageError as error:
        return str(error)
    return ""


async def _index_problem(retriever: SnapshotRetriever) -> str:
    try:
        await retriever.manifest()
    except FrontdeskError as error:
        return str(error)
    return ""


def _model_problem(generator: Generator) -> str:
    return "" if generator.is_open else "the model is not loaded yet, or could not be: see the log. Answers quote passages meanwhile."


async def _open(generator: Generator) -> None:
    """Load the model while the page is already up; until then, and if it fails, answers quote passages."""
    try:
        await generator.open()
        logger.info("model %r is loaded", generator.version)
    except ModelError as error:
        logger.error("%s Answers quote the best passage instead.", error)


def _report_stale(error: FrontdeskError) -> None:
    logger.error("the newest knowledge is not served: %s", error)


@asynccontextmanager
async def _closing(generator: Generator) -> AsyncIterator[Generator]:
    try:
        yield generator
    finally:
        await generator.aclose()
