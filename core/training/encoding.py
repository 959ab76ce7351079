"""Rows as token ids: the prompt exactly as serving encodes it, then the answer that is learnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from core.prompting import Message
from core.training.dataset import Row

IGNORED = -100  # what torch's cross-entropy passes over: no loss is taken on prompts


class Encoded(NamedTuple):
    """One row."""

    prompt: list[int]
    answer: list[int]

    @property
    def input_ids(self) -> list[int]:
        """What the model reads."""
        return self.prompt + self.answer

    @property
    def length(self) -> int:
        """How many tokens a step takes for it."""
        return len(self.prompt) + len(self.answer)

    @property
    def labels(self) -> list[int]:
        """What it is to say at each place; nothing counts before the answer."""
        return [IGNORED] * len(self.prompt) + self.answer


class EncodedPair(NamedTuple):
    """A prompt, the answer that is right and one that is not."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    @property
    def length(self) -> int:
        """How many tokens a step takes for it: the prompt is read with both."""
        return 2 * len(self.prompt) + len(self.chosen) + len(self.rejected)


class EncodedJudgement(NamedTuple):
    """A prompt, an answer, and whether it was liked."""

    prompt: list[int]
    answer: list[int]
    liked: bool

    @property
    def length(self) -> int:
        """How many tokens a step takes for it."""
        return len(self.prompt) + len(self.answer)


class Codec(NamedTuple):
    """How serving turns text into token ids."""

    prompt: Callable[[list[Message]], list[int]]
    answer: Callable[[str], list[int]]


def encoded(rows: Sequence[Row], codec: Codec, max_length: int) -> list[Encoded]:
    """Return the rows that have at most `max_length` tokens; a cut one would teach an answer to half a prompt, or half an answer."""
    every = (Encoded(codec.prompt(row["messages"][:-1]), codec.answer(row["messages"][-1]["content"])) for row in rows)
    return [one for one in every if one.length <= max_length]


def encoded_pairs(rows: Sequence[Row], codec: Codec, max_length: int) -> list[EncodedPair]:
    """Return rows with their rejected answers; a pair is left out where either side has more than `max_length` tokens."""
    wrong = [codec.answer(row["meta"]["rejected"]) for row in rows]
    every = (
        EncodedPair(codec.prompt(row["messages"][:-1]), codec.answer(row["messages"][-1]["content"]), rejected)
        for row, rejected in zip(rows, wrong, strict=True)
    )
    return [one for one in every if len(one.prompt) + max(len(one.chosen), len(one.rejected)) <= max_length]


def encoded_judgements(rows: Sequence[Row], codec: Codec, max_length: int) -> list[EncodedJudgement]:
    """Return rows that were liked or disliked, those of at most `max_length` tokens."""
    every = (
        EncodedJudgement(codec.prompt(row["messages"][:-1]), codec.answer(row["messages"][-1]["content"]), row["meta"]["liked"])
        for row in rows
    )
    return [one for one in every if one.length <= max_length]
