"""What things are called on pages: signs, verdicts, decisions, numbers."""

from __future__ import annotations

from typing import NamedTuple

from core.domain import Decision, Reason, Reply
from core.learning import Doing, State
from core.reviews import Sign, Verdict
from core.search import NO_MODEL


class Label(NamedTuple):
    """A few words and how they look: good, warn, bad, accent or nothing."""

    text: str
    look: str = ""


_SIGNS = {
    Sign.UNHELPFUL: Label("not helpful", "bad"),
    Sign.UNSURE: Label("low confidence", "warn"),
    Sign.UNGROUNDED: Label("ungrounded", "warn"),
    Sign.UNHAPPY: Label("unhappy", "warn"),
    Sign.HANDED_OVER: Label("handed over", "accent"),
    Sign.SAMPLED: Label("sample"),
}
VERDICTS = {
    Verdict.GOOD: Label("good", "good"),
    Verdict.NEEDS_CORRECTION: Label("needs correction", "bad"),
    Verdict.SKIP: Label("skipped"),
}
DECISIONS = {
    Decision.DIRECT: Label("curated answer", "good"),
    Decision.ANSWER: Label("composed answer", "good"),
    Decision.CLARIFY: Label("asked back", "accent"),
    Decision.HANDOFF: Label("handed over", "warn"),
    Decision.SILENT: Label("silent"),
}
REASONS = {
    Reason.CONFIDENT: "sure of a curated answer",
    Reason.COMPOSED: "the model wrote it from passages",
    Reason.QUOTED: "the guard put a quotation in place of the model's words",
    Reason.CLOSE_CANDIDATES: "several passages were equally likely",
    Reason.LOW_CONFIDENCE: "no passage was likely enough",
    Reason.ASKED_FOR_PERSON: "the customer asked for a person",
    Reason.SMALL_TALK: "small talk",
    Reason.NOTHING_TO_READ: "the message held no words",
    Reason.FAILED: "answering failed three times",
    Reason.TOO_MANY: "a limit was reached",
}

RUNS = {
    State.RUNNING: Label("running", "accent"),
    State.PROMOTED: Label("promoted", "good"),
    State.CHALLENGER: Label("not promoted", "warn"),
    State.NOTHING: Label("nothing new"),
    State.FAILED: Label("failed", "bad"),
}

PARTS = {
    "retrieve": "Retrieving passages to learn from",
    "train": "Training",
    "Retriever": "Tuning the retriever",
    "answer before": "The champion answers held-out questions",
    "answer after": "The new version answers held-out questions",
    "judge before": "Judging the champion’s answers",
    "judge after": "Judging the new version’s answers",
    "scan": "Keeping the new version",
    "hash": "Keeping the new version",
    "copy": "Keeping the new version",
    "embed": "Embedding the knowledge anew",
    "index": "Indexing the knowledge anew",
    "calibrate": "Calibrating",
}


def doing(now: Doing) -> str:
    """Return what a run of learning does and how far it is, in a line."""
    loss = f", loss {now.loss:.3f}" if now.loss is not None else ""
    left = f", about {span(now.left_seconds)} left" if now.left_seconds else ""
    return f"{PARTS.get(now.part, now.part)}: {count(now.done)} of {count(now.total)}{loss}{left}"


def decision(reply: Reply) -> Label:
    """Return what the bot did."""
    return Label("quoted passage", "good") if reply.reason is Reason.QUOTED else DECISIONS[reply.decision]


def signs(found: Sign) -> list[Label]:
    """Return the labels of signs, the worst first."""
    return [label for sign, label in _SIGNS.items() if sign in found]


def model(name: str | None) -> str:
    """Return what a model is called."""
    return "no model" if name in (None, NO_MODEL) else str(name)


def count(number: int) -> str:
    """Return 1234 as 1,234."""
    return f"{number:,}"


def percent(share: float | None) -> str:
    """Return 0.123 as 12 %."""
    return "–" if share is None else f"{share * 100:.0f} %"


def score(probability: float) -> str:
    """Return a probability with two digits."""
    return f"{probability:.2f}"


def duration(milliseconds: float | None) -> str:
    """Return a time for people."""
    if milliseconds is None:
        return "–"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def span(seconds: float) -> str:
    """Return how long something took, for people."""
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
