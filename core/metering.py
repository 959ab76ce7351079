"""The port that deliveries are counted and measured through, and a meter that forgets everything."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from core.domain import Decision


class Event(StrEnum):
    """What is counted."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # a platform sent again what was stored before
    LEASE_LOST = "lease_lost"  # work was thrown away because somebody else had taken over
    TAKEOVER = "takeover"  # a lease that had run out was claimed by another
    AMBIGUOUS_SEND = "ambiguous_send"  # a reply may have arrived: the platform has to be asked
    DEAD = "dead"  # given up on


class Measure(StrEnum):
    """What is measured."""

    ATTEMPTS = "attempts"  # claims that one turn or reply took until it was done or given up on
    MODEL_SECONDS = "model_seconds"


class Meter(Protocol):
    """Never fails and never blocks."""

    def count(self, event: Event) -> None:
        """Count one more."""
        ...

    def observe(self, measure: Measure, value: float) -> None:
        """Add one measurement."""
        ...

    def answered(self, decision: Decision, seconds: float) -> None:
        """Add the time from a message being accepted to its reply being sent."""
        ...


class NoMeter:
    """`Meter` for whoever measures nothing."""

    def count(self, event: Event) -> None:
        """Do nothing."""

    def observe(self, measure: Measure, value: float) -> None:
        """Do nothing."""

    def answered(self, decision: Decision, seconds: float) -> None:
        """Do nothing."""
