"""How far training is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """One step, or one look at what is held out."""

    step: int
    steps: int
    loss: float | None = None  # nats per answer token, of the step
    held_out: float | None = None  # the same of the last look


Watch = Callable[[Progress], None]
