"""What a model may learn from: one question and the right answer to it, and the port through which they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Example:
    """A question and its right answer, as somebody of staff approved them."""

    example_id: str
    question: str
    answer: str  # empty: the right thing is to say that the passages do not answer
    source: str  # how it came about: correction, review, feedback
    origin: str  # the platform on which it was asked, or `console`
    own_words: bool  # the question is a customer's, not of staff
    passage_id: str = ""  # the passage that holds the answer
    rejected: str = ""  # what the bot had answered instead
    cause: str = ""  # what was wrong with that
    withheld: str = ""  # a passage that is kept out of the prompt: without it the passages do not answer
    conversation_id: str = ""  # where it was asked, if that is known and still kept
    cites: tuple[str, ...] = ()  # what [1], [2] in the answer stand for; none where it has no such marks
    shown: tuple[str, ...] = ()  # the passages it was written from, where that is known
    liked: bool | None = None  # what customers thought of it, where only they judged it
    rejected_cites: tuple[str, ...] = ()  # the same of what was rejected
    rejected_by_model: bool = False  # a model wrote that; else it was quoted, or is nobody's

    @property
    def group(self) -> str:
        """What it is about: examples of one group are all learnt from, or all kept for judging what was learnt."""
        return self.passage_id or self.withheld or self.example_id


class ExampleSource(Protocol):
    """Gives examples of one kind."""

    async def examples(self) -> tuple[Example, ...]:
        """Return all that may be learnt from, in an order that stays the same."""
        ...
