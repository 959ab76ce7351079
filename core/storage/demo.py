"""Made-up conversations in SQL: written in large transactions, removed by what refers to what."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, func, or_, select

from core.demo import MARK, REVIEWER, DemoConversation, DemoHandoff, DemoTurn
from core.domain import Action, Actor, InboundMessage
from core.handoff import Helper, Step
from core.reviews import Sign
from core.storage.database import Database
from core.storage.handoff_tables import handoff_words, handoffs
from core.storage.message_rows import row_of
from core.storage.review_rows import review_row
from core.storage.review_tables import day_figures, reviews
from core.storage.staff_tables import corrections, feedback
from core.storage.tables import conversations, inbox, metadata, outbox, turns
from core.storage.turn_rows import message_row, reply_row

_AT_ONCE = 500  # conversations of a transaction


class SqlDemoStore:
    """`DemoStore` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def has_any(self) -> bool:
        """See `DemoStore.has_any`."""
        any_of_them = select(conversations.c.conversation_id).where(_of_demo(conversations)).limit(1)
        async with self._database.read() as connection:
            return (await connection.execute(any_of_them)).first() is not None

    async def fill(self, made_up: Iterable[DemoConversation], progress: Callable[[int], None]) -> int:
        """See `DemoStore.fill`; whoever writes meanwhile waits for a transaction of some hundred conversations."""
        told, written = iter(made_up), 0
        while batch := list(islice(told, _AT_ONCE)):
            rows: defaultdict[Table, list[dict[str, Any]]] = defaultdict(list)
            for conversation in batch:
                for table, row in _rows(conversation):
                    rows[table].append(row)
            await self._write(rows)
            written += len(rows[turns])
            progress(len(rows[turns]))
        return written

    async def remove(self) -> int:
        """See `DemoStore.remove`."""
        async with self._database.write() as connection:
            theirs = select(func.count()).select_from(turns.join(conversations)).where(_of_demo(conversations))
            count: int = (await connection.execute(theirs)).scalar_one()
            for table in reversed(metadata.sorted_tables):
                if (condition := _belongs(table)) is not None:
                    await connection.execute(delete(table).where(condition))
            await connection.execute(delete(day_figures).where(_of_demo(day_figures)))
        return count

    async def _write(self, rows: dict[Table, list[dict[str, Any]]]) -> None:
        async with self._database.write() as connection:
            await connection.execute(conversations.insert(), rows[conversations])
            numbered = inbox.insert().returning(inbox.c.turn_id, inbox.c.inbox_id)
            numbers = {row.turn_id: row.inbox_id for row in await connection.execute(numbered, rows[inbox])}
            await connection.execute(turns.insert(), [row | {"inbox_id": numbers[row["turn_id"]]} for row in rows[turns]])
            for table in (reviews, feedback, corrections, handoffs, outbox, handoff_words):
                if rows[table]:
                    await connection.execute(table.insert(), rows[table])


def _of_demo(table: Table) -> ColumnElement[bool]:
    workspace: ColumnElement[str] = table.c.workspace_id
    return workspace.startswith(MARK, autoescape=True)


def _belongs(table: Table, above: tuple[Table, ...] = ()) -> ColumnElement[bool] | None:
    """The rows that belong to a demo: conversations of its workspaces, and whatever refers to such rows; None: no row can."""
    if table is conversations:
        return _of_demo(conversations)
    found = []
    for key in table.foreign_keys:
        target = key.column
        if target.table not in (*above, table) and (condition := _belongs(target.table, (*above, table))) is not None:
            found.append(key.parent.in_(select(target).where(condition)))
    return or_(*found) if found else None


def _rows(one: DemoConversation) -> Iterator[tuple[Table, dict[str, Any]]]:
    first, last = one.turns[0], one.turns[-1]
    waits = one.handoff is not None and one.handoff.state.is_open
    owned = {"owner": one.owner.value, "handoff_at": last.answered_at if waits else None}
    yield conversations, {"conversation_id": one.conversation_id, "started_at": first.asked_at, **asdict(one.address), **owned}
    for position, turn in enumerate(one.turns, 1):
        yield from _turn_rows(one, turn, position)
    if one.handoff:
        yield handoffs, _handoff_row(one, one.handoff)
        yield from _words(one, one.handoff)


def _handoff_row(one: DemoConversation, handoff: DemoHandoff) -> dict[str, Any]:
    """The row of a hand-off; whoever sees to those who wait has done everything already, because nobody real must be told."""
    helper = handoff.helper or Helper("")
    claimed = {"claimed_at": handoff.claimed_at, "claimed_by": helper.actor or None, "claimed_name": helper.name or None}
    closed = {"closed_at": handoff.closed_at, "closed_by": helper.actor if handoff.closed_at else None}
    seen_to = {"waiting_since": handoff.opened_at} | {step.value: handoff.opened_at for step in Step}
    place = {"conversation_id": one.conversation_id, "customer_id": one.actor_id, **_workspace(one)}
    known = {"handoff_id": handoff.handoff_id, "turn_id": handoff.turn_id, "reason": handoff.why.value, "state": handoff.state.value}
    return known | place | claimed | closed | seen_to | {"opened_at": handoff.opened_at}


def _words(one: DemoConversation, handoff: DemoHandoff) -> Iterator[tuple[Table, dict[str, Any]]]:
    helper = handoff.helper or Helper("")
    for text, said_at in handoff.said:
        key = f"demo-{uuid.uuid4().hex}"
        place = {"conversation_id": one.conversation_id, "platform": one.address.platform, "key": key, "action": Action.PERSON.value}
        yield outbox, place | {"text": text, "part": 0, "state": "sent", "attempts": 1, "due_at": said_at, "sent_at": said_at}
        yield handoff_words, {
            "key": key, "handoff_id": handoff.handoff_id, "author": helper.actor, "author_name": helper.name, "said_at": said_at,
        }  # fmt: skip


def _review(one: DemoConversation, turn: DemoTurn) -> dict[str, Any] | None:
    """The row of the queue; what customers called unhelpful is in it too, and all but the newest has its verdict."""
    row = review_row(turn.turn_id, one.address, turn.question, turn.reply, turn.answered_at)
    if turn.feedback and not turn.feedback.helpful:
        row = row or {"turn_id": turn.turn_id, "risk": 0, "queued_at": turn.answered_at, **_workspace(one)}
        row |= {"risk": row["risk"] | Sign.UNHELPFUL, "queued_at": turn.feedback.given_at}
    said = {"verdict": turn.verdict, "reviewer": REVIEWER if turn.verdict else None, "decided_at": turn.decided_at}
    return row | said if row else None


def _workspace(one: DemoConversation) -> dict[str, str]:
    return {"platform": one.address.platform, "workspace_id": one.address.workspace_id}


def _turn_rows(one: DemoConversation, turn: DemoTurn, position: int) -> Iterator[tuple[Table, dict[str, Any]]]:
    message = InboundMessage(f"demo-{uuid.uuid4().hex}", one.address, Actor(one.actor_id, one.actor_name), turn.question, turn.asked_at)
    keys = {"conversation_id": one.conversation_id, "turn_id": turn.turn_id}
    asked = row_of(message) | {"state": "done", "attempts": 1, "accepted_at": turn.asked_at}
    yield inbox, asked | keys
    yield turns, {**keys, "position": position, **message_row(message), **reply_row(turn.reply), "answered_at": turn.answered_at}
    if review := _review(one, turn):
        yield reviews, review
    if turn.feedback:
        yield feedback, asdict(turn.feedback)
    if turn.correction:
        draft = turn.correction.cleaned()
        row = asdict(draft) | {"cause": draft.cause.value, "digest": draft.digest, "state": "pending", **_workspace(one)}
        yield corrections, row | {"correction_id": uuid.uuid4().hex, "proposed_at": turn.answered_at}
