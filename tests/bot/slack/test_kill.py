"""Workers and the way in are killed all the time and Slack breaks off: every question has one answer, in order. And the trial can tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.bench.slack import SlackTrial, run

pytestmark = pytest.mark.slow
TRIAL = SlackTrial(messages=300, conversations=60, workers=4, kill_every=0.5, door_every=3.0, previews=True)
FAULTS = ("lost", "twice", "out_of_order")


async def test_killed_processes_lose_and_repeat_nothing_and_keep_the_order(new_database_url: Callable[[str], str]) -> None:
    figures = await run(TRIAL, new_database_url("sqlite"))
    assert {name: figures[name] for name in FAULTS} == dict.fromkeys(FAULTS, 0), figures
    assert figures["complete"], figures
    assert figures["messages"] == 300
    assert figures["kills"] >= 10, figures
    assert figures["kills_of_way_in"] > 0, figures
    assert figures["takeovers"] > 0, figures
    assert figures["sends_repeated"] > 0, figures
    assert figures["previews_shown"] > 0, figures


async def test_the_trial_notices_an_adapter_that_does_not_look_before_it_sends_again(new_database_url: Callable[[str], str]) -> None:
    calm = replace(TRIAL, messages=60, conversations=20, workers=2, kill_every=None, door_every=None)
    figures = await run(replace(calm, reset=0.5, broken="look", previews=False), new_database_url("sqlite"))
    assert figures["twice"] > 0, figures
