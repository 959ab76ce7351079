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
    def labels(self) -> list[int]:
        """What it is to say at each place; nothing counts before the answer."""
        return [IGNORED] * len(self.prompt) + self.answer


class Codec(NamedTuple):
    """How serving turns text into token ids."""

    prompt: Callable[[list[Message]], list[int]]
    answer: Callable[[str], list[int]]


def encoded(rows: Sequence[Row], codec: Codec, max_length: int) -> list[Encoded]:
    """Return the rows that have at most `max_length` tokens; a cut one would teach an answer to half a prompt, or half an answer."""
    every = (Encoded(codec.prompt(row["messages"][:-1]), codec.answer(row["messages"][-1]["content"])) for row in rows)
    return [one for one in every if len(one.prompt) + len(one.answer) <= max_length]
