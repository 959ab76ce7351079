"""What a generator and the thread that runs its model agree on: a request, and a host of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MAX_WAITING = 256  # beyond it a caller is told at once, and the engine quotes a passage instead


@dataclass(eq=False)
class Request:
    """One prompt being answered; a host calls `put` and `end` from its own thread."""

    input_ids: list[int]
    max_tokens: int
    loop: asyncio.AbstractEventLoop
    events: asyncio.Queue[list[int] | str | Exception] = field(default_factory=asyncio.Queue)
    cancelled: bool = False

    def put(self, tokens: Sequence[int]) -> None:
        """Hand over new tokens."""
        self._send(list(tokens))

    def end(self, reason: str | Exception) -> None:
        """Finish with `stop` or `length`, or fail with an exception."""
        self._send(reason)

    def _send(self, event: list[int] | str | Exception) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.events.put_nowait, event)


class Host(Protocol):
    """Runs requests on a model, many at a time."""

    def submit(self, request: Request) -> None:
        """Queue a request; its events follow. A full queue ends it at once with an error."""
        ...

    def close(self) -> None:
        """Finish what runs, fail what waits, and free the model. Blocks."""
        ...


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the ids of the tokens that end an answer."""
    configured: Any = model.generation_config.eos_token_id
    ends = configured if isinstance(configured, list) else [configured]
    return {int(token) for token in [*ends, tokenizer.eos_token_id] if token is not None}


def queue_full() -> ModelError:
    """Return what a request is ended with that finds `MAX_WAITING` others waiting."""
    return ModelError(f"{MAX_WAITING} requests wait for the model already")


def model_closed() -> ModelError:
    """Return what a request is ended with that waits, or comes, when the model is closed."""
    return ModelError("the model was closed")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out; torch says so on a CPU with a plain RuntimeError."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text
