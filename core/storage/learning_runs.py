"""Runs of the learning loop in SQL: a row for each, of which one at most goes on, by the database's clock."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.learning import DIED, SILENT_SECONDS, Doing, Interval, LearningRun, Loss, Report, Sample, State, goes_on
from core.registry import Kind
from core.storage.database import Database
from core.storage.model_tables import learning_runs
from core.text import clean

_TOLD = [column for column in learning_runs.c if column.name != "report"]
_GOES_ON = learning_runs.c.state == State.RUNNING.value


class SqlRunBook:
    """`RunBook` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, run: LearningRun) -> None:
        """See `RunBook.begin`; a unique index lets one of two win that begin at once."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            await self._bury(connection, now)
            row = _row(run) | {"started_at": now, "seen_at": now, "ended_at": None}
            insert = self._database.insert(learning_runs).values(row).on_conflict_do_nothing()
            if (await connection.execute(insert)).rowcount == 0:
                other = (await connection.execute(select(*_TOLD).where(_GOES_ON))).mappings().one()
                raise goes_on(_read(other, now))

    async def beat(self, run_id: str, doing: Doing | None = None) -> None:
        """See `RunBook.beat`."""
        told = json.dumps(_kept(doing._asdict())) if doing else None
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            alive = learning_runs.update().where(learning_runs.c.run_id == run_id, _GOES_ON)
            await connection.execute(alive.values(seen_at=now, doing=told))

    async def end(self, run: LearningRun) -> None:
        """See `RunBook.end`."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            row = {name: value for name, value in _row(run).items() if name not in ("run_id", "started_at")}
            ended = learning_runs.update().where(learning_runs.c.run_id == run.run_id)
            await connection.execute(ended.values(row | {"seen_at": now, "ended_at": now, "doing": None}))

    async def run(self, run_id: str) -> LearningRun | None:
        """See `RunBook.run`."""
        async with self._database.read() as connection:
            now = await self._database.now(connection)
            query = select(learning_runs).where(learning_runs.c.run_id == clean(run_id))
            row = (await connection.execute(query)).mappings().first()
            return _read(row, now) if row else None

    async def runs(self, limit: int = 50) -> tuple[LearningRun, ...]:
        """See `RunBook.runs`."""
        query = select(*_TOLD).order_by(learning_runs.c.started_at.desc(), learning_runs.c.run_id).limit(limit)
        async with self._database.read() as connection:
            now = await self._database.now(connection)
            return tuple(_read(row, now) for row in (await connection.execute(query)).mappings())

    async def _bury(self, connection: AsyncConnection, now: datetime) -> None:
        """End the run whose process has died: the next one must not wait for it."""
        silent = learning_runs.update().where(_GOES_ON, learning_runs.c.seen_at < now - timedelta(seconds=SILENT_SECONDS))
        await connection.execute(silent.values(state=State.FAILED.value, ended_at=learning_runs.c.seen_at, reason=DIED, doing=None))


def _row(run: LearningRun) -> dict[str, Any]:
    texts = {name: clean(getattr(run, name)) for name in ("run_id", "actor", "model_id", "against", "reason")}
    report = json.dumps(_kept(asdict(run.report))) if run.report else None
    return texts | {"kind": run.kind.value, "state": run.state.value, "report": report}


def _read(row: RowMapping, now: datetime) -> LearningRun:
    told = {name: row[name] for name in ("run_id", "actor", "started_at", "ended_at", "model_id", "against", "reason")}
    report = _report(json.loads(row["report"])) if row.get("report") else None
    doing = Doing(**json.loads(row["doing"])) if row["doing"] else None
    run = LearningRun(kind=Kind(row["kind"]), state=State(row["state"]), report=report, doing=doing, **told)
    if run.state is State.RUNNING and row["seen_at"] < now - timedelta(seconds=SILENT_SECONDS):
        return replace(run, state=State.FAILED, ended_at=row["seen_at"], reason=DIED, doing=None)
    return run


def _report(told: dict[str, Any]) -> Report:
    return Report(
        before=told["before"],
        after=told["after"],
        differences={name: Interval(*found) for name, found in told["differences"].items()},
        losses=tuple(Loss(*one) for one in told["losses"]),
        samples=tuple(Sample(*one) for one in told["samples"]),
        versions=told["versions"],
    )


def _kept(value: Any) -> Any:
    """Return what JSON and every database keep of it: what a model wrote may hold anything."""
    match value:
        case str():
            return clean(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {name: _kept(one) for name, one in value.items()}
        case tuple() | list():
            return [_kept(one) for one in value]
    return value
