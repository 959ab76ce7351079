"""What staff read of a run of learning is three lines, and what stands in its report is what was held out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bot.bootstrap_learning import question_of, shown, spread
from bot.bootstrap_training import Material
from bot.learning_news import choices, news
from core import prompting
from core.domain import Passage, utc_now
from core.learning import Interval, LearningRun, Report, State
from core.registry import Kind
from core.training.evaluation import Written
from core.training.parts import Parts

REPORT = Report({"n": 60}, {"n": 60}, {"rouge_l": Interval(0.3, 0.2, 0.4), "citation": Interval(0.0, -0.01, 0.01)})
RUN = LearningRun("run-7", Kind.GENERATOR, "schedule", State.PROMOTED, utc_now(), None, "b@2", "a@1", "It is better.", REPORT)
PASSAGES = tuple(Passage(f"p{number}", f"p{number}", f"Item {number}?", f"Item {number} is a lamp.") for number in range(3))


def test_the_news_are_three_lines_with_the_way_to_the_report() -> None:
    assert news(RUN, "https://desk.example.com/").split("\n\n") == [
        "**Learning: b@2 serves now, in place of a@1**",
        "60 held-out questions: ROUGE-L +0.300 (+0.200 to +0.400), citation +0.000 (-0.010 to +0.010)",
        "It is better. [Report](https://desk.example.com/console/models/runs/run-7)",
    ]
    assert news(RUN, "").endswith("It is better. Report in the console: /console/models/runs/run-7")


@pytest.mark.parametrize(
    ("state", "offered"),
    [(State.PROMOTED, ["Roll back", "Keep"]), (State.CHALLENGER, ["Promote", "Keep"]), (State.FAILED, []), (State.RUNNING, [])],
)
def test_what_was_done_can_be_taken_back_and_what_was_not_can_be_done(state: State, offered: list[str]) -> None:
    assert [one.label for one in choices(replace(RUN, state=state))] == offered


def row(number: int, answer: str, *, own_words: bool = False) -> dict[str, Any]:
    prompt = prompting.build(f"Item {number}?", PASSAGES)
    meta = {"id": f"e{number}", "passage_id": f"p{number}", "own_words": own_words}
    return {"messages": [*prompting.messages(prompt), {"role": "assistant", "content": answer}], "meta": meta}


def material(*rows: dict[str, Any]) -> Material:
    prompts = {one["meta"]["id"]: prompting.build(f"Item {one['meta']['passage_id'][1:]}?", PASSAGES) for one in rows}
    return Material(Parts((), rows, Counter()), {}, prompts)


def test_a_held_out_row_is_asked_with_its_own_prompt_and_judged_by_its_own_answer() -> None:
    answered, silent = row(1, "Item 1 is a lamp. [2]"), row(2, prompting.ABSTENTION)
    kept = material(answered, silent)
    asked = question_of(answered, kept)
    assert prompting.messages(asked.prompt) == answered["messages"][:-1]
    assert (asked.reference, asked.relevant) == ("Item 1 is a lamp.", {"p1"})
    assert (question_of(silent, kept).reference, question_of(silent, kept).relevant) == ("", frozenset())


def written(number: int, text: str) -> Written:
    return Written(f"Item {number}?", f"Item {number} is a lamp.", text, PASSAGES, frozenset({f"p{number}"}), True, 0.1)


def test_samples_begin_with_the_worst_change_and_hold_no_words_of_customers() -> None:
    rows = [row(number, "x", own_words=number == 0) for number in range(4)]
    old = [written(number, f"Item {number} is a lamp.") for number in range(len(rows))]
    new = [replace(one, text=("No.", "A lamp it is.", "No.", one.text)[number]) for number, one in enumerate(old)]
    found = shown(rows, old, new)
    assert len(found) == 2
    assert (found[0].question, found[0].after, found[0].rouge_l_before) == ("Item 2?", "No.", 1.0)
    assert "Item 0?" not in {one.question for one in found}


def test_many_held_out_rows_are_spread_evenly() -> None:
    rows = [row(number, "x") for number in range(10)]
    assert [one["meta"]["id"] for one in spread(rows, 5)] == ["e0", "e2", "e4", "e6", "e8"]
    assert spread(rows, 20) == rows
