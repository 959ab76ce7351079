"""Bars tell how much is left of what goes on now."""

from __future__ import annotations

from contextlib import AbstractContextManager
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from bot import terminal
from bot.commands import learn


@pytest.mark.parametrize("bars", [terminal.progress, learn._bars], ids=["publish", "learn"])
def test_a_step_that_is_done_once_more_has_a_bar_of_its_own(bars: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = StringIO()
    for module in (terminal, learn):
        monkeypatch.setattr(module, "err", Console(file=file, force_terminal=True, width=120))
    shown: AbstractContextManager[Any] = bars()
    with shown as signs:
        count = getattr(signs, "count", signs)
        for total in (3, 5):  # two knowledge bases, or two models that answer
            for _ in range(total):
                count("embed", 1, total)
    said = file.getvalue()
    assert ("3/3" in said, "5/5" in said, "8/3" in said) == (True, True, False)
