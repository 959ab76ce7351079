"""The part of the object graph that learns from staff; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

from bot.bootstrap import Frontdesk
from core.errors import SnapshotError
from core.staff.corrections import Corrections
from core.storage.correction_store import SqlCorrectionStore
from core.storage.members import SqlMembers
from core.storage.turn_book import SqlTurnBook


def corrections_of(graph: Frontdesk) -> Corrections:
    """Return where corrections are proposed and decided, whatever surface they come from."""
    database = graph.database

    async def served() -> str:
        return await served_knowledge(graph)

    store, turns = SqlCorrectionStore(database), SqlTurnBook(database)
    return Corrections(store, turns, graph.knowledge_store, served, SqlMembers(database), graph.audit_log)


async def served_knowledge(graph: Frontdesk) -> str:
    """Return the knowledge base that staff work on: the one that is served, or will be."""
    try:
        return await graph.served_knowledge(publishes=False)
    except SnapshotError:  # it is not published yet
        return graph.settings.knowledge
