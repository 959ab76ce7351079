"""The part of the object graph that changes which models serve; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

from functools import partial

from bot.bootstrap import Frontdesk
from bot.bootstrap_embedder import rollback_embedder
from core.staff.model_control import RegistryModelControl
from core.staff.run_control import RunControl
from core.storage.learning_runs import SqlRunBook


def control_of(graph: Frontdesk) -> RegistryModelControl:
    """What changes which models serve."""
    return RegistryModelControl(graph.model_registry, graph.host_board, graph.version_log, partial(rollback_embedder, graph))


def run_control_of(graph: Frontdesk) -> RunControl:
    """What admins decide about runs of the learning loop."""
    return RunControl(SqlRunBook(graph.database), graph.model_registry, control_of(graph))
