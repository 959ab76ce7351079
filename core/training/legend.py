"""What the figures of a report are called, what they mean, and which way is better."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Better(StrEnum):
    """Which way a figure gets better."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "–"


class Entry(NamedTuple):
    """What a figure is called and means."""

    label: str
    meaning: str
    better: Better = Better.HIGHER


# In the order in which they are told: what a customer notices first.
_ENTRIES = {
    "rouge_l": Entry("ROUGE-L", "words in common with the reference, in its order; 1 is the same text"),
    "citation": Entry("Citations right", "share of answers that name a passage that answers, and no other"),
    "groundedness": Entry("Grounded", "share of answers whose every sentence a passage backs, so that the guard lets them pass"),
    "right_to_abstain": Entry("Abstains rightly", "share of questions answered where a passage answers, and not where none does"),
    "similarity": Entry("Near its passages", "cosine of the sentence that is farthest from all passages, by the embedder"),
    "entailment": Entry("Entailed", "share of answers whose every sentence follows from a passage, by the entailment model"),
    "abstention": Entry("Abstentions", "share of questions that the model says its passages do not answer", Better.NEITHER),
    "abstention_precision": Entry("Abstentions that are right", "share of them where no passage answers"),
    "abstention_recall": Entry("Unanswerable recognised", "share of the questions that no passage answers where it abstains"),
    "bleu": Entry("BLEU", "runs of up to four words in common with the references"),
    "chrf": Entry("chrF", "runs of letters in common with the references"),
    "loss": Entry("Held-out loss", "nats per token of the right answer", Better.LOWER),
    "perplexity": Entry("Perplexity", "how surprised the model is by each token of the references", Better.LOWER),
    "accuracy": Entry("Accuracy", "share of questions for which the right passage is found first"),
    "recall@1": Entry("Recall at 1", "share of questions whose first passage answers"),
    "recall@3": Entry("Recall at 3", "share of questions that one of the first three passages answers"),
    "recall@5": Entry("Recall at 5", "share of questions that one of the first five passages answers"),
    "recall@10": Entry("Recall at 10", "share of questions that one of the first ten passages answers"),
    "mrr": Entry("MRR", "1 by the place of the first passage that answers, 0 for none"),
    "mrr@10": Entry("MRR at 10", "1 by the place of the first passage that answers, 0 for none in ten"),
    "ndcg@10": Entry("nDCG at 10", "how near the first ten passages are to the best order"),
    "p50_ms": Entry("Time, median", "milliseconds to the whole answer", Better.LOWER),
    "p95_ms": Entry("Time, 95 %", "milliseconds within which 95 of 100 answers were written", Better.LOWER),
    "n": Entry("Questions", "how many were asked", Better.NEITHER),
    "unanswerable": Entry("Unanswerable", "how many of them no passage in the prompt answers", Better.NEITHER),
}


def entry(name: str) -> Entry:
    """Return what a figure means; one that nobody has described keeps its name and is called neither better nor worse."""
    return _ENTRIES.get(name, Entry(name, "", Better.NEITHER))


def in_order(names: set[str]) -> list[str]:
    """Return names in the order in which they are told."""
    return [name for name in _ENTRIES if name in names] + sorted(names - _ENTRIES.keys())
