"""Metrics: every count and time under its promised name, and what waits as it is when they are read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.metrics import Metrics
from core.domain import Decision
from core.errors import StorageError
from core.metering import Event, Measure, Meter, NoMeter
from core.ports import Backlog

COUNTERS = {
    Event.ACCEPTED: "frontdesk_accepted_total",
    Event.DUPLICATE: "frontdesk_duplicates_total",
    Event.LEASE_LOST: "frontdesk_leases_lost_total",
    Event.TAKEOVER: "frontdesk_takeovers_total",
    Event.AMBIGUOUS_SEND: "frontdesk_ambiguous_sends_total",
    Event.DEAD: "frontdesk_dead_total",
}


def backlog_of(*found: Backlog) -> Callable[[], Awaitable[Backlog]]:
    """An inbox that is asked as often as there are answers."""
    left = list(found)

    async def backlog() -> Backlog:
        return left.pop(0)

    return backlog


def samples(page: bytes) -> dict[str, float]:
    """Every sample, labels in its name; the parser is the library's own and refuses what is malformed."""
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("event", list(Event))
async def test_every_event_has_a_counter_that_begins_at_zero_and_counts_only_it(event: Event) -> None:
    metrics = Metrics()
    before = samples(await metrics.exposition())
    metrics.count(event)
    metrics.count(event)
    after = samples(await metrics.exposition())
    assert [before[name] for name in COUNTERS.values()] == [0.0] * len(COUNTERS)
    assert {name: value - before[name] for name, value in after.items() if value != before[name]} == {COUNTERS[event]: 2.0}


async def test_what_waits_is_asked_for_at_every_scrape() -> None:
    metrics = Metrics()
    inbox = backlog_of(Backlog(3, 12.5, 1, 2), Backlog(0, 0.0, 0, 0))
    first, second = [samples(await metrics.exposition(inbox)) for _ in range(2)]
    told = {"frontdesk_inbox_waiting": 3, "frontdesk_inbox_oldest_seconds": 12.5, "frontdesk_outbox_undelivered": 2, "frontdesk_dead": 1}
    assert {name: first[name] for name in told} == told
    assert {name: second[name] for name in told} == dict.fromkeys(told, 0)


async def test_those_given_up_on_now_and_ever_are_two_figures() -> None:
    metrics = Metrics()
    metrics.count(Event.DEAD)
    found = samples(await metrics.exposition(backlog_of(Backlog(0, 0.0, 7, 0))))
    assert (found["frontdesk_dead"], found["frontdesk_dead_total"]) == (7, 1)


async def test_without_a_database_counts_are_served_and_no_old_figure_of_what_waits() -> None:
    async def unreachable() -> Backlog:
        raise StorageError("the database is out of reach")

    metrics = Metrics()
    metrics.count(Event.ACCEPTED)
    await metrics.exposition(backlog_of(Backlog(3, 12.5, 1, 2)))
    found = samples(await metrics.exposition(unreachable))
    assert found["frontdesk_accepted_total"] == 1
    assert "frontdesk_inbox_waiting" not in found


@pytest.mark.parametrize("measure", list(Measure))
async def test_every_measure_is_a_histogram(measure: Measure) -> None:
    name, metrics = f"frontdesk_{measure}", Metrics()
    for value in (1, 3, 1000):
        metrics.observe(measure, value)
    found = samples(await metrics.exposition())
    assert (found[f"{name}_count"], found[f"{name}_sum"]) == (3, 1004)
    assert (found[f"{name}_bucket[1.0]"], found[f"{name}_bucket[5.0]"], found[f"{name}_bucket[+Inf]"]) == (1, 2, 3)


async def test_the_time_of_an_answer_is_kept_by_decision() -> None:
    metrics = Metrics()
    metrics.answered(Decision.DIRECT, 0.2)
    metrics.answered(Decision.HANDOFF, 70)
    found = samples(await metrics.exposition())
    assert (found["frontdesk_answer_seconds_sum[direct]"], found["frontdesk_answer_seconds_sum[handoff]"]) == (0.2, 70)
    assert found["frontdesk_answer_seconds_bucket[direct][0.25]"] == 1
    assert found["frontdesk_answer_seconds_bucket[handoff][60.0]"] == 0


async def test_one_process_may_hold_two_that_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.count(Event.ACCEPTED)
    assert samples(await other.exposition())["frontdesk_accepted_total"] == 0


@pytest.mark.parametrize("meter", [NoMeter(), Metrics()])
def test_every_meter_takes_every_event_and_measure(meter: Meter) -> None:
    for event in Event:
        meter.count(event)
    for measure in Measure:
        meter.observe(measure, 1.0)
    for decision in Decision:
        meter.answered(decision, 1.0)
