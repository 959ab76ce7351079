"""From the answers of two versions to the same questions, to a report of how they compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.learning import Loss, Report, Sample
from core.training.evaluation import Written, compared, figures

_SAMPLES = 20  # of each end: enough to see what kind of mistake it is, and 40 answers are some 20 kB in a row of SQL


def report_of(
    before: Sequence[Written], after: Sequence[Written], *, losses: Sequence[Loss] = (), versions: Mapping[str, str] | None = None
) -> Report:
    """Return how `after` compares with `before`, question by question; its samples are those that got worst and those that got best."""
    return Report(figures(before), figures(after), compared(before, after), tuple(losses), samples(before, after), dict(versions or {}))


def samples(before: Sequence[Written], after: Sequence[Written]) -> tuple[Sample, ...]:
    """Return the questions with a reference whose answers changed, worst change first; of the middle of a long list nothing is kept.

    Who must leave some questions out gives the others alone.
    """
    changed = [_sample(old, new) for old, new in zip(before, after, strict=True) if old.reference and old.text != new.text]
    changed.sort(key=lambda one: one.rouge_l_after - one.rouge_l_before)
    return tuple(changed if len(changed) <= 2 * _SAMPLES else changed[:_SAMPLES] + changed[-_SAMPLES:])


def _sample(old: Written, new: Written) -> Sample:
    return Sample(old.question, old.reference, old.text, new.text, old.rouge_l, new.rouge_l)
