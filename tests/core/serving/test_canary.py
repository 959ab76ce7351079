"""A challenger answers its part of the conversations, each always by the same model, or writes silently beside the champion."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.domain import Limits
from core.errors import ModelError
from core.registry import Alias
from core.serving.canary import bucket
from tests.core.serving.versions import PROMPT, Host, Versioned, written


async def host_with(challenger: Versioned | None = None, share: int = 0) -> Host:
    host = Host()
    for alias, made in ((Alias.CHAMPION, Versioned("a@1")), (Alias.CHALLENGER, challenger or Versioned("b@2"))):
        await made.open()
        host.switches[alias].put(made)
    host.canary.share = share
    return host


@pytest.mark.parametrize("share", [10, 50, 90])
async def test_a_challenger_answers_its_share_and_a_conversation_stays_with_its_model(share: int) -> None:
    host = await host_with(share=share)
    prompts = [replace(PROMPT, conversation=f"slack/T/C/{number}") for number in range(400)]
    first = [(await written(host.canary, prompt)).model_version for prompt in prompts]
    again = [(await written(host.canary, prompt)).model_version for prompt in prompts]
    assert first == again
    assert abs(first.count("b@2") - 4 * share) < 40  # four standard deviations of 400 draws at one half


async def test_all_and_none_are_exact() -> None:
    for share, answers in ((100, "b@2"), (0, "a@1")):
        host = await host_with(share=share)
        found = {(await written(host.canary, replace(PROMPT, conversation=str(number)))).model_version for number in range(50)}
        assert found == {answers}
        await host.canary.aclose()


def test_two_challengers_get_other_conversations() -> None:
    chosen = [{number for number in range(1000) if bucket(version, str(number)) < 10} for version in ("b@2", "c@3")]
    assert chosen[0] != chosen[1]
    assert len(chosen[0] & chosen[1]) < 50


async def test_a_challenger_that_fails_before_its_first_piece_leaves_the_answer_to_the_champion() -> None:
    host = await host_with(Versioned("b@2", failure=ModelError("out of memory")), share=100)
    assert ((await written(host.canary)).model_version, host.failures) == ("a@1", ["b@2"])
    host = await host_with(Versioned("b@2", failure=ValueError("what a library raises")), share=100)
    assert ((await written(host.canary)).model_version, host.failures) == ("a@1", ["b@2"])


async def test_a_challenger_that_breaks_off_is_never_followed_by_a_second_text() -> None:
    class BreaksOff(Versioned):
        async def stream(self, prompt, limits):  # type: ignore[no-untyped-def]
            yield "b@2 "
            raise ModelError("gone")

    host = await host_with(BreaksOff("b@2"), share=100)
    pieces = []
    with pytest.raises(ModelError, match="gone"):
        async for piece in host.canary.stream(PROMPT, Limits()):
            pieces.append(piece)
    assert pieces == ["b@2 "]


async def test_without_a_share_the_challenger_writes_silently_after_the_customer_has_the_answer() -> None:
    gate = asyncio.Event()
    host = await host_with(Versioned("b@2", gate))
    end = await written(host.canary)
    assert (end.model_version, host.shadows) == ("a@1", [])
    gate.set()
    await host.canary.idle()
    assert [version for version, _ in host.shadows] == ["b@2"]


async def test_silent_writing_that_fails_or_piles_up_costs_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    host = await host_with(Versioned("b@2", failure=RuntimeError("boom")))
    assert (await written(host.canary)).model_version == "a@1"
    await host.canary.idle()
    assert (host.shadows, "failed with RuntimeError" in caplog.text) == ([], True)
    gate = asyncio.Event()
    slow = Versioned("b@2", gate)
    host = await host_with(slow)
    for _ in range(10):
        await written(host.canary)
    gate.set()
    await host.canary.idle()
    assert len(slow.prompts) == 2
