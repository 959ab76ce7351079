"""Runs of the learning loop: what was trained on what staff approved, how it compares, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from core.errors import TrainingError
from core.registry import Kind


class State(StrEnum):
    """What became of a run."""

    RUNNING = "running"
    PROMOTED = "promoted"  # the gate let it pass: it serves
    CHALLENGER = "challenger"  # trained and measured, but the gate kept the champion
    NOTHING = "nothing"  # there was nothing new to learn from
    FAILED = "failed"


BEAT_SECONDS = 15.0  # a run says so often that it goes on
SILENT_SECONDS = 120.0  # after so long its process has died: one that trains on all cores may be late, but not by that much
STOPPED = "It was stopped in the middle. The same command goes on from what was learnt."
DIED = "Its process ended in the middle. The same command goes on from what was learnt."


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


class Doing(NamedTuple):
    """The part of a run that goes on, and how far that is."""

    part: str  # "train", "answer after": as its bar is named
    done: int
    total: int
    loss: float | None = None  # of the last step, where it trains
    left_seconds: float | None = None  # as long as this part goes on as fast; None at its beginning


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
    doing: Doing | None = None  # while it goes on; as old as its last sign of life


def goes_on(run: LearningRun) -> TrainingError:
    """Return what to raise for who would begin beside a run."""
    return TrainingError(f"A run goes on already, begun {run.started_at:%Y-%m-%d %H:%M} UTC by {run.actor}. Wait for it to end.")


class RunBook(Protocol):
    """Where runs are kept, their times by the database's clock. One goes on at a time, on whatever machine.

    A run whose process has died is not going on: `SILENT_SECONDS` after its last sign of life it has `FAILED`.
    """

    async def begin(self, run: LearningRun) -> None:
        """Keep a run that starts. Raises `TrainingError` while another one goes on."""
        ...

    async def beat(self, run_id: str, doing: Doing | None = None) -> None:
        """Say that a run still goes on, and how far it is. One that has ended stays ended."""
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
