"""Runs of the learning loop: what was trained on what staff approved, how it compares, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from core.registry import Kind


class State(StrEnum):
    """What became of a run."""

    RUNNING = "running"
    PROMOTED = "promoted"  # the gate let it pass: it serves
    CHALLENGER = "challenger"  # trained and measured, but the gate kept the champion
    NOTHING = "nothing"  # there was nothing new to learn from
    FAILED = "failed"


class Interval(NamedTuple):
    """A difference of means and its 95 % confidence interval."""

    difference: float
    low: float
    high: float


class Loss(NamedTuple):
    """One point of the learning curve, in nats per answer token; None where it was not taken."""

    step: int
    train: float | None
    held_out: float | None


class Sample(NamedTuple):
    """One held-out question, as both versions answered it."""

    question: str
    reference: str
    before: str
    after: str
    rouge_l_before: float
    rouge_l_after: float


@dataclass(frozen=True, slots=True)
class Report:
    """A version against the champion on the same questions; figures are named as by `frontdesk evaluate answers`."""

    before: Mapping[str, float | None]
    after: Mapping[str, float | None]
    differences: Mapping[str, Interval]  # new minus old, for those figures that are paired
    losses: tuple[Loss, ...] = ()
    samples: tuple[Sample, ...] = ()  # worst change first
    versions: Mapping[str, str] = field(default_factory=dict)  # of the index, the embedder, the prompt, the data, the recipe


@dataclass(frozen=True, slots=True)
class LearningRun:
    """One run of the loop for one kind of model."""

    run_id: str
    kind: Kind
    actor: str
    state: State
    started_at: datetime
    ended_at: datetime | None = None
    model_id: str = ""  # what it made; empty until it is registered
    against: str = ""  # the champion it was compared with
    reason: str = ""  # why it was promoted or not, or what failed, in a sentence for people
    report: Report | None = None


class RunBook(Protocol):
    """Where runs are kept."""

    async def begin(self, run: LearningRun) -> None:
        """Keep a run that starts."""
        ...

    async def end(self, run: LearningRun) -> None:
        """Replace what is known of a run by how it ended."""
        ...

    async def run(self, run_id: str) -> LearningRun | None:
        """Return a run with its report, None for one that is not known."""
        ...

    async def runs(self, limit: int = 50) -> tuple[LearningRun, ...]:
        """Return the newest runs, newest first, without their reports."""
        ...
