"""A circuit breaker: a generator that keeps failing is left alone for a while, then tried by one customer before all of them.

closed --5 failures in a row within 30 s--> open --30 s--> half-open: one probe --success--> closed
                                             ^---------------failure------'
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto

logger = logging.getLogger(__name__)

FAILURES = 5
WINDOW_SECONDS = 30.0
OPEN_SECONDS = 30.0


class Permit(Enum):
    """Leave to ask once; it is given back by `Breaker.leave`, whatever came of it."""

    ORDINARY = auto()
    PROBE = auto()


class Outcome(Enum):
    """What came of asking. `UNKNOWN`: the customer went away first, which says nothing about the generator."""

    SUCCESS = auto()
    FAILURE = auto()
    UNKNOWN = auto()


class Breaker:
    """Decides whether a generator is asked. For one event loop: nothing here waits, so nothing comes between."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`name` is for the log; `clock` counts seconds."""
        self._name = name
        self._clock = clock
        self._failures: deque[float] = deque(maxlen=FAILURES)  # when, since the last success
        self._opened_at: float | None = None
        self._is_probing = False

    def enter(self) -> Permit | None:
        """Return a permit, or None when the generator must not be asked now. Every permit must be given to `leave`."""
        if self._opened_at is None:
            return Permit.ORDINARY
        if self._is_probing or self._clock() - self._opened_at < OPEN_SECONDS:
            return None
        self._is_probing = True
        return Permit.PROBE

    def leave(self, permit: Permit, outcome: Outcome) -> None:
        """Give a permit back and say what came of it."""
        if permit is Permit.PROBE:
            self._is_probing = False
        match outcome:
            case Outcome.SUCCESS:
                self._succeeded()
            case Outcome.FAILURE if permit is Permit.PROBE:
                self._opened_at = self._clock()
            case Outcome.FAILURE if self._opened_at is None:  # those who came before it opened tell nothing new
                self._failed()

    def _succeeded(self) -> None:
        # Of whoever it is: one that was let in before it opened and has its answer proves as much as a probe does.
        self._failures.clear()
        if self._opened_at is not None:
            self._opened_at = None
            logger.warning("%s answers again and is asked again", self._name)

    def _failed(self) -> None:
        now = self._clock()
        self._failures.append(now)
        if len(self._failures) == FAILURES and now - self._failures[0] <= WINDOW_SECONDS:
            self._opened_at = now
            logger.warning("%s failed %d times in a row and is not asked for %.0f s", self._name, FAILURES, OPEN_SECONDS)
