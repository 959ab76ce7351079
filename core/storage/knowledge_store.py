"""Passages and releases in SQL: the source of truth of knowledge."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, RowMapping, Select, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import Passage, utc_now
from core.errors import KnowledgeError
from core.knowledge import Entry, Release, SourceImport
from core.storage.database import Database
from core.storage.tables import activations, passages, releases
from core.text import clean

_BATCH = 500  # rows per statement: 13 columns stay far below SQLite's 32,766 parameters
_CONTENT = tuple(column for column in passages.c if column.name not in ("knowledge", "source", "import_id", "updated_at"))


class SqlKnowledgeStore:
    """`KnowledgeStore` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace_source(
        self, knowledge: str, source: str, passages_: Iterable[Passage], *, keep_missing: Callable[[], bool]
    ) -> SourceImport:
        """See `KnowledgeStore.replace_source`."""
        import_id = uuid.uuid4().hex
        counts: Counter[str] = Counter()
        conflicts: list[str] = []
        async with self._database.write() as connection:
            for batch in _batches(passages_):
                stored = await _stored(connection, knowledge, [passage.passage_id for passage in batch])
                mine = [passage for passage in batch if _owner(stored, passage, source) == source]
                conflicts += [passage.passage_id for passage in batch if _owner(stored, passage, source) != source]
                counts.update(_change(stored, passage) for passage in mine)
                await self._upsert(connection, knowledge, source, import_id, mine)
            removed = 0 if keep_missing() else await _remove_missing(connection, knowledge, source, import_id)
        return SourceImport(counts["added"], counts["changed"], counts["unchanged"], removed, tuple(conflicts))

    async def sources(self, knowledge: str) -> tuple[str, ...]:
        """See `KnowledgeStore.sources`."""
        query = select(passages.c.source).where(passages.c.knowledge == knowledge).distinct().order_by(passages.c.source)
        async with self._database.read() as connection:
            return tuple((await connection.execute(query)).scalars())

    async def passages(self, knowledge: str) -> tuple[Passage, ...]:
        """See `KnowledgeStore.passages`."""
        query = select(*_CONTENT).where(passages.c.knowledge == knowledge).order_by(passages.c.passage_id)
        async with self._database.read() as connection:
            return tuple(_passage(row) for row in (await connection.execute(query)).mappings())

    async def add_release(self, knowledge: str, version: str, passages_: int, embedder: str, actor: str) -> None:
        """See `KnowledgeStore.add_release`."""
        row = {"knowledge": knowledge, "version": version, "passages": passages_, "embedder": embedder}
        async with self._database.write() as connection:
            insert = self._database.insert(releases).values(**row, published_at=utc_now())
            await connection.execute(insert.on_conflict_do_nothing())
            await _activate(connection, knowledge, version, actor)

    async def activate(self, knowledge: str, version: str, actor: str) -> None:
        """See `KnowledgeStore.activate`."""
        known = select(releases.c.version).where(releases.c.knowledge == knowledge, releases.c.version == version)
        async with self._database.write() as connection:
            if (await connection.execute(known)).first() is None:
                raise KnowledgeError(f"{version!r} is no published version of {knowledge!r}. See: frontdesk knowledge list")
            await _activate(connection, knowledge, version, actor)

    async def active(self, knowledge: str) -> str | None:
        """See `KnowledgeStore.active`."""
        async with self._database.read() as connection:
            return await _active(connection, knowledge)

    async def releases(self, knowledge: str) -> tuple[Release, ...]:
        """See `KnowledgeStore.releases`."""
        query = select(releases).where(releases.c.knowledge == knowledge).order_by(releases.c.published_at.desc())
        async with self._database.read() as connection:
            active = await _active(connection, knowledge)
            rows = (await connection.execute(query)).mappings()
            return tuple(
                Release(row["version"], row["passages"], row["embedder"], row["published_at"], row["version"] == active) for row in rows
            )

    async def names(self) -> tuple[str, ...]:
        """See `KnowledgeStore.names`."""
        query = select(passages.c.knowledge).union(select(releases.c.knowledge))
        async with self._database.read() as connection:
            return tuple(sorted((await connection.execute(query)).scalars()))

    async def entry(self, knowledge: str, passage_id: str) -> Entry | None:
        """See `KnowledgeStore.entry`."""
        async with self._database.read() as connection:
            row = (await connection.execute(_entries(_one(knowledge, passage_id)))).mappings().first()
        return _entry(row) if row else None

    async def find(self, knowledge: str, text: str, limit: int, offset: int = 0) -> tuple[Entry, ...]:
        """See `KnowledgeStore.find`."""
        query = _entries(_matching(knowledge, text)).order_by(passages.c.passage_id).limit(limit).offset(offset)
        async with self._database.read() as connection:
            return tuple(map(_entry, (await connection.execute(query)).mappings()))

    async def count(self, knowledge: str, text: str = "") -> int:
        """See `KnowledgeStore.count`."""
        query = select(func.count()).select_from(passages).where(_matching(knowledge, text))
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def put(self, knowledge: str, source: str, passage: Passage, version: str | None) -> bool:
        """See `KnowledgeStore.put`."""
        async with self._database.write() as connection:
            if version is None:
                return await put_passage(self._database, connection, knowledge, source, passage, only_new=True)
            if not await _is_at(connection, knowledge, passage.passage_id, version):
                return False
            return await put_passage(self._database, connection, knowledge, source, passage)

    async def remove(self, knowledge: str, passage_id: str, version: str) -> bool:
        """See `KnowledgeStore.remove`."""
        statement = delete(passages).where(_one(knowledge, passage_id), passages.c.import_id == clean(version))
        async with self._database.write() as connection:
            return bool((await connection.execute(statement)).rowcount)

    async def changed_at(self, knowledge: str) -> datetime | None:
        """See `KnowledgeStore.changed_at`."""
        query = select(passages.c.updated_at).where(passages.c.knowledge == knowledge).order_by(passages.c.updated_at.desc()).limit(1)
        async with self._database.read() as connection:
            changed: datetime | None = (await connection.execute(query)).scalar()
        return changed

    async def _upsert(self, connection: AsyncConnection, knowledge: str, source: str, import_id: str, rows: list[Passage]) -> None:
        if rows:
            written = [_written(knowledge, source, import_id, passage) for passage in rows]
            await connection.execute(_insert_or_update(self._database), written)


async def put_passage(
    database: Database, connection: AsyncConnection, knowledge: str, source: str, passage: Passage, *, only_new: bool = False
) -> bool:
    """Write one passage within a transaction; False when it was there before and may be `only_new`."""
    statement = database.insert(passages).on_conflict_do_nothing() if only_new else _insert_or_update(database)
    written = await connection.execute(statement.values(**_written(knowledge, source, uuid.uuid4().hex, passage)))
    return bool(written.rowcount)


def _insert_or_update(database: Database) -> Any:
    insert = database.insert(passages)
    update = {column.name: insert.excluded[column.name] for column in passages.c if not column.primary_key}
    return insert.on_conflict_do_update(index_elements=list(passages.primary_key), set_=update)


def _written(knowledge: str, source: str, import_id: str, passage: Passage) -> dict[str, Any]:
    return _row(passage) | {"knowledge": knowledge, "source": source, "import_id": import_id, "updated_at": utc_now()}


async def _is_at(connection: AsyncConnection, knowledge: str, passage_id: str, version: str) -> bool:
    """Tell whether a passage is as it was at `version`, and lock it if so."""
    query = select(passages.c.passage_id).where(_one(knowledge, passage_id), passages.c.import_id == clean(version)).with_for_update()
    return (await connection.execute(query)).first() is not None


def _entries(where: ColumnElement[bool]) -> Select[Any]:
    return select(*_CONTENT, passages.c.source, passages.c.import_id, passages.c.updated_at).where(where)


def _one(knowledge: str, passage_id: str) -> ColumnElement[bool]:
    return (passages.c.knowledge == knowledge) & (passages.c.passage_id == clean(passage_id))


def _matching(knowledge: str, text: str) -> ColumnElement[bool]:
    wanted = clean(text)
    here: ColumnElement[bool] = passages.c.knowledge == knowledge
    if not wanted:
        return here
    return here & or_(*(passages.c[name].icontains(wanted, autoescape=True) for name in ("passage_id", "title", "text")))


def _entry(row: RowMapping) -> Entry:
    fields = dict(row)
    source, version, updated_at = (fields.pop(name) for name in ("source", "import_id", "updated_at"))
    return Entry(_passage(fields), source, version, updated_at)


def _batches(values: Iterable[Passage]) -> Iterator[list[Passage]]:
    """Yield the passages in batches; of two with one id the last one."""
    iterator = iter(values)
    while batch := list(islice(iterator, _BATCH)):
        yield list({passage.passage_id: passage for passage in batch}.values())


def _row(passage: Passage) -> dict[str, Any]:
    return asdict(passage) | {"alternatives": list(passage.alternatives), "tags": list(passage.tags)}


def _passage(row: Mapping[Any, Any]) -> Passage:
    return Passage(**{**row, "alternatives": tuple(row["alternatives"]), "tags": tuple(row["tags"])})


Stored: TypeAlias = dict[str, tuple[str, Passage]]


async def _stored(connection: AsyncConnection, knowledge: str, passage_ids: list[str]) -> Stored:
    query = select(passages.c.source, *_CONTENT).where(passages.c.knowledge == knowledge, passages.c.passage_id.in_(passage_ids))
    rows = (dict(row) for row in (await connection.execute(query)).mappings())
    return {row["passage_id"]: (row.pop("source"), _passage(row)) for row in rows}


def _owner(stored: Stored, passage: Passage, default: str) -> str:
    return stored[passage.passage_id][0] if passage.passage_id in stored else default


def _change(stored: Stored, passage: Passage) -> str:
    if passage.passage_id not in stored:
        return "added"
    return "unchanged" if stored[passage.passage_id][1] == passage else "changed"


async def _remove_missing(connection: AsyncConnection, knowledge: str, source: str, import_id: str) -> int:
    statement = delete(passages).where(passages.c.knowledge == knowledge, passages.c.source == source, passages.c.import_id != import_id)
    return (await connection.execute(statement)).rowcount


async def _activate(connection: AsyncConnection, knowledge: str, version: str, actor: str) -> None:
    row = {"knowledge": knowledge, "version": version, "actor": actor, "activated_at": utc_now()}
    await connection.execute(activations.insert().values(**row))


async def _active(connection: AsyncConnection, knowledge: str) -> str | None:
    newest = select(func.max(activations.c.activation_id)).where(activations.c.knowledge == knowledge).scalar_subquery()
    query = select(activations.c.version).where(activations.c.activation_id == newest)
    version: str | None = (await connection.execute(query)).scalar()
    return version
