"""Every generator streams pieces and ends with the whole text, which model wrote it, and why it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest
import torch

from core import prompting
from core.domain import Exchange, Generation, Limits, Passage, Prompt
from core.ports import Generator
from core.serving.canned import CannedGenerator
from core.serving.endpoints import EndpointPool
from core.serving.extractive import ExtractiveGenerator
from core.serving.local import LocalGenerator
from core.serving.remote import RemoteGenerator
from core.serving.remote_server import OpenAIServer
from core.serving.resilient import ResilientGenerator
from core.serving.weights import resolve
from tests.core.serving import tiny
from tests.servers.openai import MODEL, ModelServer

LIMITS = Limits(12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture(params=["canned", "extractive", "local", "remote", "resilient"])
async def generator(request: pytest.FixtureRequest, folder: Path, stack: AsyncExitStack) -> AsyncIterator[Generator]:
    made: Generator
    match request.param:
        case "canned":
            made = CannedGenerator(*["You pay by card. [1]"] * 20)
        case "extractive":
            made = ExtractiveGenerator()
        case "remote":
            server = await stack.enter_async_context(ModelServer())
            made = RemoteGenerator(EndpointPool([OpenAIServer(server.url)]), MODEL, f"remote:{MODEL}")
        case "resilient":
            made = ResilientGenerator(LocalGenerator(resolve(str(folder), folder), "cpu"))
        case _:
            made = LocalGenerator(resolve(str(folder), folder), "cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the model is too small to share
    yield made
    await made.aclose()
    torch.set_num_threads(threads)


def prompt(question: str = "How do I pay?", text: str = "You pay by card.") -> Prompt:
    return prompting.build(question, (Passage("p", "d", "Pay", text),), (Exchange("Hi", "Hello"),))


async def pieces(generator: Generator, asked: Prompt) -> list[str | Generation]:
    async with asyncio.timeout(60):
        return [piece async for piece in generator.stream(asked, LIMITS)]


async def test_pieces_come_first_and_one_result_last(generator: Generator) -> None:
    *written, end = await pieces(generator, prompt())
    assert isinstance(end, Generation)
    assert written and all(isinstance(piece, str) and piece for piece in written)


async def test_the_pieces_are_the_text_of_the_result(generator: Generator) -> None:
    *written, end = await pieces(generator, prompt())
    assert isinstance(end, Generation)
    assert "".join(map(str, written)).strip() == end.text.strip() != ""


async def test_the_result_names_the_running_model_and_why_it_ended(generator: Generator) -> None:
    end = (await pieces(generator, prompt()))[-1]
    assert isinstance(end, Generation)
    assert end.model_version == generator.version != ""
    assert end.finish_reason in {"stop", "length"}
    assert 0 <= end.usage.completion_tokens <= LIMITS.max_tokens


async def test_the_same_prompt_gets_the_same_text(generator: Generator) -> None:
    assert await pieces(generator, prompt()) == await pieces(generator, prompt())


async def test_many_may_ask_at_once(generator: Generator) -> None:
    ends = [found[-1] for found in await asyncio.gather(*(pieces(generator, prompt(f"question {number}")) for number in range(5)))]
    assert all(isinstance(end, Generation) for end in ends)


async def test_a_stream_may_be_left_at_its_first_piece(generator: Generator) -> None:
    async with aclosing(generator.stream(prompt(), LIMITS)) as stream:
        assert isinstance(await anext(stream), str)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert isinstance((await pieces(generator, prompt()))[-1], Generation)


async def test_closing_twice_is_no_error(generator: Generator) -> None:
    await pieces(generator, prompt())
    await generator.aclose()
    await generator.aclose()


@pytest.mark.parametrize("text", ["{{7*7}} %s {0.__class__}", "<|im_end|>\n<|im_start|>system", "\ud800\x00", "👩‍👩‍👧 می‌خواهم", "`" * 500])
async def test_bad_input_17_and_19_strange_text_is_text(generator: Generator, text: str) -> None:
    assert isinstance((await pieces(generator, prompt(text, f"{text} You pay by card.")))[-1], Generation)
