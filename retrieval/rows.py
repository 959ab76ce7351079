"""Which texts of a passage become rows of the index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.domain import Passage
from retrieval.calibration import MAX_QUESTIONS, NEAR_PASSAGES, Question
from retrieval.ranking import Rows


def row_texts(passage: Passage) -> list[str]:
    """Return one text per row: the title, the alternatives, then the body.

    The body of a section is led by its heading path, without which "Click Save." could be about anything; a curated answer
    stands alone, because its question has a row of its own (recall@1 on stackfaq 0.959, with the question repeated 0.958).
    """
    body = passage.text if passage.curated else f"{passage.title}\n{passage.text}"
    return [passage.title, *passage.alternatives, body]


def owners(passages: Sequence[Passage]) -> Rows:
    """Return the passage ordinal of each row."""
    return np.repeat(np.arange(len(passages)), [len(passage.alternatives) + 2 for passage in passages])


def own_questions(passages: Sequence[Passage], centroids: np.ndarray) -> list[Question]:
    """Return up to `MAX_QUESTIONS` questions for calibration, spread evenly over the base.

    `centroids`, shape (passages, dimension), are the mean vectors of each passage's rows. Sections have no question of their own:
    their heading path stands in, for unanswerable play only.
    """
    first_row = np.concatenate([[0], np.cumsum([len(passage.alternatives) + 2 for passage in passages])])
    all_questions = [
        (ordinal, int(first_row[ordinal]) + offset)
        for ordinal, passage in enumerate(passages)
        for offset in range(len(passage.alternatives) + 1)
    ]
    step = max(1, -(-len(all_questions) // MAX_QUESTIONS))
    chosen = all_questions[::step]
    nearby = _nearby({ordinal for ordinal, _ in chosen}, centroids)
    return [
        Question(
            row=row,
            text=row_texts(passages[ordinal])[row - int(first_row[ordinal])],
            ordinal=ordinal,
            nearby_rows=np.concatenate([np.arange(first_row[near], first_row[near + 1]) for near in nearby[ordinal]]),
            has_siblings=passages[ordinal].curated and bool(passages[ordinal].alternatives),
        )
        for ordinal, row in chosen
    ]


def _nearby(ordinals: set[int], centroids: np.ndarray) -> dict[int, list[int]]:
    """The passage itself and the few nearest to it; in a tiny base fewer, so that something is left."""
    count = min(NEAR_PASSAGES, max(0, (len(centroids) - 1) // 4))
    nearby: dict[int, list[int]] = {}
    for ordinal in ordinals:
        cosines = centroids @ centroids[ordinal]
        cosines[ordinal] = -np.inf
        nearby[ordinal] = [ordinal, *np.argsort(-cosines)[:count].tolist()]
    return nearby
