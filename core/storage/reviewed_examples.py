"""Answers that a reviewer found good, as examples, in SQL."""

from __future__ import annotations

from sqlalchemy import RowMapping, select

from core.domain import Decision, Reason
from core.examples import Example
from core.reviews import Verdict
from core.storage.database import Database
from core.storage.review_tables import reviews
from core.storage.tables import among, turns


class SqlReviewedExamples:
    """`ExampleSource` of answers that were right: their questions are the customers' own, and kept only as long as the conversation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def examples(self) -> tuple[Example, ...]:
        """See `ExampleSource.examples`."""
        told = ("conversation_id", "question", "text", "citations", "reason")
        columns = (reviews.c.turn_id, reviews.c.platform, *(turns.c[name] for name in told))
        good = (reviews.c.verdict == Verdict.GOOD.value, among(turns.c.decision, Decision.ANSWER, Decision.DIRECT))
        kept = (turns.c.question != "", turns.c.text != "")
        query = select(*columns).join(turns, turns.c.turn_id == reviews.c.turn_id).where(*good, *kept)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(reviews.c.decided_at, reviews.c.turn_id))).mappings()
            return tuple(_example(row) for row in rows if row["citations"])


def _example(row: RowMapping) -> Example:
    cited = tuple(citation["passage_id"] for citation in row["citations"])
    return Example(
        example_id=row["turn_id"],
        question=row["question"],
        answer=row["text"],
        source="review",
        origin=row["platform"],
        own_words=True,
        passage_id=cited[0],
        cites=cited if row["reason"] == Reason.COMPOSED.value else (),  # what is quoted has no marks
        conversation_id=row["conversation_id"],
    )
