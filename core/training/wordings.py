"""What a retriever learns from: the wordings that lead to one passage, and those that are kept for judging."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from core.domain import Passage
from core.errors import NothingLearntError
from core.examples import Example
from core.redaction import redact
from core.text import fold
from core.training.chance import draw
from core.training.dataset import GUARDED, NO_LONGER_KEPT, NOT_ALLOWED
from core.training.split import clusters

AMBIGUOUS = "the same question leads to several passages"
FEWEST = 8  # wordings to learn from: fewer teach nothing that would hold for other questions
_MAX_CHARS = 3000  # of a passage, as it is embedded
_SAME_ANSWER = 0.9  # share of words from which two passages answer the same: neither is wrong where the other is right
_STEPS = 1000


@dataclass(frozen=True, slots=True)
class Topic:
    """One passage: what asks for it, its answer, and the passages that were found in its place."""

    name: str
    answer: str
    questions: tuple[str, ...]
    confused: frozenset[str] = frozenset()


class Asked(NamedTuple):
    """A wording that is kept for judging, and the passage it leads to."""

    question: str
    topic: str


class Pair(NamedTuple):
    """Two texts of one topic: the nearer their vectors, the better."""

    topic: int
    anchor: str
    positive: str


@dataclass(frozen=True, slots=True)
class Wordings:
    """What is learnt, what is judged by, and how much was left out for which reason."""

    topics: tuple[Topic, ...]
    held_out: tuple[Asked, ...]
    nearly: Mapping[str, str]  # the first of all questions that say nearly the same, by question
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How many wordings are learnt from."""
        return sum(len(topic.questions) for topic in self.topics)

    @property
    def sha256(self) -> str:
        """The hash of every text and its part."""
        rows = [[topic.name, topic.answer, topic.questions, sorted(topic.confused)] for topic in self.topics]
        return hashlib.sha256(json.dumps([rows, self.held_out], ensure_ascii=False).encode()).hexdigest()

    def pairs(self, seed: int) -> list[Pair]:
        """Return each wording beside another text of its topic: another wording that says it differently, or the answer."""
        chance = np.random.default_rng(seed)
        return [Pair(number, anchor, others[int(chance.integers(len(others)))]) for number, anchor, others in self._beside() if others]

    def _beside(self) -> Iterable[tuple[int, str, list[str]]]:
        for number, topic in enumerate(self.topics):
            for anchor in topic.questions:
                others = [text for text in topic.questions if self.nearly[text] != self.nearly[anchor]]
                yield number, anchor, [*others, *([topic.answer] if topic.answer else [])]


def topics(
    passages: Iterable[Passage], examples: Iterable[Example], confused: Mapping[str, frozenset[str]], allowed: frozenset[str]
) -> tuple[list[Topic], Counter[str]]:
    """Return the FAQ rows as topics with the questions of examples added, and how many examples were left out for which reason.

    A section of a document is a topic where staff said that it answers, or was found in the place of what does. `allowed` are platforms
    whose customers' own words may be used; words that may not be are left out of the rows that they became, too.
    """
    kept = {passage.passage_id: passage for passage in passages}
    asked: dict[str, list[str]] = defaultdict(list)
    left_out, barred = Counter[str](), set[str]()
    for example in examples:
        question = redact(fold(example.question))
        if example.own_words and example.origin in GUARDED - allowed:
            left_out[NOT_ALLOWED] += 1
            barred.add(question.lower())
        elif example.answer and example.passage_id not in kept:
            left_out[NO_LONGER_KEPT] += 1
        elif example.answer:
            asked[example.passage_id].append(question)
    wanted = {name for names in confused.values() for name in names} | set(asked)
    chosen = [one for one in kept.values() if one.curated or one.passage_id in wanted]
    none = frozenset[str]()
    return [_topic(one, asked[one.passage_id], barred, confused.get(one.passage_id, none)) for one in chosen], left_out


def split(found: Sequence[Topic], left_out: Counter[str], share: float) -> Wordings:
    """Return about `share` of the alternatives held out: whole clusters of near duplicates, titles always learnt."""
    leads: dict[str, set[str]] = defaultdict(set)
    for topic in found:
        for question in topic.questions:
            leads[question.lower()].add(topic.name)
    clear = [replace(one, questions=tuple(text for text in one.questions if len(leads[text.lower()]) == 1)) for one in found]
    ambiguous = sum(len(topic.questions) for topic in found) - sum(len(topic.questions) for topic in clear)
    nearly = clusters({question: question for topic in clear for question in topic.questions})
    learnt = {nearly[topic.questions[0]] for topic in clear if topic.questions}
    judged = {one for one in set(nearly.values()) - learnt if draw(f"part {one}", _STEPS) < share * _STEPS}
    held_out = tuple(Asked(text, topic.name) for topic in clear for text in topic.questions if nearly[text] in judged)
    train = (replace(topic, questions=tuple(text for text in topic.questions if nearly[text] not in judged)) for topic in clear)
    return Wordings(tuple(one for one in train if one.questions), held_out, nearly, left_out + Counter({AMBIGUOUS: ambiguous}))


def refuse_useless(found: Wordings) -> None:
    """Raise `NothingLearntError` for wordings that nothing can be learnt from, with what to do."""
    if found.count < FEWEST or not found.held_out:
        raise NothingLearntError(
            f"There are {found.count} wordings to learn from and {len(found.held_out)} to judge by; {FEWEST} and 1 are the fewest that "
            "make sense. Give the FAQ rows more alternatives (other ways to ask the same), or approve more corrections."
        )
    if len(set(answers_alike(found.topics))) < 2:
        raise NothingLearntError("All wordings lead to the same answer, so there is nothing to tell apart. Import more FAQ rows.")


def answers_alike(found: Sequence[Topic]) -> list[str]:
    """Return for each topic the first one that answers the same."""
    alike = clusters({topic.name: topic.answer for topic in found}, _SAME_ANSWER)
    return [alike[topic.name] for topic in found]


def _topic(passage: Passage, asked: Sequence[str], barred: set[str], confused: frozenset[str]) -> Topic:
    texts = (fold(text[:_MAX_CHARS]) for text in (passage.title, *passage.alternatives, *asked))
    different = {text.lower(): text for text in reversed([text for text in texts if text and text.lower() not in barred])}
    body = passage.text if passage.curated else f"{passage.title}\n{passage.text}"
    return Topic(passage.passage_id, fold(body[:_MAX_CHARS]), tuple(reversed(different.values())), confused - {passage.passage_id})
