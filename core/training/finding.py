"""How well held-out wordings find their passage, looked at while a retriever learns."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from core.training.chance import draw
from core.training.wordings import Wordings, answers_alike

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


def judge(wordings: Wordings) -> Any:
    """Return what looks for held-out wordings among what is learnt from, as retrieval does among what it indexes."""
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

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
    queries = {str(number): one.question for number, one in enumerate(asked)}
    relevant = {str(number): texts_of[alike[one.topic]] for number, one in enumerate(asked)}
    return InformationRetrievalEvaluator(queries, corpus, relevant, accuracy_at_k=[1], write_csv=False, batch_size=64)


def found(log: dict[str, Any]) -> Found:
    """Return what a look found, as a trainer logs it."""
    return Found(float(log[FOUND_FIRST]), float(log[JUDGED]))
