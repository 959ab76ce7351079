"""A model in this process streams what it ends with, alone or among others, and fails with one kind of error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import torch

from core import prompting
from core.domain import Exchange, Generation, Limits, Passage, Prompt
from core.errors import ModelError
from core.serving.hosting import Request
from core.serving.inflight import InflightHost, Lane
from core.serving.local import LocalGenerator
from core.serving.weights import resolve
from tests.core.serving import tiny

PASSAGE = Passage("p", "d", "Pay", "By card.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def generator(folder: Path) -> Iterator[LocalGenerator]:
    """One open model for all tests: it keeps nothing between requests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = LocalGenerator(resolve(str(folder), folder), "cpu", precision="float32")  # others in the batch change no bit of it
    asyncio.run(made.open())
    yield made
    asyncio.run(made.aclose())
    torch.set_num_threads(threads)


@pytest.fixture
async def closed_generator(folder: Path) -> AsyncIterator[LocalGenerator]:
    made = LocalGenerator(resolve(str(folder), folder), "cpu")
    yield made
    await made.aclose()


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Every request that reaches the model."""
    requests: list[Request] = []
    submit = InflightHost.submit

    def recorded(self: InflightHost, lane: Lane, request: Request) -> None:
        requests.append(request)
        submit(self, lane, request)

    monkeypatch.setattr(InflightHost, "submit", recorded)
    return requests


def prompt(question: str, passage: Passage = PASSAGE, *history: Exchange) -> Prompt:
    return prompting.build(question, (passage,), history)


async def ask(generator: LocalGenerator, asked: Prompt, max_tokens: int = 24) -> tuple[str, Generation]:
    """The streamed pieces, joined, and the end; a model that hangs fails the test."""
    async with asyncio.timeout(60):
        *pieces, end = [piece async for piece in generator.stream(asked, Limits(max_tokens))]
    assert isinstance(end, Generation)
    return "".join(str(piece) for piece in pieces), end


async def test_the_pieces_are_the_final_text(generator: LocalGenerator) -> None:
    streamed, end = await ask(generator, prompt("How do I pay?"), 60)
    assert streamed.strip() == end.text != ""
    assert end.model_version == generator.version
    assert end.usage.prompt_tokens > 100


async def test_an_answer_that_runs_into_its_limit_says_so(generator: LocalGenerator) -> None:
    for limit in (1, 2, 7):
        _, end = await ask(generator, prompt("How do I pay?"), limit)
        assert (end.finish_reason, end.usage.completion_tokens) == ("length", limit)


async def test_an_answer_that_ends_by_itself_says_so(generator: LocalGenerator) -> None:
    ends = await asyncio.gather(*(ask(generator, prompt(f"question {number}"), 60) for number in range(8)))
    stopped = [end for _, end in ends if end.finish_reason == "stop"]
    assert stopped and all(end.usage.completion_tokens < 60 for end in stopped)
    assert not [end for _, end in ends if any(token in end.text for token in tiny.CONTROL)]


async def test_the_same_question_gets_the_same_answer(generator: LocalGenerator) -> None:
    assert await ask(generator, prompt("How?")) == await ask(generator, prompt("How?"))


async def test_twenty_at_once_get_what_they_get_one_by_one(generator: LocalGenerator) -> None:
    prompts = [prompt("Where is my parcel? " * (1 + number % 3) + str(number)) for number in range(20)]
    limits = [3 + number % 7 for number in range(20)]
    alone = [await ask(generator, asked, limit) for asked, limit in zip(prompts, limits, strict=True)]
    together = await asyncio.gather(*(ask(generator, asked, limit) for asked, limit in zip(prompts, limits, strict=True)))
    assert list(together) == alone


async def test_a_row_that_is_no_longer_wanted_stops_and_its_neighbours_go_on(generator: LocalGenerator, submitted: list[Request]) -> None:
    class Leaving(Request):
        """Leaves at its first token."""

        written = 0

        def put(self, tokens: list[int]) -> None:  # type: ignore[override]
            super().put(tokens)
            self.written += len(tokens)
            self.cancelled = True

    await ask(generator, prompt("How do I pay?"), 1)
    host = generator._opened[0]  # type: ignore[index]
    leaving, staying = (make(submitted[0].input_ids, 30, asyncio.get_running_loop()) for make in (Leaving, Request))
    host.submit(leaving)
    host.submit(staying)
    tokens = 0
    async with asyncio.timeout(60):
        while not isinstance(event := await staying.events.get(), str):
            assert isinstance(event, list)
            tokens += len(event)
    assert tokens == 30
    assert leaving.written < 10


async def test_closing_the_stream_gives_the_row_up(generator: LocalGenerator, submitted: list[Request]) -> None:
    async with aclosing(generator.stream(prompt("How do I pay?"), Limits(500))) as pieces:
        assert await anext(pieces)
        assert not submitted[0].cancelled
    assert submitted[0].cancelled
    assert (await ask(generator, prompt("How?"), 3))[1].usage.completion_tokens == 3


async def test_a_cancelled_reader_gives_the_row_up(generator: LocalGenerator, submitted: list[Request]) -> None:
    started = asyncio.Event()

    async def read() -> None:
        async for _ in generator.stream(prompt("How do I pay?"), Limits(500)):
            started.set()

    reading = asyncio.create_task(read())
    await started.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert submitted[0].cancelled


async def test_the_model_opens_once_for_many_and_again_after_closing(closed_generator: LocalGenerator) -> None:
    generator = closed_generator
    assert not generator.is_open
    await asyncio.gather(*(generator.open() for _ in range(3)))
    assert generator.is_open
    await generator.aclose()
    assert not generator.is_open
    assert (await ask(generator, prompt("How?"), 2))[1].usage.completion_tokens == 2


async def test_who_waits_or_comes_when_the_model_closes_is_told_and_who_is_being_answered_is_answered(
    closed_generator: LocalGenerator, submitted: list[Request]
) -> None:
    generator = closed_generator
    await ask(generator, prompt("How?"), 1)
    host = generator._opened[0]  # type: ignore[index]
    stream = generator.stream(prompt("How do I pay?"), Limits(300))
    first = await anext(stream)
    closing = asyncio.create_task(generator.aclose())
    async with asyncio.timeout(60):
        *_, end = [first, *[piece async for piece in stream]]
        await closing
    assert isinstance(end, Generation) and end.finish_reason in {"stop", "length"}
    late = Request(submitted[0].input_ids, 5, asyncio.get_running_loop())
    host.submit(late)
    assert isinstance(await late.events.get(), ModelError)


# Bad input 17: the prompt is the same number of bytes, one token each, whatever a customer writes.


@pytest.mark.parametrize("control", [*tiny.CONTROL, "<think>", "<|im_\u200bstart|>", "＜|im_start|＞"])
@pytest.mark.parametrize("place", ["question", "title", "text", "history"])
async def test_bad_input_17_no_control_token_in_what_people_wrote_reaches_the_model(
    generator: LocalGenerator, submitted: list[Request], control: str, place: str
) -> None:
    async def written(text: str) -> list[int]:
        parts = {"question": "How?", "title": "Pay", "text": "Card.", "history": "Yes."} | {place: text}
        passage = Passage("p", "d", parts["title"], parts["text"])
        await ask(generator, prompt(parts["question"], passage, Exchange("Why?", parts["history"])), 1)
        return submitted[-1].input_ids

    def counts(ids: list[int]) -> list[int]:
        return [ids.count(token) for token in range(256, 261)]

    assert counts(await written(f"a {control} b {control}{control}")) == counts(await written("harmless"))


# Folders that cannot be used.


def cut_off(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])


BREAK: dict[str, Callable[[Path], object]] = {
    "no configuration": lambda folder: (folder / "config.json").unlink(),
    "a configuration that is no JSON": lambda folder: (folder / "config.json").write_text("{"),
    "a configuration of an unknown model": lambda folder: (folder / "config.json").write_text('{"model_type": "no-such"}'),
    "weights cut off": cut_off,
    "weights that are no weights": lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 5000),
    "empty weights": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "no tokenizer": lambda folder: [path.unlink() for path in folder.glob("tokenizer*")],
    "a tokenizer that is no JSON": lambda folder: (folder / "tokenizer.json").write_text("[]"),
    "no chat template": lambda folder: (folder / "chat_template.jinja").unlink(),
    "a template that refuses": lambda folder: (folder / "chat_template.jinja").write_text("{{ raise_exception('no system role') }}"),
    "a template that is no template": lambda folder: (folder / "chat_template.jinja").write_text("{% for %}"),
}


@pytest.mark.parametrize("how", BREAK)
async def test_a_broken_folder_is_a_model_error_that_names_it(how: str, tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "tiny")
    BREAK[how](folder)
    with pytest.raises(ModelError, match="tiny cannot be opened on cpu"):
        await LocalGenerator(resolve(str(folder), folder), "cpu").open()


async def test_a_model_that_fails_while_it_runs_fails_every_request_and_never_hangs(tmp_path: Path) -> None:
    generator = LocalGenerator(resolve(str(tiny.save(tmp_path / "tiny", rows=100)), tmp_path), "cpu")  # its tokens are out of range
    for _ in range(2):
        errors = await asyncio.gather(*(ask(generator, prompt("How?")) for _ in range(3)), return_exceptions=True)
        assert [type(error) for error in errors] == [ModelError] * 3
    await generator.aclose()


async def test_a_tokenizer_without_padding_serves_many_at_once(tmp_path: Path) -> None:
    generator = LocalGenerator(resolve(str(tiny.save(tmp_path / "tiny", pad=False)), tmp_path), "cpu")
    ends = await asyncio.gather(*(ask(generator, prompt("How? " * number), 4) for number in range(1, 5)))
    assert [end.usage.completion_tokens for _, end in ends] == [4] * 4
    await generator.aclose()
