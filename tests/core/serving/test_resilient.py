"""A model that fails costs a customer a retry, never a second text, a long silence or an exception that nobody expects."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest

from core import prompting
from core.domain import Generation, Limits, Passage, Prompt
from core.errors import ModelError
from core.ports import Generator
from core.serving.breaker import FAILURES, OPEN_SECONDS
from core.serving.resilient import Patience, ResilientGenerator

QUESTION = "Where is order 4711 of Ada?"
PROMPT = prompting.build(QUESTION, (Passage("p", "d", "Pay", "By card."),))
BLINK = 0.01  # a limit that is meant to pass
BROKEN = (ModelError("out of memory"),)
MUTE = "ends without a result"


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> Callable[[], None]:
        """Return a step that lets time pass."""

        def step() -> None:
            self.now += seconds

        return step


@dataclass
class Gate:
    """A step that waits until the test opens it."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        self.reached.set()
        await self.opened.wait()


Step: TypeAlias = str | Exception | Gate | Callable[[], None]


class Scripted:
    """A generator that plays a script per stream, the last one for ever: says pieces, raises, waits, and ends with a result."""

    def __init__(self, *scripts: tuple[Step, ...], version: str = "primary", is_open: bool = True) -> None:
        self.version, self.is_open = version, is_open
        self.asked = self.left = self.closed = 0
        self.refusal: ModelError | None = None
        self._scripts = deque(scripts)

    async def open(self) -> None:
        if self.refusal:
            raise self.refusal
        self.is_open = True

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        self.asked += 1
        script = self._scripts.popleft() if len(self._scripts) > 1 else self._scripts[0]
        try:
            for step in script:
                match step:
                    case str() if step != MUTE:
                        yield step
                    case Exception():
                        raise step
                    case Gate():
                        await step.wait()
                    case _ if callable(step):
                        step()
            if MUTE not in script:
                yield Generation("".join(step for step in script if isinstance(step, str)), self.version)
        finally:
            self.left += 1

    async def aclose(self) -> None:
        self.closed += 1
        if self.refusal:
            raise self.refusal


def spare(*steps: Step) -> Scripted:
    return Scripted(steps or ("By card.",), version="fallback")


async def shown(generator: Generator) -> list[str]:
    """Everything that a stream yields, whatever it is; how it failed comes last."""
    pieces: list[str] = []
    async with asyncio.timeout(20):
        try:
            async for piece in generator.stream(PROMPT, Limits()):
                pieces.append(f"{piece.model_version}: {piece.text}" if isinstance(piece, Generation) else piece)
        except ModelError:
            pieces.append("ModelError")
    return pieces


async def writer(generator: Generator) -> str:
    """Who wrote the answer, or that nobody did."""
    return (await shown(generator))[-1].partition(":")[0]


async def begin(generator: Generator, gate: Gate) -> asyncio.Task[str]:
    """Ask, and return when the model has come to the gate."""
    task = asyncio.create_task(writer(generator))
    await gate.reached.wait()
    return task


# Retry and fallback.


async def test_what_a_healthy_model_writes_passes_unchanged_and_it_is_asked_once() -> None:
    primary, fallback = Scripted(("By ", "card.")), spare()
    assert await shown(ResilientGenerator(primary, fallback)) == ["By ", "card.", "primary: By card."]
    assert (primary.asked, fallback.asked) == (1, 0)


@pytest.mark.parametrize("failure", [ModelError("gone"), RuntimeError("CUDA"), KeyError("x"), TimeoutError(), MUTE], ids=repr)
async def test_a_failure_before_the_first_piece_is_tried_again_on_the_same_model(failure: Step) -> None:
    primary, fallback = Scripted((failure,), ("By card.",)), spare()
    assert await shown(ResilientGenerator(primary, fallback)) == ["By card.", "primary: By card."]
    assert (primary.asked, primary.left, fallback.asked) == (2, 2, 0)


async def test_the_second_failure_goes_to_the_fallback_and_the_result_names_it() -> None:
    primary, fallback = Scripted(BROKEN), spare("By card.")
    generator = ResilientGenerator(primary, fallback)
    assert await shown(generator) == ["By card.", "fallback: By card."]
    assert (primary.asked, fallback.asked, generator.version) == (2, 1, "primary")


async def test_when_nobody_can_write_the_error_tells_what_each_of_them_said() -> None:
    primary, fallback = Scripted(BROKEN), spare(ModelError("no route to host"))
    with pytest.raises(ModelError, match="out of memory; out of memory; no route to host"):
        await anext(ResilientGenerator(primary, fallback).stream(PROMPT, Limits()))
    assert (primary.asked, fallback.asked) == (2, 1)


async def test_without_a_fallback_two_failures_are_an_error() -> None:
    primary = Scripted(BROKEN)
    assert await shown(ResilientGenerator(primary)) == ["ModelError"]
    assert primary.asked == 2


@pytest.mark.parametrize("failure", [ModelError("gone"), RuntimeError("CUDA"), MUTE, Gate()], ids=["error", "exception", "mute", "stall"])
async def test_a_failure_behind_the_first_piece_is_an_error_and_no_second_text(failure: Step) -> None:
    primary, fallback = Scripted(("By ", failure), ("By cheque.",)), spare()
    assert await shown(ResilientGenerator(primary, fallback, Patience(20, BLINK, 20))) == ["By ", "ModelError"]
    assert (primary.asked, primary.left, fallback.asked) == (1, 1, 0)


async def test_a_fallback_that_breaks_off_is_an_error_too() -> None:
    assert await shown(ResilientGenerator(Scripted(BROKEN), spare("By ", RuntimeError()))) == ["By ", "ModelError"]


async def test_no_question_gets_into_a_log_or_an_error(caplog: pytest.LogCaptureFixture) -> None:
    generator = ResilientGenerator(Scripted((ValueError(f"cannot encode {QUESTION!r}"),)))
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelError) as caught:
        await anext(generator.stream(PROMPT, Limits()))
    assert "primary failed with ValueError" in caplog.text
    assert "Ada" not in caplog.text + str(caught.value)


# Limits of time.


async def test_a_model_that_does_not_begin_is_given_up_and_freed() -> None:
    primary = Scripted((Gate(),))
    assert await writer(ResilientGenerator(primary, spare(), Patience(BLINK, 20, 20))) == "fallback"
    assert (primary.asked, primary.left) == (2, 2)


async def test_a_model_that_must_be_loaded_first_has_more_time_to_its_first_piece() -> None:
    hasty = Patience(first_token=0)
    assert await writer(ResilientGenerator(Scripted(("By card.",), is_open=False), patience=hasty)) == "primary"
    assert await writer(ResilientGenerator(Scripted(("By card.",), is_open=True), patience=hasty)) == "ModelError"


async def test_a_model_that_goes_on_for_ever_is_stopped_even_if_it_never_waits() -> None:
    clock = Clock()
    primary = Scripted(tuple(step for _ in range(10_000) for step in ("x", clock.passes(9))))
    assert await shown(ResilientGenerator(primary, clock=clock)) == [*"xxxxxx", "ModelError"]
    assert primary.left == 1


async def test_the_whole_limit_cuts_the_wait_for_the_next_piece_short() -> None:
    assert await shown(ResilientGenerator(Scripted(("x", Gate())), patience=Patience(20, 20, BLINK))) == ["x", "ModelError"]


async def test_who_has_waited_long_enough_gets_no_second_try_but_the_fallback_has_its_own_time() -> None:
    clock = Clock()
    primary = Scripted((clock.passes(45), *BROKEN))
    assert await writer(ResilientGenerator(primary, spare(), clock=clock)) == "fallback"
    assert primary.asked == 1


async def test_running_out_of_time_is_one_failure_and_not_two() -> None:
    clock = Clock()
    primary = Scripted(*[(clock.passes(1), *BROKEN)] * (FAILURES - 1), ("By card.",))
    generator = ResilientGenerator(primary, patience=Patience(whole=1), clock=clock)
    told = [await writer(generator) for _ in range(FAILURES)]
    assert told == ["ModelError"] * (FAILURES - 1) + ["primary"]


# Who goes away.


async def test_closing_the_stream_closes_the_model_at_once() -> None:
    primary = Scripted(("By ", "card."))
    async with aclosing(ResilientGenerator(primary).stream(PROMPT, Limits())) as stream:
        assert await anext(stream) == "By "
        assert primary.left == 0
    assert primary.left == 1


async def test_a_cancelled_customer_frees_the_model_and_nobody_else_is_asked() -> None:
    gate = Gate()
    primary, fallback = Scripted((gate,)), spare()
    task = await begin(ResilientGenerator(primary, fallback), gate)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (primary.asked, primary.left, fallback.asked) == (1, 1, 0)


# The breaker.


async def broken_down(generator: ResilientGenerator) -> None:
    """Ask until the breaker of the primary is open: two failures each."""
    for _ in range(FAILURES // 2 + 1):
        await shown(generator)


@pytest.mark.parametrize("failure", [*BROKEN, IndexError(), MUTE], ids=repr)
async def test_after_five_failures_the_model_is_not_asked_and_the_fallback_answers(failure: Step) -> None:
    primary, fallback = Scripted((failure,)), spare()
    generator = ResilientGenerator(primary, fallback, clock=Clock())
    await broken_down(generator)
    assert await writer(generator) == "fallback"
    assert (primary.asked, fallback.asked) == (5, 4)


async def test_without_a_fallback_an_open_breaker_is_an_error_at_once() -> None:
    primary = Scripted(BROKEN)
    generator = ResilientGenerator(primary, clock=Clock())
    await broken_down(generator)
    with pytest.raises(ModelError, match="was not asked"):
        await anext(generator.stream(PROMPT, Limits()))
    assert primary.asked == 5


async def test_answers_that_break_off_open_the_breaker_too() -> None:
    primary = Scripted(("By ", *BROKEN))
    generator = ResilientGenerator(primary, clock=Clock())
    assert [await shown(generator) for _ in range(6)] == [["By ", "ModelError"]] * 5 + [["ModelError"]]


async def test_a_reader_that_stops_at_the_result_has_been_answered() -> None:
    primary = Scripted(*[BROKEN] * 4, ("By card.",), *[BROKEN] * 4, ("By card.",))
    generator = ResilientGenerator(primary, clock=Clock())
    for _ in range(2):
        await shown(generator)
        await shown(generator)
        async with aclosing(generator.stream(PROMPT, Limits())) as stream:
            while not isinstance(await anext(stream), Generation):
                pass
    assert primary.asked == 10


async def test_customers_who_leave_do_not_open_the_breaker() -> None:
    primary = Scripted(("By ", "card."))
    generator = ResilientGenerator(primary, clock=Clock())
    for _ in range(FAILURES):
        async with aclosing(generator.stream(PROMPT, Limits())) as stream:
            await anext(stream)
    assert await writer(generator) == "primary"


async def test_one_customer_tries_a_model_that_was_left_alone_and_the_others_do_not_wait_for_it() -> None:
    clock, gate = Clock(), Gate()
    primary = Scripted(*[BROKEN] * 5, (gate, "By card."), ("By card.",))
    generator = ResilientGenerator(primary, spare(), clock=clock)
    await broken_down(generator)
    clock.now += OPEN_SECONDS
    probe = await begin(generator, gate)
    assert await asyncio.gather(*(writer(generator) for _ in range(3))) == ["fallback"] * 3
    gate.opened.set()
    assert await probe == "primary"
    assert await asyncio.gather(*(writer(generator) for _ in range(3))) == ["primary"] * 3


async def test_a_failed_try_is_not_repeated_and_leaves_the_model_alone_again() -> None:
    clock, primary = Clock(), Scripted(BROKEN)
    generator = ResilientGenerator(primary, spare(), clock=clock)
    await broken_down(generator)
    clock.now += OPEN_SECONDS
    assert [await writer(generator) for _ in range(3)] == ["fallback"] * 3
    assert primary.asked == FAILURES + 1


async def test_a_customer_who_leaves_during_the_try_makes_room_for_the_next() -> None:
    clock, gate = Clock(), Gate()
    primary = Scripted(*[BROKEN] * 5, (gate,), ("By card.",))
    generator = ResilientGenerator(primary, clock=clock)
    await broken_down(generator)
    clock.now += OPEN_SECONDS
    probe = await begin(generator, gate)
    probe.cancel()
    await asyncio.wait([probe])
    assert await writer(generator) == "primary"


async def test_a_broken_fallback_is_left_alone_by_itself() -> None:
    primary, fallback = Scripted(*[*[BROKEN] * 4, ("By card.",)] * 3), spare(*BROKEN)
    generator = ResilientGenerator(primary, fallback, clock=Clock())
    assert [await writer(generator) for _ in range(9)] == ["ModelError", "ModelError", "primary"] * 3
    assert (primary.asked, fallback.asked) == (15, 5)


# Opening and closing.


async def test_opening_opens_both_and_it_is_open_when_the_primary_is() -> None:
    primary, fallback = Scripted(("x",), is_open=False), spare()
    fallback.is_open = False
    generator = ResilientGenerator(primary, fallback)
    assert not generator.is_open
    await generator.open()
    assert (generator.is_open, fallback.is_open) == (True, True)


async def test_a_primary_that_cannot_be_opened_or_closed_does_not_keep_the_fallback_from_it() -> None:
    primary, fallback = Scripted(("x",), is_open=False), spare()
    primary.refusal, fallback.is_open = ModelError("damaged"), False
    generator = ResilientGenerator(primary, fallback)
    with pytest.raises(ModelError, match="damaged"):
        await generator.open()
    assert (generator.is_open, fallback.is_open) == (False, True)
    with pytest.raises(ModelError, match="damaged"):
        await generator.aclose()
    assert (primary.closed, fallback.closed) == (1, 1)
