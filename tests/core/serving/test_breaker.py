"""A breaker opens after five failures in a row within 30 s, and after 30 s lets one probe through at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from core.serving.breaker import FAILURES, OPEN_SECONDS, WINDOW_SECONDS, Breaker, Outcome, Permit


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("tiny", clock)


def ask(breaker: Breaker, outcome: Outcome, times: int = 1) -> list[Permit | None]:
    permits = []
    for _ in range(times):
        permits.append(breaker.enter())
        if permits[-1]:
            breaker.leave(permits[-1], outcome)
    return permits


def opened(breaker: Breaker) -> Breaker:
    ask(breaker, Outcome.FAILURE, FAILURES)
    return breaker


def half_opened(breaker: Breaker, clock: Clock) -> Breaker:
    opened(breaker)
    clock.now += OPEN_SECONDS
    return breaker


def is_closed(breaker: Breaker) -> bool:
    """A closed breaker lets any number in at once."""
    permits = [breaker.enter(), breaker.enter()]
    for permit in permits:
        if permit:
            breaker.leave(permit, Outcome.UNKNOWN)
    return permits == [Permit.ORDINARY, Permit.ORDINARY]


def test_five_failures_in_a_row_open_it_and_four_do_not(breaker: Breaker) -> None:
    ask(breaker, Outcome.FAILURE, 4)
    assert is_closed(breaker)
    ask(breaker, Outcome.FAILURE)
    assert breaker.enter() is None


def test_a_success_between_them_begins_the_count_anew(breaker: Breaker) -> None:
    ask(breaker, Outcome.FAILURE, 4)
    ask(breaker, Outcome.SUCCESS)
    ask(breaker, Outcome.FAILURE, 4)
    assert is_closed(breaker)


def test_a_customer_who_goes_away_is_neither_failure_nor_success(breaker: Breaker) -> None:
    ask(breaker, Outcome.UNKNOWN, 10)
    assert is_closed(breaker)
    ask(breaker, Outcome.FAILURE, 4)
    ask(breaker, Outcome.UNKNOWN)
    ask(breaker, Outcome.FAILURE)
    assert breaker.enter() is None


@pytest.mark.parametrize(("seconds", "closed"), [(WINDOW_SECONDS, False), (WINDOW_SECONDS + 0.1, True)])
def test_failures_that_are_spread_over_more_than_the_window_do_not_open_it(
    breaker: Breaker, clock: Clock, seconds: float, closed: bool
) -> None:
    ask(breaker, Outcome.FAILURE)
    clock.now += seconds
    ask(breaker, Outcome.FAILURE, 4)
    assert is_closed(breaker) is closed


def test_it_stays_open_for_its_time_and_then_lets_one_probe_through(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += OPEN_SECONDS - 0.1
    assert breaker.enter() is None
    clock.now += 0.1
    assert [breaker.enter() for _ in range(3)] == [Permit.PROBE, None, None]


def test_a_probe_that_succeeds_closes_it_and_five_more_failures_are_allowed(breaker: Breaker, clock: Clock) -> None:
    half_opened(breaker, clock)
    assert ask(breaker, Outcome.SUCCESS) == [Permit.PROBE]
    ask(breaker, Outcome.FAILURE, 4)
    assert is_closed(breaker)


def test_a_probe_that_fails_keeps_it_open_for_its_time_again(breaker: Breaker, clock: Clock) -> None:
    half_opened(breaker, clock)
    assert ask(breaker, Outcome.FAILURE) == [Permit.PROBE]
    clock.now += OPEN_SECONDS - 0.1
    assert breaker.enter() is None
    clock.now += 0.1
    assert breaker.enter() is Permit.PROBE


def test_a_probe_that_is_abandoned_makes_room_for_the_next(breaker: Breaker, clock: Clock) -> None:
    half_opened(breaker, clock)
    assert ask(breaker, Outcome.UNKNOWN, 2) == [Permit.PROBE, Permit.PROBE]


def test_one_that_came_before_it_opened_and_fails_late_changes_nothing(breaker: Breaker, clock: Clock) -> None:
    late = breaker.enter()
    half_opened(breaker, clock)
    probe = breaker.enter()
    assert late and probe
    breaker.leave(late, Outcome.FAILURE)
    assert breaker.enter() is None
    breaker.leave(probe, Outcome.UNKNOWN)
    assert breaker.enter() is Permit.PROBE


def test_one_that_came_before_it_opened_and_succeeds_late_closes_it(breaker: Breaker) -> None:
    late = breaker.enter()
    opened(breaker)
    assert late
    breaker.leave(late, Outcome.SUCCESS)
    assert is_closed(breaker)


def test_the_log_tells_once_that_it_opened_and_once_that_it_closed(
    breaker: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    steps: list[tuple[Callable[[], object], int]] = [
        (lambda: ask(breaker, Outcome.SUCCESS), 0),
        (lambda: ask(breaker, Outcome.FAILURE, FAILURES + 3), 1),
        (lambda: setattr(clock, "now", clock.now + OPEN_SECONDS), 1),
        (lambda: ask(breaker, Outcome.FAILURE, 3), 1),
        (lambda: setattr(clock, "now", clock.now + OPEN_SECONDS), 1),
        (lambda: ask(breaker, Outcome.SUCCESS, 3), 2),
    ]
    for step, warnings in steps:
        step()
        assert [record.levelno for record in caplog.records] == [logging.WARNING] * warnings
    assert "tiny failed 5 times in a row" in caplog.messages[0] and "tiny answers again" in caplog.messages[1]
