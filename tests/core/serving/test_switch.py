"""A model is replaced while it serves: no answer changes its model, and none loses it."""

from __future__ import annotations

import asyncio

import pytest

from core.domain import Limits
from core.errors import ModelError
from core.registry import Load
from core.serving.switch import ModelSwitch
from tests.core.serving.versions import PROMPT, Versioned, written


async def test_an_answer_in_flight_finishes_on_the_model_it_started_on() -> None:
    gate, switch = asyncio.Event(), ModelSwitch("champion")
    old, new = Versioned("a@1", gate), Versioned("b@2")
    switch.put(old)
    running = switch.stream(PROMPT, Limits())
    assert await anext(running) == "a@1 "
    switch.put(new)
    assert (await written(switch)).model_version == "b@2"
    assert old.closed == 0
    gate.set()
    assert [str(piece) async for piece in running][:1] == ["a@1 "]
    await switch.settled()
    assert (old.closed, new.closed) == (1, 0)


async def test_a_replaced_model_is_closed_once_its_last_answer_is_out_and_not_before() -> None:
    gate, switch = asyncio.Event(), ModelSwitch("champion")
    old = Versioned("a@1", gate)
    switch.put(old)
    running = [switch.stream(PROMPT, Limits()) for _ in range(3)]
    for one in running:
        await anext(one)
    switch.put(Versioned("b@2"))
    await running[0].aclose()  # a customer who goes away
    await switch.settled()
    assert old.closed == 0
    gate.set()
    for one in running[1:]:
        assert [piece async for piece in one]
    await switch.settled()
    assert old.closed == 1


async def test_a_model_without_answers_is_closed_at_once() -> None:
    switch, old = ModelSwitch("champion"), Versioned("a@1")
    switch.put(old)
    switch.put(None)
    await switch.settled()
    assert (old.closed, switch.serves, switch.is_open) == (1, "", False)


async def test_an_empty_switch_says_what_to_look_at() -> None:
    switch = ModelSwitch("challenger")
    with pytest.raises(ModelError, match=r"No model serves as challenger\. See: frontdesk models status"):
        await written(switch)
    assert (switch.version, switch.load) == ("challenger", Load())


async def test_a_model_that_cannot_be_closed_does_not_harm_the_next(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn(Versioned):
        async def aclose(self) -> None:
            raise RuntimeError("busy")

    switch = ModelSwitch("champion")
    switch.put(Stubborn("a@1"))
    switch.put(Versioned("b@2"))
    await switch.settled()
    assert "'a@1' could not be closed" in caplog.text
    assert (await written(switch)).model_version == "b@2"


async def test_closing_closes_what_serves_and_what_was_replaced() -> None:
    switch, old, new = ModelSwitch("champion"), Versioned("a@1"), Versioned("b@2")
    switch.put(old)
    switch.put(new)
    await switch.aclose()
    assert (old.closed, new.closed) == (1, 1)
