"""How busy a generator is: who waits, who is being answered, how fast it writes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Self

from core.registry import Load

WINDOW_SECONDS = 30.0


class Traffic:
    """Counts requests, and tokens over the last 30 s however many write at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds."""
        self._clock = clock
        self._seconds: deque[tuple[int, int]] = deque()  # tokens written within each second, so that memory stays small
        self._waiting = self._running = 0

    @property
    def load(self) -> Load:
        """How busy it is now."""
        self._forget()
        return Load(self._waiting, self._running, sum(tokens for _, tokens in self._seconds) / WINDOW_SECONDS)

    def request(self) -> Counted:
        """Return a block that is one request: it waits until its `begun` is called."""
        return Counted(self)

    def wrote(self, tokens: int) -> None:
        """Count tokens that were written now."""
        second = int(self._clock())
        if self._seconds and self._seconds[-1][0] == second:
            tokens += self._seconds.pop()[1]
        self._seconds.append((second, tokens))
        self._forget()

    def changed(self, waiting: int, running: int) -> None:
        """Count so many more."""
        self._waiting += waiting
        self._running += running

    def _forget(self) -> None:
        oldest = self._clock() - WINDOW_SECONDS
        while self._seconds and self._seconds[0][0] < oldest:
            self._seconds.popleft()


class Counted:
    """Counted as waiting, then as running, while its block is open."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._has_begun = False

    def begun(self) -> None:
        """Note that the model writes; again is no matter."""
        if not self._has_begun:
            self._has_begun = True
            self._traffic.changed(-1, 1)

    def __enter__(self) -> Self:
        self._traffic.changed(1, 0)
        return self

    def __exit__(self, *_: object) -> None:
        self._traffic.changed(*((0, -1) if self._has_begun else (-1, 0)))
