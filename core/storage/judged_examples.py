"""Answers that a model wrote and customers judged, as examples, in SQL."""

from __future__ import annotations

from sqlalchemy import RowMapping, Select, Subquery, case, func, or_, select

from core import prompting
from core.domain import Decision, Reason
from core.examples import Example
from core.feedback import FeedbackReason
from core.privacy import ERASED
from core.registry import EXTRACTIVE
from core.storage.database import Database
from core.storage.staff_tables import feedback
from core.storage.tables import conversations, outbox, turns
from core.storage.turn_rows import reply_of

SOURCE = "feedback"


class SqlJudgedExamples:
    """`ExampleSource` of what customers liked and disliked: in their own words, and kept only as long as the conversation.

    Nobody judged a model where the guard had put a quotation in place of its words, or staff had changed them. "Outdated" is said of the
    knowledge. Where as many liked as disliked, nothing is known; what erased people thought counts no more.
    """

    def __init__(self, database: Database, candidate: float) -> None:
        """`candidate` is that of the policy: from this chance on a passage was in the prompt."""
        self._database = database
        self._candidate = candidate

    async def examples(self) -> tuple[Example, ...]:
        """See `ExampleSource.examples`."""
        async with self._database.read() as connection:
            rows = (await connection.execute(_judged())).mappings()
            return tuple(_example(row, self._candidate) for row in rows if row["citations"])


def _judged() -> Select[tuple[object, ...]]:
    votes = _votes()
    written = (turns.c.decision == Decision.ANSWER.value, turns.c.reason == Reason.COMPOSED.value, turns.c.model != EXTRACTIVE)
    kept = (turns.c.question != "", turns.c.text != "")
    changed = select(outbox.c.outbox_id).where(outbox.c.turn_id == turns.c.turn_id, outbox.c.text.is_not(None)).exists()
    joined = turns.join(votes, votes.c.turn_id == turns.c.turn_id).join(conversations)
    query = select(*turns.c, conversations.c.platform, votes.c.balance).select_from(joined)
    return query.where(*written, *kept, ~changed, votes.c.balance != 0).order_by(turns.c.asked_at, turns.c.turn_id)


def _votes() -> Subquery:
    """By how much those who liked a turn outnumber the others."""
    balance = func.sum(case((feedback.c.helpful, 1), else_=-1)).label("balance")
    of_answer = or_(feedback.c.reason.is_(None), feedback.c.reason != FeedbackReason.OUTDATED.value)
    still_known = feedback.c.actor_id.not_like(f"{ERASED}%")
    return select(feedback.c.turn_id, balance).where(of_answer, still_known).group_by(feedback.c.turn_id).subquery()


def _example(row: RowMapping, candidate: float) -> Example:
    reply = reply_of(row)
    cited = tuple(citation.passage_id for citation in reply.citations)
    return Example(
        example_id=row["turn_id"],
        question=row["question"],
        answer=reply.text,
        source=SOURCE,
        origin=row["platform"],
        own_words=True,
        passage_id=cited[0],
        conversation_id=row["conversation_id"],
        cites=cited,
        shown=tuple(hit.passage.passage_id for hit in prompting.worth_reading(reply.hits, candidate)),
        liked=row["balance"] > 0,
    )
