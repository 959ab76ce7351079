"""A scheduled run is a process of its own that gives way to customers, tells the log how it goes, and ends with the worker."""

from __future__ import annotations

import asyncio
import logging
import sys

import pytest

from bot.learning_process import NICE, learn_apart
from bot.settings import read
from core.errors import SettingsError

TELLS = "import os, sys; sys.stdin.read(); print('nice', os.nice(0), file=sys.stderr)"
WAITS = "import sys, time; print('begun', file=sys.stderr, flush=True); time.sleep(600)"


async def test_it_gives_way_and_its_lines_are_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await learn_apart((sys.executable, "-c", TELLS))
    assert f"learning: nice {NICE}" in caplog.text
    assert "ended with exit status 0" in caplog.text


async def test_it_is_stopped_with_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    running = asyncio.create_task(learn_apart((sys.executable, "-c", WAITS)))
    async with asyncio.timeout(30):
        while "begun" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


@pytest.mark.parametrize(("said", "hours"), [("24h", 24), ("7d", 168), ("", None)])
def test_how_often_is_said_in_hours_or_days(said: str, hours: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_TRAINING__EVERY", said)
    interval = read().training.interval
    assert (interval.total_seconds() / 3600 if interval else None) == hours


@pytest.mark.parametrize("said", ["0h", "24", "daily", "1.5d", "-1h", "10 m"])
def test_bad_input_another_span_is_refused_with_an_example(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_TRAINING__EVERY", said)
    with pytest.raises(SettingsError, match=r"training\.every: .*must be hours or days, such as 24h or 7d"):
        read()
