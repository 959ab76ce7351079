"""What tests of remote models share: a pool on local servers, a prompt, and everything that a stream yields."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from core import prompting
from core.domain import Generation, Limits, Passage
from core.errors import ModelError
from core.ports import Generator
from core.serving.endpoints import EndpointPool
from core.serving.remote import RemoteGenerator, Timing
from core.serving.remote_server import OpenAIServer
from tests.servers.openai import MODEL, ModelServer

QUESTION = "Where is order 4711 of Ada?"
PROMPT = prompting.build(QUESTION, (Passage("p", "d", "Pay", "You pay by card."),))
VERSION = f"remote:{MODEL}"
HASTY = Timing(first_piece=0.3, first_piece_of_last=0.3, between_pieces=0.3, trial=0.3)  # for limits that are meant to pass


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def remote(
    *servers: ModelServer,
    name: str = MODEL,
    key: str = "",
    adapter_path: str = "",
    timing: Timing = Timing(),
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[RemoteGenerator]:
    """Give a generator on servers, closed afterwards."""
    pool = EndpointPool([OpenAIServer(server.url, key) for server in servers], clock)
    generator = RemoteGenerator(pool, name, f"remote:{name}", adapter_path, timing)
    try:
        yield generator
    finally:
        await generator.aclose()


async def shown(generator: Generator, limits: Limits = Limits()) -> tuple[str, Generation | ModelError]:
    """What a stream shows, and how it ends."""
    text = ""
    async with asyncio.timeout(20):
        try:
            async for piece in generator.stream(PROMPT, limits):
                if isinstance(piece, Generation):
                    return text, piece
                text += piece
        except ModelError as error:
            return text, error
    raise AssertionError("it ended without a result")


async def answer(generator: Generator, limits: Limits = Limits()) -> Generation:
    """The answer, which must come."""
    _, end = await shown(generator, limits)
    assert isinstance(end, Generation), end
    return end


async def failure(generator: Generator) -> str:
    """How it fails, which it must, without having shown anything."""
    text, end = await shown(generator)
    assert isinstance(end, ModelError), end
    assert text == ""
    return str(end)
