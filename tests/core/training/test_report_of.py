"""A report from the answers of two versions."""

from __future__ import annotations

from dataclasses import replace

from core.learning import Loss
from core.training.report_of import report_of
from tests.core.training.test_evaluation import ONE


def test_a_report_tells_the_worst_changes_first_and_forgets_the_middle() -> None:
    before = [replace(ONE, question=str(number)) for number in range(60)]
    words = "It takes three days".split()
    after = [replace(one, text=" ".join(words[: number % 5]) or "No.") for number, one in enumerate(before)]
    after[7] = replace(before[7])
    report = report_of(before, after, losses=[Loss(1, 0.5, None)], versions={"model": "new"})
    changes = [one.rouge_l_after - one.rouge_l_before for one in report.samples]
    assert changes == sorted(changes) and len(changes) == 40 and changes[0] == -1 and changes[-1] == 0
    assert "7" not in [one.question for one in report.samples], "its answer is the same"
    assert (report.before["n"], report.after["n"], report.losses[0].train, report.versions) == (60, 60, 0.5, {"model": "new"})
    assert report.differences["rouge_l"].high < 0


def test_questions_without_a_reference_are_no_samples() -> None:
    assert report_of([replace(ONE, reference="")], [replace(ONE, reference="", text="No.")]).samples == ()
