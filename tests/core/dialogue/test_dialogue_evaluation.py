"""The routing figures, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from core.dialogue.evaluation import Routed, detection_figures, routing_figures

# Two questions about "a", two about "b", two out of scope; one "a" is answered with "b", one "b" is not answered, one stray is answered.
SIX = [
    Routed("a", "a", True, 0.95),
    Routed("a", "b", True, 0.75),
    Routed("b", "b", True, 0.85),
    Routed("b", "b", False, 0.35),
    Routed(None, "a", False, 0.25),
    Routed(None, "a", True, 0.65),
]


def test_shares_are_counted() -> None:
    figures = routing_figures(SIX)
    assert figures["n"] == 6
    assert figures["accuracy"] == pytest.approx(3 / 6)
    assert figures["in_scope_accuracy"] == pytest.approx(2 / 4)
    assert figures["out_of_scope_recall"] == pytest.approx(1 / 2)
    assert figures["coverage"] == pytest.approx(4 / 6)
    assert figures["precision"] == pytest.approx(2 / 4)


def test_the_correlation_coefficient_is_the_one_for_many_classes() -> None:
    # Gorodkin: (c s - sum p_k t_k) / sqrt((s^2 - sum p_k^2) (s^2 - sum t_k^2)), with c = 3 right of s = 6 and the true and given
    # counts t = p = (2, 2, 2): (18 - 12) / sqrt((36 - 12) (36 - 12)) = 6 / 24.
    assert routing_figures(SIX)["mcc"] == pytest.approx(0.25)


def test_the_correlation_coefficient_of_two_classes_is_the_usual_one() -> None:
    # 3 true positives, 1 false positive, 1 false negative, 2 true negatives: (3*2 - 1*1) / sqrt(4 * 4 * 3 * 3) = 5/12.
    routed = (
        [Routed("a", "a", True, 1.0)] * 3
        + [Routed(None, "a", True, 1.0), Routed("a", "a", False, 0.0)]
        + [Routed(None, "a", False, 0.0)] * 2
    )
    assert routing_figures(routed)["mcc"] == pytest.approx(5 / 12)


def test_all_right_is_one_and_all_of_one_class_is_no_correlation() -> None:
    assert routing_figures([Routed("a", "a", True, 1.0), Routed(None, "a", False, 0.0)])["mcc"] == pytest.approx(1.0)
    assert routing_figures([Routed("a", "a", True, 1.0)] * 3)["mcc"] == 0.0


def test_the_calibration_error_weighs_each_bin_by_its_size() -> None:
    # Bin 0.9: two at 0.95, one right: |0.5 - 0.95| * 2 = 0.9. Bin 0.2: two at 0.2, one right: |0.5 - 0.2| * 2 = 0.6. Sum over 4.
    routed = [Routed("a", "a", True, 0.95), Routed("a", "b", True, 0.95), Routed("a", "a", False, 0.2), Routed(None, "a", False, 0.2)]
    assert routing_figures(routed)["calibration_error"] == pytest.approx(1.5 / 4)


def test_full_confidence_falls_into_the_last_bin() -> None:
    assert routing_figures([Routed("a", "a", True, 1.0)])["calibration_error"] == pytest.approx(0.0)


def test_the_curve_moves_the_threshold_down() -> None:
    assert routing_figures(SIX[:3])["curve"] == [
        {"confidence": 0.95, "coverage": 0.3333, "precision": 1.0},
        {"confidence": 0.85, "coverage": 0.6667, "precision": 1.0},
        {"confidence": 0.75, "coverage": 1.0, "precision": 0.6667},
    ]


def test_the_curve_of_many_questions_has_forty_points() -> None:
    curve = routing_figures([Routed("a", "a", True, number / 1000) for number in range(1000)])["curve"]
    assert len(curve) == 40
    assert curve[-1]["coverage"] == 1.0


def test_no_question_at_all_has_no_shares() -> None:
    figures = routing_figures([])
    assert (figures["n"], figures["accuracy"], figures["precision"], figures["mcc"], figures["coverage"]) == (0, None, None, 0.0, 0.0)
    assert (figures["curve"], figures["calibration_error"]) == ([], 0.0)


def test_detection_is_precision_recall_and_their_harmonic_mean() -> None:
    figures = detection_figures([True, True, True, False, False], [True, False, False, True, False])
    assert (figures["n"], figures["positives"]) == (5, 3)
    assert (figures["precision"], figures["recall"]) == (pytest.approx(1 / 2), pytest.approx(1 / 3))
    assert math.isclose(figures["f1"], 0.4)  # 2 * (1/2 * 1/3) / (5/6)


def test_detecting_nothing_is_zero_and_no_error() -> None:
    assert detection_figures([True, False], [False, False])["f1"] == 0.0
