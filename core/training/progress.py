"""How far training is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """One step, or one look at what is held out."""

    step: int
    steps: int
    loss: float | None = None  # of the step; for answers in nats per token
    held_out: float | None = None  # of the last look: the same, for a retriever its recall@1


Watch = Callable[[Progress], None]
