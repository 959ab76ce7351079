"""Questions without an answer, in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping, Select, select

from core.domain import Reason
from core.members import Scope
from core.storage.database import Database
from core.storage.handoff_tables import handoff_words, handoffs
from core.storage.scopes import within
from core.storage.tables import among, conversations, outbox, turns
from core.text import clean
from core.unanswered import REASONS, Question


class SqlUnansweredLog:
    """`UnansweredLog` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def questions(self, scope: Scope, limit: int) -> tuple[Question, ...]:
        """See `UnansweredLog.questions`."""
        said = (turns.c.turn_id, turns.c.question, turns.c.asked_at, turns.c.reason, conversations.c.platform)
        joined = select(*said).join(conversations, conversations.c.conversation_id == turns.c.conversation_id)
        here = within(scope, conversations)
        query = joined.where(among(turns.c.reason, *REASONS), turns.c.question != "", here).order_by(turns.c.asked_at.desc()).limit(limit)
        async with self._database.read() as connection:
            return tuple(map(_question, (await connection.execute(query)).mappings()))

    async def answer_by_staff(self, turn_id: str) -> str:
        """See `UnansweredLog.answer_by_staff`."""
        asked = turns.alias()
        later = (turns.c.conversation_id == asked.c.conversation_id, turns.c.position > asked.c.position)
        by_another = (turns.c.actor_id != asked.c.actor_id, turns.c.reason == Reason.WITH_PERSON.value, turns.c.question != "")
        query = select(turns.c.question).where(asked.c.turn_id == clean(turn_id), *later, *by_another).order_by(turns.c.position).limit(1)
        async with self._database.read() as connection:
            in_thread: str | None = (await connection.execute(query)).scalar()
            found = in_thread or (await connection.execute(_bridged(turn_id))).scalar()
        return found or ""


def _bridged(turn_id: str) -> Select[Any]:
    """What somebody of staff wrote from elsewhere first, after a question."""
    joined = select(outbox.c.text).join(handoff_words, handoff_words.c.key == outbox.c.key)
    joined = joined.join(handoffs, handoffs.c.handoff_id == handoff_words.c.handoff_id)
    joined = joined.join(turns, turns.c.conversation_id == handoffs.c.conversation_id)
    asked = (turns.c.turn_id == clean(turn_id), handoff_words.c.said_at >= turns.c.asked_at, outbox.c.text != "")
    return joined.where(*asked).order_by(handoff_words.c.said_at).limit(1)


def _question(row: RowMapping) -> Question:
    return Question(row["turn_id"], row["question"], row["asked_at"], row["platform"], Reason(row["reason"]))
