"""How busy a generator is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from core.registry import Load

SECONDS = 30.0


class Pace:
    """Counts answers and tokens, in the event loop that they pass through."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun: dict[object, bool] = {}
        self._written: deque[tuple[float, int]] = deque()

    def enter(self, answer: object) -> None:
        """An answer waits for its first token."""
        self._begun[answer] = False

    def write(self, answer: object, tokens: int) -> None:
        """Tokens of an answer have come."""
        self._begun[answer] = True
        self._written.append((self._clock(), tokens))
        self._forget()

    def leave(self, answer: object) -> None:
        """An answer has ended, somehow."""
        self._begun.pop(answer, None)

    @property
    def load(self) -> Load:
        """What holds now."""
        self._forget()
        running = sum(self._begun.values())
        return Load(len(self._begun) - running, running, sum(tokens for _, tokens in self._written) / SECONDS)

    def _forget(self) -> None:
        while self._written and self._written[0][0] <= self._clock() - SECONDS:
            self._written.popleft()
