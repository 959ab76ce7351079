"""Numbers for an operator's monitoring, in the text format of Prometheus; the only place that knows the library."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from core.domain import Decision
from core.errors import FrontdeskError
from core.metering import Event, Measure
from core.ports import Backlog

logger = logging.getLogger(__name__)

# It doubles the number of series for a time that nobody asks for, and the library knows only this switch.
disable_created_metrics()  # type: ignore[no-untyped-call]

_COUNTERS = {
    Event.ACCEPTED: ("frontdesk_accepted_total", "Messages stored to be answered"),
    Event.DUPLICATE: ("frontdesk_duplicates_total", "Messages that a platform delivered again"),
    Event.LEASE_LOST: ("frontdesk_leases_lost_total", "Work thrown away because another process had taken over"),
    Event.TAKEOVER: ("frontdesk_takeovers_total", "Leases that ran out and were taken over"),
    Event.AMBIGUOUS_SEND: ("frontdesk_ambiguous_sends_total", "Replies that may have arrived when the connection broke"),
    Event.DEAD: ("frontdesk_dead_total", "Messages and replies given up on"),
}
_HISTOGRAMS = {
    Measure.ATTEMPTS: ("frontdesk_attempts", "Attempts until a turn or reply was done or given up on", (1, 2, 3, 4, 5, 8)),
    Measure.MODEL_SECONDS: ("frontdesk_model_seconds", "Time the language model took", (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 45)),
}
_ANSWER_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 45, 60, 120, 300)  # up to a takeover or two: a lease is a minute at most
_GAUGES = {
    "waiting": ("frontdesk_inbox_waiting", "Messages that wait for an answer"),
    "oldest_seconds": ("frontdesk_inbox_oldest_seconds", "Age of the oldest of them"),
    "undelivered": ("frontdesk_outbox_undelivered", "Replies that wait for their platform"),
    "dead": ("frontdesk_dead", "Messages given up on and not looked after yet"),
}


class Metrics:
    """`Meter` that an operator's Prometheus can read."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters = {event: Counter(name, told, registry=self._registry) for event, (name, told) in _COUNTERS.items()}
        self._histograms = {
            measure: Histogram(name, told, buckets=buckets, registry=self._registry)
            for measure, (name, told, buckets) in _HISTOGRAMS.items()
        }
        self._answer_seconds = Histogram(
            "frontdesk_answer_seconds",
            "From a message being accepted to its reply being sent",
            ["decision"],
            buckets=_ANSWER_SECONDS,
            registry=self._registry,
        )

    def count(self, event: Event) -> None:
        """Count one more."""
        self._counters[event].inc()

    def observe(self, measure: Measure, value: float) -> None:
        """Add one measurement."""
        self._histograms[measure].observe(value)

    def answered(self, decision: Decision, seconds: float) -> None:
        """Add the time from accepting a message to its reply being sent."""
        self._answer_seconds.labels(decision.value).observe(seconds)

    async def exposition(self, backlog: Callable[[], Awaitable[Backlog]] | None = None) -> bytes:
        """Return everything counted so far, and what waits by now when there is an inbox to ask.

        A database that is out of reach leaves the gauges out: an old figure would look like a fresh one.
        """
        counted = generate_latest(self._registry)
        if backlog is None:
            return counted
        try:
            return counted + _gauges(await backlog())
        except FrontdeskError as error:
            logger.warning("the backlog is not among the metrics: %s", error)
            return counted


def _gauges(backlog: Backlog) -> bytes:
    """A registry for each scrape: two at once cannot mix, and `frontdesk_dead` is also the name of a counter's family."""
    registry = CollectorRegistry()
    for field, (name, told) in _GAUGES.items():
        Gauge(name, told, registry=registry).set(getattr(backlog, field))
    return generate_latest(registry)
