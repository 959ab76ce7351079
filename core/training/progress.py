"""How far training is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """One step, or one look at what is held out."""

    step: int
    steps: int
    loss: float | None = None  # of the step: nats per answer token, of preferences and pairs what their method makes small
    held_out: float | None = None  # of the last look: the same, for a retriever its recall@1
    what: str = ""  # what these steps are, where they are not those that were asked for


Watch = Callable[[Progress], None]
