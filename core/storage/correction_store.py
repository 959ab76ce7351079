"""Corrections in SQL."""

from __future__ import annotations

import uuid
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.corrections import MAX_REASON_CHARS, Cause, Correction, CorrectionDraft, Ruling, State, Version
from core.domain import utc_now
from core.faq import SOURCE
from core.members import EVERYWHERE, Scope
from core.storage.database import Database
from core.storage.knowledge_store import put_passage
from core.storage.scopes import within
from core.storage.staff_tables import correction_versions, corrections
from core.storage.tables import among, conversations, turns
from core.text import clean

_DRAFTED = ("turn_id", "question", "answer", "author", "origin", "platform", "workspace_id", "own_words")
_WRITTEN = ("question", "answer", "alternatives", "cause")  # what a revision changes


class SqlCorrectionStore:
    """`CorrectionStore` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def propose(self, draft: CorrectionDraft) -> str:
        """See `CorrectionStore.propose`."""
        draft = draft.cleaned()
        async with self._database.write() as connection:
            draft = await _placed(connection, draft)
            keys = {"correction_id": uuid.uuid4().hex, "proposed_at": utc_now(), "digest": draft.digest, "state": State.PENDING.value}
            await connection.execute(self._database.insert(corrections).values(**_row(draft), **keys).on_conflict_do_nothing())
            kept = select(corrections.c.correction_id).where(corrections.c.digest == draft.digest)
            correction_id: str = (await connection.execute(kept)).scalar_one()
            return correction_id

    async def pending(self, limit: int) -> tuple[Correction, ...]:
        """See `CorrectionStore.pending`."""
        return await self.listed(State.PENDING, EVERYWHERE, limit)

    async def get(self, correction_id: str, scope: Scope) -> Correction | None:
        """See `CorrectionStore.get`."""
        query = select(corrections).where(corrections.c.correction_id == clean(correction_id), _visible(scope))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        return _correction(row) if row else None

    async def listed(self, state: State, scope: Scope, limit: int, offset: int = 0) -> tuple[Correction, ...]:
        """See `CorrectionStore.listed`."""
        order = (corrections.c.proposed_at, corrections.c.correction_id)
        if state is not State.PENDING:
            order = (corrections.c.decided_at.desc(), corrections.c.correction_id.desc())  # type: ignore[assignment]
        query = select(corrections).where(among(corrections.c.state, state), _visible(scope))
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(*order).limit(limit).offset(offset))
            return tuple(map(_correction, rows.mappings()))

    async def count(self, state: State, scope: Scope, limit: int | None = None) -> int:
        """See `CorrectionStore.count`."""
        some = select(corrections.c.correction_id).where(among(corrections.c.state, state), _visible(scope)).limit(limit).subquery()
        async with self._database.read() as connection:
            return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())

    async def revise(self, correction_id: str, revision: int, draft: CorrectionDraft, actor: str) -> bool:
        """See `CorrectionStore.revise`."""
        draft = draft.cleaned()
        written = {name: value for name, value in _row(draft).items() if name in (*_WRITTEN, "own_words")}
        async with self._database.write() as connection:
            before = await _locked(connection, correction_id, revision)
            if before is None:
                return False
            earlier = {name: before[name] for name in ("correction_id", "revision", *_WRITTEN)}
            author = before["revised_by"] or before["author"]
            await connection.execute(correction_versions.insert().values(**earlier, author=author, replaced_at=utc_now()))
            await _change(connection, correction_id, **written, revision=revision + 1, revised_by=actor)
        return True

    async def history(self, correction_id: str) -> tuple[Version, ...]:
        """See `CorrectionStore.history`."""
        query = select(correction_versions).where(correction_versions.c.correction_id == clean(correction_id))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(correction_versions.c.revision))).mappings()
            return tuple(_version(row) for row in rows)

    async def decide(self, correction_id: str, revision: int, ruling: Ruling) -> bool:
        """See `CorrectionStore.decide`."""
        async with self._database.write() as connection:
            if await _locked(connection, correction_id, revision) is None:
                return False
            if ruling.row is not None:
                await put_passage(self._database, connection, ruling.knowledge, SOURCE, ruling.row)
            decided = {"state": ruling.state.value, "decided_by": ruling.actor, "decided_at": utc_now()}
            reason = clean(ruling.reason)[:MAX_REASON_CHARS]
            row_id = ruling.row.passage_id if ruling.row else None
            await _change(connection, correction_id, **decided, decision_reason=reason, passage_id=row_id)
        return True

    async def approved(self) -> tuple[Correction, ...]:
        """See `CorrectionStore.approved`."""
        joined = select(corrections).outerjoin(turns, turns.c.turn_id == corrections.c.turn_id)
        may_be_learnt = ~corrections.c.own_words | (turns.c.question != "")
        query = joined.where(among(corrections.c.state, State.APPROVED), corrections.c.question != "", may_be_learnt)
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(corrections.c.decided_at, corrections.c.correction_id))
            return tuple(map(_correction, rows.mappings()))


def _visible(scope: Scope) -> ColumnElement[bool]:
    return within(scope, corrections) | (corrections.c.platform == "")


async def _placed(connection: AsyncConnection, draft: CorrectionDraft) -> CorrectionDraft:
    """Return a draft as of the workspace of its turn, or without a turn that does not exist."""
    joined = select(turns.c.turn_id, conversations.c.platform, conversations.c.workspace_id).join(conversations)
    found = (await connection.execute(joined.where(turns.c.turn_id == clean(draft.turn_id or "")))).mappings().first()
    return replace(draft, **found) if found else replace(draft, turn_id=None)


async def _locked(connection: AsyncConnection, correction_id: str, revision: int) -> RowMapping | None:
    """Return a row that is still pending at `revision`, locked; whoever comes second waits here and finds it decided."""
    this = (corrections.c.correction_id == clean(correction_id), corrections.c.revision == revision)
    query = select(corrections).where(*this, among(corrections.c.state, State.PENDING)).with_for_update()
    return (await connection.execute(query)).mappings().first()


async def _change(connection: AsyncConnection, correction_id: str, **values: Any) -> None:
    await connection.execute(update(corrections).where(corrections.c.correction_id == clean(correction_id)).values(**values))


def _row(draft: CorrectionDraft) -> dict[str, Any]:
    return asdict(draft) | {"cause": draft.cause.value, "alternatives": list(draft.alternatives)}


def _correction(row: RowMapping) -> Correction:
    said = {name: row[name] for name in _DRAFTED}
    draft = CorrectionDraft(**said, cause=Cause(row["cause"]), alternatives=tuple(row["alternatives"]))
    decided = (row["decided_by"] or "", row["decided_at"], row["decision_reason"] or "", row["passage_id"] or "")
    return Correction(row["correction_id"], draft, row["proposed_at"], State(row["state"]), row["revision"], *decided)


def _version(row: RowMapping) -> Version:
    written = (row["question"], row["answer"], tuple(row["alternatives"]), Cause(row["cause"]))
    return Version(row["revision"], *written, row["author"], row["replaced_at"])
