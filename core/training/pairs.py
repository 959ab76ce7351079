"""What a model learns preferences from: pairs of a right answer and a wrong one, or single answers that people liked or disliked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from core.errors import TrainingError
from core.text import fold
from core.training.citing import bare, marks
from core.training.dataset import Dataset, Row
from core.training.parts import FEWEST, Parts

NOT_SAID = "the bot had said nothing instead that is still kept"
QUOTED = "what was wrong was quoted: no model had written it"
SAME = "what is right is what was said"
_MOST_RATIO = 4 / 3  # of the weights of all liked to that of all disliked (Ethayarajh et al. 2024, "KTO", equation 8)


def paired(dataset: Dataset) -> Dataset:
    """Return the rows that have a wrong answer beside the right one, and count the others.

    What was quoted is left out: the words are a passage's, and to make them less likely teaches a model to depart from its passages.
    """
    reasons = [_why_not(row) for row in dataset.rows]
    kept = [row for row, reason in zip(dataset.rows, reasons, strict=True) if not reason]
    return replace(dataset, rows=kept, left_out=dataset.left_out + Counter(filter(None, reasons)))


def says_the_same(one: str, other: str) -> bool:
    """Tell whether two answers have the same words and name the same passages."""
    return fold(bare(one)).lower() == fold(bare(other)).lower() and marks(one) == marks(other)


def refuse_few(found: Parts) -> None:
    """Raise `TrainingError` where there are too few pairs, with what to do."""
    if len(found.train) < FEWEST or not found.held_out:
        raise TrainingError(
            f"There are {len(found.train)} pairs to learn from and {len(found.held_out)} to judge by; {FEWEST} and 1 are the fewest that "
            "make sense. A pair comes of an approved correction of what a model wrote: approve more, or let the model play against itself "
            f'(method = "spin").{_told(found)}'
        )


def refuse_one_sided(found: Parts) -> None:
    """Raise `TrainingError` unless there are liked and disliked answers, to learn from and to judge by, with what to do."""
    liked, disliked = sides(found.train)
    if not found.train:
        raise TrainingError(
            f'There are no thumbs on answers that a model wrote. Wait for some, or learn from corrections (method = "dpo").{_told(found)}'
        )
    if not liked or not disliked:
        missing, there = ("👍", "👎") if not liked else ("👎", "👍")
        raise TrainingError(
            f"All {liked + disliked} judged answers are {there}: a model would only learn to write more or less of everything. Wait until "
            f'some are {missing}, or learn from corrections (method = "dpo").{_told(found)}'
        )
    if liked + disliked < FEWEST or 0 in sides(found.held_out):
        raise TrainingError(
            f"There are {liked} 👍 and {disliked} 👎 to learn from, {_and(found.held_out)} to judge by; {FEWEST} in all and one of each "
            f'are the fewest that make sense. Wait for more, or learn from corrections (method = "dpo").{_told(found)}'
        )


def sides(rows: Sequence[Row]) -> tuple[int, int]:
    """Return how many rows were liked, and how many disliked."""
    liked = sum(row["meta"]["liked"] for row in rows)
    return liked, len(rows) - liked


def weights(liked: int, disliked: int) -> tuple[float, float]:
    """Return what a liked and a disliked answer count, so that both sides weigh about the same; the rarer side counts more."""
    ratio = liked / disliked
    if ratio < 1:
        return 1 / ratio, 1.0
    return 1.0, max(1.0, ratio / _MOST_RATIO)


def _why_not(row: Row) -> str:
    rejected = row["meta"]["rejected"]
    if not rejected:
        return NOT_SAID
    if not row["meta"]["rejected_by_model"]:
        return QUOTED
    return SAME if says_the_same(row["messages"][-1]["content"], rejected) else ""


def _and(rows: Sequence[Row]) -> str:
    return "{} 👍 and {} 👎".format(*sides(rows))


def _told(found: Parts) -> str:
    left_out = "; ".join(f"{count} left out: {reason}" for reason, count in found.left_out.items() if count)
    return f" ({left_out})" if left_out else ""
