"""How far a run is: parts follow one another, each with the time that it will still take at the pace it has shown."""

from __future__ import annotations

from itertools import count

from bot.learning_pace import Pace
from core.learning import Doing
from core.training.progress import Progress


def test_each_part_is_told_with_the_time_left_at_its_own_pace() -> None:
    told: list[object] = []
    seconds = count(step=10)
    pace = Pace(lambda *step: told.append(step), told.append, lambda: float(next(seconds)))
    assert pace.doing is None
    pace.count("retrieve", 1, 4)
    assert pace.doing == Doing("retrieve", 1, 4)
    pace.count("retrieve", 1, 4)
    assert pace.doing == Doing("retrieve", 2, 4, None, 20.0)
    pace.watch(Progress(20, 34, 0.5))  # resumed at its twentieth step
    assert pace.doing == Doing("train", 20, 34, 0.5)
    pace.watch(Progress(22, 34, None, 0.25))
    assert pace.doing == Doing("train", 22, 34, 0.5, 60.0)
    pace.watch(Progress(1, 8, what="Retriever"))
    assert pace.doing == Doing("Retriever", 1, 8)
    pace.count("hash", 1, 1)
    pace.count("hash", 1, 1)  # of another file
    assert pace.doing == Doing("hash", 1, 1)
    assert told[:2] == [("retrieve", 1, 4), ("retrieve", 1, 4)] and len(told) == 7
