"""How good written answers are: against a reference, against their passages, and against another model on the same questions."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import numpy as np

from core import prompting
from core.domain import Passage
from core.learning import Interval
from core.text import words

_MARK = re.compile(r"\s*\[(\d{1,2})\]")
_SAMPLES = 10_000
_SEED = 7


@dataclass(frozen=True, slots=True)
class Written:
    """One answer, as the model wrote it, and what is known of the question."""

    question: str
    reference: str  # empty: nobody gave one
    text: str
    passages: tuple[Passage, ...]
    relevant: frozenset[str]  # ids of passages or documents that answer the question; empty: none does
    grounded: bool  # the output guard would let it pass
    seconds: float
    similarity: float | None = None  # see `core/training/support.py`; None: not measured, or nothing was said
    entailed: bool | None = None

    @property
    def abstained(self) -> bool:
        """Whether it says that the passages do not answer."""
        return prompting.abstains(self.text)

    @property
    def answerable(self) -> bool:
        """Whether a passage that answers was in the prompt."""
        return self.place is not None

    @property
    def place(self) -> int | None:
        """Where the first passage that answers stands in the prompt, from 1; None where none does."""
        return next((place for place, passage in enumerate(self.passages, 1) if self._answers(passage)), None)

    @property
    def cites_right(self) -> bool:
        """Whether it names a passage that answers, and none that does not."""
        marks = {int(mark) - 1 for mark in _MARK.findall(self.text)}
        named = [self.passages[mark] if 0 <= mark < len(self.passages) else None for mark in marks]
        return bool(named) and all(passage is not None and self._answers(passage) for passage in named)

    @property
    def rouge_l(self) -> float:
        """ROUGE-L of the text without its marks."""
        return rouge_l(self.reference, self.bare)

    @property
    def bare(self) -> str:
        """The text without its marks."""
        return bare(self.text)

    def _answers(self, passage: Passage) -> bool:
        return not self.relevant.isdisjoint((passage.passage_id, passage.document_id))


def bare(text: str) -> str:
    """Return a text without the marks of its sources."""
    return _MARK.sub("", text)


def rouge_l(reference: str, text: str) -> float:
    """Return ROUGE-L: the F1 of the longest common subsequence of words (Lin 2004, "ROUGE", eq. 2 to 4 with beta 1)."""
    wanted, said = words(reference), words(text)
    common = _longest_common(wanted, said)
    return 2 * common / (len(wanted) + len(said)) if common else 0.0


def figures(written: Sequence[Written]) -> dict[str, Any]:
    """Return every figure of a model, None where nothing can be counted."""
    referenced = [one for one in written if one.reference]
    answers = [one for one in written if not one.abstained]
    silent = [one for one in written if one.abstained]
    hopeless = [one for one in written if not one.answerable]
    seconds = sorted(one.seconds for one in written)
    return {
        "n": len(written),
        "rouge_l": _mean([one.rouge_l for one in referenced]),
        **_n_grams(referenced),
        "citation": _mean([one.cites_right for one in answers if one.answerable]),
        "groundedness": _mean([one.grounded for one in answers]),
        "similarity": _mean([one.similarity for one in answers if one.similarity is not None]),
        "entailment": _mean([one.entailed for one in answers if one.entailed is not None]),
        "right_to_abstain": _mean([one.abstained != one.answerable for one in written]),
        "abstention": _mean([one.abstained for one in written]),
        "abstention_precision": _mean([not one.answerable for one in silent]),
        "abstention_recall": _mean([one.abstained for one in hopeless]),
        "unanswerable": len(hopeless),
        **_retrieval([one.place for one in written if one.relevant]),
        "p50_ms": median(seconds) * 1000,
        "p95_ms": seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))] * 1000,
    }


_COMPARED: dict[str, tuple[Callable[[Written], float], Callable[[Written], bool]]] = {
    "rouge_l": (lambda one: one.rouge_l, lambda one: bool(one.reference)),
    "citation": (lambda one: float(one.cites_right and not one.abstained), lambda one: one.answerable),
    "groundedness": (lambda one: float(one.grounded and not one.abstained), lambda one: one.answerable),
    "entailment": (lambda one: float(bool(one.entailed)), lambda one: one.answerable),
    "right_to_abstain": (lambda one: float(one.abstained != one.answerable), lambda one: True),
}


def compared(old: Sequence[Written], new: Sequence[Written]) -> dict[str, Interval]:
    """Return by how much `new` is better than `old` on the same questions, by paired bootstrap (Efron & Tibshirani 1993, chapter 13).

    Here an answer that abstains is neither grounded nor cites, so a model does not gain by saying less.
    """
    pairs = list(zip(old, new, strict=True))
    found = {}
    judged = any(one.entailed is not None for pair in pairs for one in pair)
    for name, (value, counts) in _COMPARED.items():
        if name == "entailment" and not judged:  # without such a model all of them would be equal
            continue
        counted = [number for number, (before, _) in enumerate(pairs) if counts(before)]
        if counted:
            about = [pairs[number][0].relevant or number for number in counted]
            found[name] = interval([value(pairs[number][1]) - value(pairs[number][0]) for number in counted], about)
    return found


def interval(differences: Sequence[float], about: Sequence[Hashable] = ()) -> Interval:
    """Return the mean of paired differences and its percentile interval over 10,000 resamples, seed 7.

    `about` says which questions have the same answer: they go right or wrong together, so five FAQ rows with four wordings each are not
    twenty observations. Then whole rows are drawn too (Davison & Hinkley 1997, "Bootstrap Methods", section 3.8); the wider one counts.
    """
    numbers: dict[Hashable, int] = {}
    found = [_resampled(differences, range(len(differences)))]
    places = [numbers.setdefault(one, len(numbers)) for one in about]
    if len(numbers) < len(places):
        found.append(_resampled(differences, places))
    return Interval(fmean(differences), min(low for low, _ in found), max(high for _, high in found))


def _resampled(differences: Sequence[float], places: Sequence[int]) -> tuple[float, float]:
    """Return the interval of the mean where all differences of one place are drawn together."""
    totals, counts = np.bincount(places, weights=differences), np.bincount(places)
    picks = np.random.default_rng(_SEED).integers(0, len(totals), (_SAMPLES, len(totals)))
    low, high = np.quantile(totals[picks].sum(axis=1) / counts[picks].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _retrieval(places: Sequence[int | None]) -> dict[str, float | None]:
    """How high in the prompts the first passage that answers stands, over the questions that some passage answers."""
    return {
        "recall@1": _mean([place == 1 for place in places]),
        "recall@3": _mean([place is not None and place <= 3 for place in places]),
        "mrr": _mean([1 / place if place else 0.0 for place in places]),
    }


def _n_grams(referenced: Sequence[Written]) -> dict[str, float | None]:
    """BLEU (Papineni et al. 2002) and chrF (Popović 2015) of the whole set, 0 to 1."""
    if not referenced:
        return {"bleu": None, "chrf": None}
    from sacrebleu import corpus_bleu, corpus_chrf

    texts, references = [one.bare for one in referenced], [[one.reference for one in referenced]]
    return {"bleu": corpus_bleu(texts, references).score / 100, "chrf": corpus_chrf(texts, references).score / 100}


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    best = [0] * (len(other) + 1)
    for word in one:
        above_left = 0
        for place, candidate in enumerate(other, 1):
            above = best[place]
            best[place] = above_left + 1 if word == candidate else max(above, best[place - 1])
            above_left = above
    return best[-1]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
