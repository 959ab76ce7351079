"""One answer that is being written, and guesses at how it goes on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from core.serving.hosting import Request

_MATCHES = (3, 2)  # tokens at the end that must have come before; tried in this order


@dataclass(eq=False)
class Row:
    """A request, and the tokens of its prompt and its answer so far: all that is needed to begin again elsewhere."""

    request: Request
    tokens: list[int] = field(default_factory=list)
    is_done: bool = False

    def __post_init__(self) -> None:
        self.tokens = self.tokens or list(self.request.input_ids)

    @property
    def left(self) -> int:
        """How many tokens may still be written."""
        return self.request.max_tokens - (len(self.tokens) - len(self.request.input_ids))

    def take(self, new: Sequence[int], ends: Collection[int]) -> None:
        """Hand new tokens over, up to the first that ends the answer or the last that is allowed."""
        told = list(new[: self.left])
        stop = next((number for number, token in enumerate(told) if token in ends), None)
        told = told[:stop]
        if told:
            self.tokens += told
            self.request.put(told)
        if stop is not None or self.left <= 0:
            self.end("length" if stop is None else "stop")

    def end(self, reason: str | Exception) -> None:
        """Tell how it ended."""
        self.is_done = True
        self.request.end(reason)


def guess(tokens: Sequence[int], count: int) -> list[int]:
    """Return up to `count` tokens that followed the last time the text was where it is now; none when it never was.

    Answers copy names and sentences from their passages, so the guess is often right, and it costs one forward pass to know.
    """
    for size in _MATCHES:
        tail = list(tokens[-size:])
        for start in range(len(tokens) - size - 1, -1, -1):
            if tokens[start] == tail[0] and list(tokens[start : start + size]) == tail:
                return list(tokens[start + size : start + size + count])
    return []


def agreed(guessed: Sequence[int], chosen: Sequence[int]) -> int:
    """Return how many of `chosen` count: one more than guesses that the model agrees with."""
    for number, (one, other) in enumerate(zip(guessed, chosen, strict=False)):
        if one != other:
            return number + 1
    return len(guessed) + 1
