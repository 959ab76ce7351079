"""How far training is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """One step, or one look at what is held out."""

    step: int
    steps: int
    loss: float | None = None  # of the step: nats per answer token, of preferences what their method makes small
    held_out: float | None = None  # the same of the last look
    what: str = "Training"  # what these steps are


Watch = Callable[[Progress], None]
