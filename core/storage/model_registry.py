"""Versions of models and the moves of their aliases, in SQL."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.registry import Alias, Assignment, Kind, ModelFile, ModelVersion, Step, must_be, unknown
from core.storage.database import Database
from core.storage.model_tables import model_moves, models
from core.text import clean


class SqlModelRegistry:
    """`ModelRegistry` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, version: ModelVersion) -> None:
        """See `ModelRegistry.register`."""
        version = version.cleaned()
        insert = self._database.insert(models).values(**_row(version)).on_conflict_do_nothing()
        async with self._database.write() as connection:
            await connection.execute(insert)
            version.refuse_other(await _version(connection, version.model_id))

    async def version(self, model_id: str) -> ModelVersion:
        """See `ModelRegistry.version`."""
        async with self._database.read() as connection:
            return await _version(connection, model_id)

    async def versions(self, kind: Kind | None = None) -> tuple[ModelVersion, ...]:
        """See `ModelRegistry.versions`."""
        query = select(models).order_by(models.c.created_at.desc(), models.c.model_id)
        query = query if kind is None else query.where(models.c.kind == kind.value)
        async with self._database.read() as connection:
            return tuple(_read(row) for row in (await connection.execute(query)).mappings())

    async def assign(
        self, kind: Kind, alias: Alias, model_id: str, step: Step, actor: str, *, share: int = 0, reason: str = "", after: int | None = None
    ) -> int | None:
        """See `ModelRegistry.assign`."""
        texts = {"model_id": clean(model_id), "actor": clean(actor), "reason": clean(reason)}
        async with self._database.write() as connection:
            if texts["model_id"]:
                must_be(kind, texts["model_id"], (await _version(connection, texts["model_id"])).kind)
            await self._queue_up(connection)
            if after is not None and after != await _newest(connection, kind, alias):
                return None
            now = await self._database.now(connection)
            what = {"kind": kind.value, "alias": alias.value, "step": step.value, "share": share, "assigned_at": now}
            insert = model_moves.insert().values(**what, **texts).returning(model_moves.c.assignment_id)
            assignment_id: int = (await connection.execute(insert)).scalar_one()
            return assignment_id

    async def current(self, kind: Kind, alias: Alias) -> Assignment | None:
        """See `ModelRegistry.current`."""
        newest = await self.history(kind, alias, 1)
        return newest[0] if newest else None

    async def history(self, kind: Kind, alias: Alias, limit: int = 100) -> tuple[Assignment, ...]:
        """See `ModelRegistry.history`."""
        query = select(model_moves).where(*_of(kind, alias)).order_by(model_moves.c.assignment_id.desc()).limit(limit)
        async with self._database.read() as connection:
            return tuple(_move(row) for row in (await connection.execute(query)).mappings())

    async def newest_move(self) -> int:
        """See `ModelRegistry.newest_move`."""
        async with self._database.read() as connection:
            return await _newest(connection)

    async def _queue_up(self, connection: AsyncConnection) -> None:
        """Let one mover at a time see the newest move; on SQLite a write transaction does by itself.

        It also lets ids be committed in their order: whoever has followed the newest move has missed none with a smaller id.
        """
        if not self._database.is_sqlite:
            await connection.exec_driver_sql("LOCK TABLE model_moves IN EXCLUSIVE MODE")


async def _version(connection: AsyncConnection, model_id: str) -> ModelVersion:
    found = (await connection.execute(select(models).where(models.c.model_id == clean(model_id)))).mappings().first()
    if found is None:
        raise unknown(model_id, (await connection.execute(select(models.c.model_id))).scalars())
    return _read(found)


def _of(kind: Kind, alias: Alias) -> tuple[Any, ...]:
    return model_moves.c.kind == kind.value, model_moves.c.alias == alias.value


async def _newest(connection: AsyncConnection, *alias: Any) -> int:
    query = select(func.max(model_moves.c.assignment_id)).where(*(_of(*alias) if alias else ()))
    return int((await connection.execute(query)).scalar() or 0)


def _row(version: ModelVersion) -> dict[str, Any]:
    return asdict(version) | {"kind": version.kind.value, "scores": dict(version.scores), "files": list(map(asdict, version.files))}


def _read(row: RowMapping) -> ModelVersion:
    return ModelVersion(**{**row, "kind": Kind(row["kind"]), "files": tuple(ModelFile(**file) for file in row["files"])})


def _move(row: RowMapping) -> Assignment:
    return Assignment(**{**row, "kind": Kind(row["kind"]), "alias": Alias(row["alias"]), "step": Step(row["step"])})
