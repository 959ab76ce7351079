"""How well held-out wordings find their passage, looked at while a retriever learns."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from core.learning import Interval
from core.training.chance import draw
from core.training.evaluation import interval
from core.training.support import Encode
from core.training.wordings import Asked, Wordings, answers_alike

JUDGED = "eval_cosine_mrr@10"  # what decides which look is kept: as recall@1, with less chance in it
FOUND_FIRST = "eval_cosine_accuracy@1"
_MOST_ASKED = 500  # held-out wordings at a look: a standard error of 0.01 at a recall of 0.95
_MOST_FOUND = 4000  # texts among which they are looked for; more would take longer than the training between two looks


class Found(NamedTuple):
    """How held-out wordings are found."""

    recall_at_1: float
    mrr_at_10: float

    def figures(self) -> dict[str, float]:
        """Return them by the names that `frontdesk evaluate retrieval` gives them."""
        return {"recall@1": self.recall_at_1, "mrr@10": self.mrr_at_10}


class _Search(NamedTuple):
    """What is looked for, among what, and which texts are right, by number and by name."""

    asked: list[Asked]
    corpus: dict[str, str]
    right: list[set[str]]


def judge(wordings: Wordings) -> Any:
    """Return what looks for held-out wordings among what is learnt from, as retrieval does among what it indexes."""
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    search = _search(wordings)
    queries = {str(number): one.question for number, one in enumerate(search.asked)}
    relevant = {str(number): names for number, names in enumerate(search.right)}
    return InformationRetrievalEvaluator(queries, search.corpus, relevant, accuracy_at_k=[1], write_csv=False, batch_size=64)


def compared(wordings: Wordings, old: Encode, new: Encode) -> tuple[Interval, int]:
    """Return by how much `new` finds held-out wordings better than `old` (reciprocal ranks among ten), and how many were asked."""
    search = _search(wordings)
    before, after = (_ranks(search, encode) for encode in (old, new))
    differences = [found - was for was, found in zip(before, after, strict=True)]
    return interval(differences, [one.topic for one in search.asked]), len(differences)


def _ranks(search: _Search, encode: Encode) -> list[float]:
    names, vectors = list(search.corpus), encode(list(search.corpus.values()))
    scores = encode([one.question for one in search.asked]) @ vectors.T
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    return [
        next((1 / place for place, number in enumerate(row, 1) if names[number] in right), 0.0)
        for row, right in zip(nearest.tolist(), search.right, strict=True)
    ]


def _search(wordings: Wordings) -> _Search:
    alike = dict(zip((topic.name for topic in wordings.topics), answers_alike(wordings.topics), strict=True))
    share = _MOST_FOUND / max(1, wordings.count)
    corpus: dict[str, str] = {}
    texts_of: dict[str, set[str]] = {name: set() for name in alike.values()}
    for topic in wordings.topics:
        kept = max(2, math.ceil(share * len(topic.questions)))
        for number, text in enumerate([topic.answer, *topic.questions][: kept + 1]):
            corpus[f"{topic.name} {number}"] = text
            texts_of[alike[topic.name]].add(f"{topic.name} {number}")
    asked = sorted(wordings.held_out, key=lambda one: draw(one.question, 1 << 30))[:_MOST_ASKED]
    return _Search(asked, corpus, [texts_of[alike[one.topic]] for one in asked])


def found(log: dict[str, Any]) -> Found:
    """Return what a look found, as a trainer logs it."""
    return Found(float(log[FOUND_FIRST]), float(log[JUDGED]))
