"""A dataset in two parts, one to learn from and one to judge by, and the checks that make the judgement worth something."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from core import prompting
from core.errors import TrainingError
from core.text import fold
from core.training import faq
from core.training.corrected import SOURCE as CORRECTION
from core.training.dataset import Dataset, Row

LEAKED = "the same question or answer is learnt from"
SPLIT = "another answer of its conversation is kept for judging"
CONTRADICTED = "its question is answered differently elsewhere"
FEWEST = 8  # rows to learn from: fewer teach nothing that would hold for other questions
_MOST_ALIKE = 0.9  # of all rows may have one answer
_CITED = re.compile(r"\s*\[\d{1,2}\]")
_NAMED = 5  # questions; more are no help
_A_SENTENCE = 8  # words; short answers such as "Yes, it is." may be right for two questions


class Parts(NamedTuple):
    """Rows to learn from and rows to judge by."""

    train: tuple[Row, ...]
    held_out: tuple[Row, ...]
    left_out: Counter[str]

    @property
    def sha256(self) -> str:
        """The hash of every row and its part."""
        said = [json.dumps([part, row], ensure_ascii=False, sort_keys=True) for part in (0, 1) for row in self[part]]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Said:
    """What rows say, to find it again."""

    questions: frozenset[str]
    answers: frozenset[str]

    def holds(self, row: Row) -> bool:
        return _question(row) in self.questions or _answer(row) in self.answers


def parts(dataset: Dataset, held_out: frozenset[str]) -> Parts:
    """Return the rows of a dataset by part; what would be judged though it is learnt from elsewhere is left out.

    A conversation about several things may have answers on both sides: those to learn from are left out. Groups cannot follow their
    conversations instead: popular passages are asked for in so many of them that all groups would become one.
    """
    kept = [row for row in dataset.rows if row["meta"]["group"] in held_out]
    judged_in = {row["meta"]["conversation"] for row in kept if row["meta"].get("conversation")}
    others = [row for row in dataset.rows if row["meta"]["group"] not in held_out]
    train = tuple(row for row in others if row["meta"].get("conversation") not in judged_in)
    answers = map(_answer, train)
    learnt = _Said(frozenset(map(_question, train)), frozenset(answer for answer in answers if len(answer.split()) >= _A_SENTENCE))
    judged = tuple(row for row in kept if not learnt.holds(row))
    left_out = dataset.left_out + Counter({LEAKED: len(kept) - len(judged), SPLIT: len(others) - len(train)})
    return Parts(train, judged, left_out)


def refuse_useless(found: Parts) -> None:
    """Raise `TrainingError` for a dataset that is empty, tiny or one-sided, with what to do."""
    if len(found.train) < FEWEST or not found.held_out:
        left_out = "; ".join(f"{count} left out: {reason}" for reason, count in found.left_out.items() if count)
        raise TrainingError(
            f"There are {len(found.train)} examples to learn from and {len(found.held_out)} to judge by; {FEWEST} and 1 are the fewest "
            f"that make sense. Import more FAQ rows, or approve more corrections.{f' ({left_out})' if left_out else ''}"
        )
    answer, count = Counter(map(_answer, found.train)).most_common(1)[0]
    if count > _MOST_ALIKE * len(found.train):
        what = "abstain" if prompting.abstains(answer) else "are the same"
        raise TrainingError(
            f"{count} of {len(found.train)} answers {what}: a model would learn to say nothing else. Add examples with other answers."
        )


def settled(dataset: Dataset) -> Dataset:
    """Return a dataset in which no question has two different answers: approved corrections are believed, then the FAQ, then reviews.

    FAQ rows that differ are all left out, of corrections of one row and of answers that a reviewer found good the last counts. Raises
    `TrainingError` for corrections of several rows that differ, because people approved them all.
    """
    disputed: dict[str, list[Row]] = {question: [] for question in conflicts(dataset.rows)}
    for row in dataset.rows:
        if _question(row) in disputed and not prompting.abstains(_answer(row)):
            disputed[_question(row)].append(row)
    _refuse_torn(disputed)
    wrong = {row["meta"]["id"] for rows in disputed.values() for row in rows if _answer(row) != _believed(rows)}
    rows = [row for row in dataset.rows if row["meta"]["id"] not in wrong]
    return replace(dataset, rows=rows, left_out=dataset.left_out + Counter({CONTRADICTED: len(dataset.rows) - len(rows)}))


def _refuse_torn(disputed: Mapping[str, Sequence[Row]]) -> None:
    torn = {question: _corrections(rows) for question, rows in disputed.items() if len(set(_corrections(rows).values())) > 1}
    if torn:
        named = list(torn.items())[:_NAMED]
        told = "; ".join(f"{_name(question, disputed[question])} (FAQ rows {', '.join(sorted(answers))})" for question, answers in named)
        raise TrainingError(
            f"Approved corrections answer {len(torn)} question{'s' * (len(torn) > 1)} differently: {told}. A model would learn one of "
            "them by chance. Take the FAQ row that is wrong out (console, Knowledge); its corrections are then left out."
        )


def _name(question: str, rows: Sequence[Row]) -> str:
    """Return a question as messages name it: they are kept longer than a customer's own words, and shown to more people."""
    return "a customer's question" if any(row["meta"]["own_words"] for row in rows) else repr(question)


def _corrections(rows: Sequence[Row]) -> dict[str, str]:
    """Return the answer of the last correction of each FAQ row."""
    return {str(row["meta"]["passage_id"]): _answer(row) for row in rows if row["meta"]["source"] == CORRECTION}


def _believed(rows: Sequence[Row]) -> str:
    """Return the right one of several answers, empty when nobody can tell."""
    if corrected := list(_corrections(rows).values()):
        return corrected[0]
    told = [_answer(row) for row in rows if row["meta"]["source"] == faq.SOURCE]
    return (told[0] if len(set(told)) == 1 else "") if told else _answer(rows[-1])


def conflicts(rows: Sequence[Row]) -> dict[str, int]:
    """Return the questions that have several different answers, and how many."""
    answers: dict[str, set[str]] = {}
    for row in rows:
        if not prompting.abstains(_answer(row)):
            answers.setdefault(_question(row), set()).add(_answer(row))
    return {question: len(found) for question, found in answers.items() if len(found) > 1}


def _question(row: Row) -> str:
    asked: str = row["messages"][-2]["content"]
    return fold(asked.rpartition("Question: ")[2]).lower()


def _answer(row: Row) -> str:
    return fold(_CITED.sub("", row["messages"][-1]["content"])).lower()
