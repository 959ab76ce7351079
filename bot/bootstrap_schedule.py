"""What begins runs of the learning loop by itself; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

from bot.bootstrap import Frontdesk
from bot.learning_process import learn_apart
from core.staff.learning_schedule import LearningSchedule
from core.storage.learning_runs import SqlRunBook


def learning_schedule(graph: Frontdesk) -> LearningSchedule:
    """What begins a run when the settings want one."""
    return LearningSchedule(SqlRunBook(graph.database), graph.settings.training.interval, learn_apart)
