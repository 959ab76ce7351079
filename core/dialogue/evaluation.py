"""How well questions are routed: the right answer, or rightly none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_CURVE_POINTS = 40


@dataclass(frozen=True, slots=True)
class Routed:
    """One labelled question and what became of it; None stands for out of scope."""

    expected: str | None
    found: str | None  # label of the best hit, whether or not it was given
    answered: bool
    confidence: float

    @property
    def given(self) -> str | None:
        """The label the customer got an answer from."""
        return self.found if self.answered else None


def routing_figures(routed: Sequence[Routed]) -> dict[str, Any]:
    """Return accuracy, in-scope accuracy, out-of-scope recall, MCC, coverage, precision, calibration error and the curve.

    MCC is the multi-class one (Gorodkin 2004) over labels, out of scope being one of them.
    """
    right = [one.given == one.expected for one in routed]
    answered = [one for one in routed if one.answered]
    in_scope = [one for one in routed if one.expected is not None]
    outside = [one for one in routed if one.expected is None]
    labels = [(one.expected or "", one.given or "") for one in routed]
    return {
        "n": len(routed),
        "accuracy": _mean(right),
        "in_scope_accuracy": _mean([one.given == one.expected for one in in_scope]),
        "out_of_scope_recall": _mean([one.given is None for one in outside]),
        "mcc": _correlation(labels),
        "coverage": len(answered) / max(len(routed), 1),
        "precision": _mean([one.given == one.expected for one in answered]),
        "calibration_error": _calibration_error(routed),
        "curve": _curve(routed),
    }


def detection_figures(expected: Sequence[bool], found: Sequence[bool]) -> dict[str, Any]:
    """Return precision, recall and F1 of a yes/no recogniser."""
    hits = sum(a and b for a, b in zip(expected, found, strict=True))
    precision, recall = hits / max(sum(found), 1), hits / max(sum(expected), 1)
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    return {"n": len(expected), "positives": sum(expected), "precision": precision, "recall": recall, "f1": f1}


def _correlation(labels: Sequence[tuple[str, str]]) -> float:
    from sklearn.metrics import matthews_corrcoef

    if len({label for pair in labels for label in pair}) < 2:
        return 0.0  # undefined; sklearn warns
    return float(matthews_corrcoef(*zip(*labels, strict=True)))


def _mean(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _calibration_error(routed: Sequence[Routed], bins: int = 10) -> float:
    """Expected calibration error of the confidence (Guo et al. 2017, eq. 3)."""
    confidence = np.array([one.confidence for one in routed])
    gap = np.array([float(one.found is not None and one.found == one.expected) for one in routed]) - confidence
    sums = np.bincount(np.minimum((confidence * bins).astype(int), bins - 1), gap, bins)
    return float(np.abs(sums).sum() / max(len(routed), 1))


def _curve(routed: Sequence[Routed]) -> list[dict[str, float]]:
    """Coverage and precision if the threshold were moved, most confident first."""
    ordered = sorted(routed, key=lambda one: -one.confidence)
    right = np.cumsum([one.found == one.expected for one in ordered])
    cuts = np.unique(np.linspace(1, len(ordered), _CURVE_POINTS).astype(int)) if ordered else np.array([], int)
    return [
        {
            "confidence": round(ordered[cut - 1].confidence, 4),
            "coverage": round(cut / len(ordered), 4),
            "precision": round(float(right[cut - 1] / cut), 4),
        }
        for cut in map(int, cuts)
    ]
