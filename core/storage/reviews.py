"""The queue of reviews in SQL: rows only for what should be looked at, ordered by what is known when a turn is written or judged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, text, tuple_, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.members import Scope
from core.reviews import CLAIM_SECONDS, Held, Place, ReviewItem, Sign, Verdict
from core.storage.database import Database
from core.storage.review_tables import REVIEW_WAITS, reviews
from core.storage.scopes import in_workspace, within
from core.storage.tables import conversations, turns
from core.storage.turn_book import PLACE, record_of
from core.text import clean

_TRIES = 20  # items that others take in the very moment
ORDER = (reviews.c.risk, reviews.c.queued_at, reviews.c.turn_id)
_WAITS = text(REVIEW_WAITS)


class SqlReviewQueue:
    """`ReviewQueue` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waiting(self, scope: Scope, limit: int, after: Place | None = None) -> tuple[ReviewItem, ...]:
        """See `ReviewQueue.waiting`."""
        behind = () if after is None else (tuple_(*ORDER) < tuple(after),)
        async with self._database.read() as connection:
            return await self._items(connection, first_waiting(scope, limit, *behind))

    async def count(self, scope: Scope, limit: int) -> int:
        """See `ReviewQueue.count`."""
        some = select(reviews.c.turn_id).where(_WAITS, within(scope, reviews)).limit(limit).subquery()
        async with self._database.read() as connection:
            return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())

    async def since(self, scope: Scope, moment: datetime, limit: int) -> tuple[ReviewItem, ...]:
        """See `ReviewQueue.since`."""
        new = select(reviews.c.turn_id).where(_WAITS, reviews.c.queued_at > moment, within(scope, reviews))
        async with self._database.read() as connection:
            found = await self._items(connection, new.order_by(reviews.c.queued_at.desc()).limit(limit))
        return tuple(sorted(found, key=lambda item: item.queued_at))

    async def item(self, scope: Scope, turn_id: str) -> ReviewItem | None:
        """See `ReviewQueue.item`."""
        async with self._database.read() as connection:
            return await self._item(connection, scope, turn_id)

    async def open(self, scope: Scope, turn_id: str, member: str, seconds: float = CLAIM_SECONDS) -> Held | None:
        """See `ReviewQueue.open`."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            await self._queue(connection, scope, turn_id, now)
            is_yours = await _claim(connection, turn_id, member, now, seconds)
            item = await self._item(connection, scope, turn_id)
        return Held(item, is_yours) if item else None

    async def open_next(
        self, scope: Scope, member: str, beside: Place | None = None, *, backwards: bool = False, seconds: float = CLAIM_SECONDS
    ) -> ReviewItem | None:
        """See `ReviewQueue.open_next`."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            query = first_waiting(scope, _TRIES, _free(member, now), *_beside(beside, backwards), backwards=backwards)
            for turn_id in (await connection.execute(query)).scalars().all():
                if await _claim(connection, turn_id, member, now, seconds):
                    return await self._item(connection, scope, turn_id)
        return None

    async def release(self, turn_id: str, member: str) -> None:
        """See `ReviewQueue.release`."""
        mine = (reviews.c.turn_id == clean(turn_id), reviews.c.claimed_by == member)
        async with self._database.write() as connection:
            await connection.execute(update(reviews).where(*mine).values(claimed_by=None, claimed_until=None))

    async def decide(self, scope: Scope, turn_id: str, member: str, verdict: Verdict) -> bool:
        """See `ReviewQueue.decide`."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            mine = (reviews.c.turn_id == clean(turn_id), within(scope, reviews), _free(member, now))
            said = {"verdict": verdict.value, "reviewer": member, "decided_at": now, "claimed_by": None, "claimed_until": None}
            return (await connection.execute(update(reviews).where(*mine).values(**said))).rowcount == 1

    async def _queue(self, connection: AsyncConnection, scope: Scope, turn_id: str, now: datetime) -> None:
        """Any turn may be reviewed: make a row for one that nothing speaks against, if it is within `scope`."""
        columns = (turns.c.turn_id, conversations.c.platform, conversations.c.workspace_id)
        here = select(*columns).join(conversations).where(turns.c.turn_id == clean(turn_id), within(scope, conversations))
        if (row := (await connection.execute(here)).mappings().first()) is not None:
            insert = self._database.insert(reviews).values(**row, risk=0, queued_at=now)
            await connection.execute(insert.on_conflict_do_nothing())

    async def _item(self, connection: AsyncConnection, scope: Scope, turn_id: str) -> ReviewItem | None:
        one = select(reviews.c.turn_id).where(reviews.c.turn_id == clean(turn_id), within(scope, reviews))
        return next(iter(await self._items(connection, one)), None)

    async def _items(self, connection: AsyncConnection, turn_ids: Select[Any]) -> tuple[ReviewItem, ...]:
        now = await self._database.now(connection)
        chosen = turn_ids.subquery()
        joined = chosen.join(reviews, reviews.c.turn_id == chosen.c.turn_id).join(turns, turns.c.turn_id == reviews.c.turn_id)
        query = select(*turns.c, *PLACE, *_REVIEW).select_from(joined.join(conversations, turns.c.conversation_id == _CONVERSATION))
        rows = (await connection.execute(query.order_by(*(column.desc() for column in ORDER)))).mappings()
        return tuple(item_of(row, now) for row in rows)


_CONVERSATION = conversations.c.conversation_id
_REVIEW = tuple(reviews.c[name] for name in ("risk", "queued_at", "claimed_by", "claimed_until", "verdict", "reviewer", "decided_at"))


def first_waiting(scope: Scope, limit: int, *where: ColumnElement[bool], backwards: bool = False) -> Select[Any]:
    """Return the query for the first that wait: each workspace of a scope gives its own first ones, on an index that begins with it."""
    if scope.workspaces is None:
        return _ordered(limit, *where, backwards=backwards).with_only_columns(reviews.c.turn_id)
    places = [in_workspace(reviews, *place) for place in sorted(scope.workspaces)]
    if not places:
        return select(reviews.c.turn_id).where(within(scope, reviews))
    each = [select(_ordered(limit, place, *where, backwards=backwards).subquery()) for place in places]
    merged = union_all(*each).subquery()
    order = [merged.c[column.name].asc() if backwards else merged.c[column.name].desc() for column in ORDER]
    return select(merged.c.turn_id).order_by(*order).limit(limit)


def _ordered(limit: int, *where: ColumnElement[bool], backwards: bool) -> Select[Any]:
    order = [column.asc() if backwards else column.desc() for column in ORDER]
    return select(*ORDER).where(_WAITS, *where).order_by(*order).limit(limit)


def _beside(place: Place | None, backwards: bool) -> tuple[ColumnElement[bool], ...]:
    if place is None:
        return ()
    return (tuple_(*ORDER) > tuple(place) if backwards else tuple_(*ORDER) < tuple(place),)


def _free(member: str, now: datetime) -> ColumnElement[bool]:
    return or_(reviews.c.claimed_until.is_(None), reviews.c.claimed_until <= now, reviews.c.claimed_by == member)


async def _claim(connection: AsyncConnection, turn_id: str, member: str, now: datetime, seconds: float) -> bool:
    free = (reviews.c.turn_id == clean(turn_id), _free(member, now))
    values = {"claimed_by": member, "claimed_until": now + timedelta(seconds=seconds)}
    return (await connection.execute(update(reviews).where(*free).values(**values))).rowcount == 1


def item_of(row: Mapping[Any, Any], now: datetime) -> ReviewItem:
    """Return the review of a row that holds its turn and `PLACE` too."""
    holds = row["claimed_until"] is not None and row["claimed_until"] > now
    verdict = Verdict(row["verdict"]) if row["verdict"] else None
    holder = row["claimed_by"] if holds else None
    said = (row["queued_at"], holder, verdict, row["reviewer"], row["decided_at"])
    return ReviewItem(record_of(row), row["conversation_id"], Sign(row["risk"]), *said)
