"""Questions that lean on the conversation: "and how much is it?"."""

from __future__ import annotations

import re

from core.domain import Exchange, Hit, Retrieval
from core.text import words

_LEANS = re.compile(
    r"^(?:and|but|so|also|or|then|what about|how about|what if|why not|same for|what else|is (?:it|that|this)|does (?:it|that|this))\b"
    r"|\b(?:it|its|that|this|these|those|they|them|their|there|one|ones|he|she|him|her|instead|the same|else)\b",
    re.IGNORECASE,
)
_FEW_WORDS = 3


def leans_back(question: str) -> bool:
    """Tell whether `question` may not stand alone: it opens like a continuation, points back, or has at most three words."""
    return len(words(question)) <= _FEW_WORDS or _LEANS.search(question.strip()) is not None


def in_context(question: str, history: tuple[Exchange, ...]) -> str:
    """Return `question` behind the question it follows."""
    return f"{history[-1].question}\n{question}"


def merge(alone: Retrieval, context: Retrieval, confident: float) -> Retrieval:
    """Return the better reading of a question: as it stands when that is at least `confident`, else weighed with its context.

    Weighed means the geometric mean of both probabilities: what was only asked before fits the context but not the new words, and
    what shares a word with the new question but not the topic fits the words but not the context.
    """
    if alone.hits and alone.hits[0].score >= confident:
        return alone
    by_words = {hit.passage.passage_id: hit.score for hit in alone.hits}
    floor = min(by_words.values(), default=0.0)
    weighed = [Hit(hit.passage, (hit.score * max(by_words.get(hit.passage.passage_id, floor), _FLOOR)) ** 0.5) for hit in context.hits]
    best = tuple(sorted(weighed, key=lambda hit: -hit.score))
    return Retrieval(best, context.index_version, context.embedder_version)


_FLOOR = 0.05
