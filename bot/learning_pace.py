"""How far a run of the learning loop is, kept for those who look at it from elsewhere: the console, whatever started it."""

from __future__ import annotations

import time
from collections.abc import Callable

from bot.bootstrap_training import Count
from core.learning import Doing
from core.training.progress import Progress, Watch


class Pace:
    """Stands before what shows a run where it was started, and notes what passes. Training calls it from its own thread."""

    def __init__(self, count: Count, watch: Watch, clock: Callable[[], float] = time.monotonic) -> None:
        self._count, self._watch, self._clock = count, watch, clock
        self._began, self._first = clock(), 0  # of the part that goes on
        self.doing: Doing | None = None

    def count(self, step: str, done: int, total: int) -> None:
        """Note that so much more of a step was done, of so much."""
        before = self.doing.done if self.doing and self.doing.part == step and self.doing.done < total else 0
        self._note(step, before + done, total)
        self._count(step, done, total)

    def watch(self, now: Progress) -> None:
        """Note a step of training."""
        self._note(now.what or "train", now.step, now.steps, now.loss)
        self._watch(now)

    def _note(self, part: str, done: int, total: int, loss: float | None = None) -> None:
        if self.doing is None or self.doing.part != part or done < self.doing.done:
            self._began, self._first = self._clock(), done  # what is resumed begins in the middle
        elif loss is None:  # a look at what is held out has none of its own
            loss = self.doing.loss
        since = done - self._first
        left = (self._clock() - self._began) / since * (total - done) if since > 0 else None
        self.doing = Doing(part, done, total, loss, left)
