"""Figures of days in SQL: counted anew for the days in which something may have changed, so that counting twice changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, case, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import Decision, Reason
from core.figures import LATENCY_BOUNDS_MS, Figures, Overview, Period
from core.members import Scope
from core.search import moment_of, number_at
from core.storage.database import Database
from core.storage.review_tables import COUNTS, LATENCIES, TOKENS, day_figures, rollups, turn_index
from core.storage.scopes import within
from core.storage.staff_tables import feedback

_NAME = "figures"
_AGAIN = timedelta(days=1)  # an answer may come hours after its question, on whose day it counts
_LATE = timedelta(hours=1)  # a transaction may be long, and clocks of hosts differ
_FIGURES = (*COUNTS, *TOKENS, *LATENCIES)


class SqlFigureBook:
    """`FigureBook` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def refresh(self) -> int:
        """See `FigureBook.refresh`."""
        async with self._database.read() as connection:
            now = await self._database.now(connection)
            until = (await connection.execute(select(rollups.c.until).where(rollups.c.name == _NAME))).scalar()
            days = await _days(connection, until, now)
        return await self._count_all(days, now)

    async def refresh_all(self) -> int:
        """See `FigureBook.refresh_all`."""
        async with self._database.read() as connection:
            now = await self._database.now(connection)
            days = await _days(connection, None, now)
        return await self._count_all(days, now)

    async def _count_all(self, days: list[date], now: datetime) -> int:
        for day in days:
            await self._count(day)
        await self._note(now)
        return len(days)

    async def overview(self, scope: Scope, period: Period, platform: str | None = None) -> Overview:
        """See `FigureBook.overview`."""
        here = [within(scope, day_figures), day_figures.c.day.between(*period)]
        here += [day_figures.c.platform == platform] if platform else []
        async with self._database.read() as connection:
            by_day = await _sums(connection, here, day_figures.c.day)
            by_place = await _sums(connection, here, day_figures.c.platform, day_figures.c.workspace_id)
            by_model = await _sums(connection, here, day_figures.c.model)
            until = (await connection.execute(select(rollups.c.until).where(rollups.c.name == _NAME))).scalar()
        days = {row["day"]: _figures(row) for row in by_day}
        places = {(row["platform"], row["workspace_id"]): _figures(row) for row in by_place}
        return Overview(sum(days.values(), Figures()), days, places, {row["model"]: _figures(row) for row in by_model}, until)

    async def _count(self, day: date) -> None:
        """Count a day, read outside of the transaction that writes: SQLite has one writer."""
        first = datetime.combine(day, time(), UTC)
        numbers = turn_index.c.number.between(number_at(first), number_at(first + timedelta(days=1)) - 1)
        keys = (turn_index.c.platform, turn_index.c.workspace_id, func.coalesce(turn_index.c.model, "").label("model"))
        query = select(*keys, *_COUNTED).where(numbers, turn_index.c.decision != Decision.SILENT.value).group_by(*keys)
        async with self._database.read() as connection:
            rows = [{"day": day, **row} for row in (await connection.execute(query)).mappings()]
        async with self._database.write() as connection:
            await self._lock(connection)
            await connection.execute(delete(day_figures).where(day_figures.c.day == day))
            if rows:
                await connection.execute(day_figures.insert(), rows)

    async def _lock(self, connection: AsyncConnection) -> None:
        """Let processes that count the same day write one after the other."""
        first = self._database.insert(rollups).values(name=_NAME, until=datetime.fromtimestamp(0, UTC))
        await connection.execute(first.on_conflict_do_nothing())
        await connection.execute(select(rollups).where(rollups.c.name == _NAME).with_for_update())

    async def _note(self, now: datetime) -> None:
        insert = self._database.insert(rollups).values(name=_NAME, until=now)
        later = insert.on_conflict_do_update(index_elements=["name"], set_={"until": now}, where=rollups.c.until < now)
        async with self._database.write() as connection:
            await connection.execute(later)


def _when(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _took(number: int) -> ColumnElement[bool]:
    over = turn_index.c.total_ms > (LATENCY_BOUNDS_MS[number - 1] if number else -1)
    return and_(over, turn_index.c.total_ms <= LATENCY_BOUNDS_MS[number]) if number < len(LATENCY_BOUNDS_MS) else over


_ANSWERS = turn_index.c.decision.in_([Decision.DIRECT.value, Decision.ANSWER.value])
_MEANING = {
    "resolved": and_(_ANSWERS, turn_index.c.helpful.is_not(False)),
    "abstained": turn_index.c.reason == Reason.LOW_CONFIDENCE.value,
    "clarified": turn_index.c.decision == Decision.CLARIFY.value,
    "handed_over": turn_index.c.decision == Decision.HANDOFF.value,
    "helpful": turn_index.c.helpful.is_(True),
    "unhelpful": turn_index.c.helpful.is_(False),
}
_COUNTED = (
    func.count().label("turns"),
    *(_when(condition).label(name) for name, condition in _MEANING.items()),
    *(func.sum(turn_index.c[name]).label(name) for name in TOKENS),
    *(_when(_took(number)).label(name) for number, name in enumerate(LATENCIES)),
)


async def _days(connection: AsyncConnection, until: datetime | None, now: datetime) -> list[date]:
    """The days to count: all of them the first time, then those that are new and those of turns that somebody judged since."""
    if until is None:
        first = (await connection.execute(select(func.min(turn_index.c.number)))).scalar()
        return _range(moment_of(first).date(), now.date()) if first is not None else []
    lately = (
        select(turn_index.c.number).join(feedback, feedback.c.turn_id == turn_index.c.turn_id).where(feedback.c.given_at > until - _LATE)
    )
    judged = {moment_of(number).date() for number in (await connection.execute(lately)).scalars()}
    return sorted(judged | set(_range((until - _AGAIN).date(), now.date())))


def _range(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


async def _sums(connection: AsyncConnection, where: list[ColumnElement[bool]], *keys: Any) -> Sequence[RowMapping]:
    summed = (func.sum(day_figures.c[name]).label(name) for name in _FIGURES)
    return (await connection.execute(select(*keys, *summed).where(*where).group_by(*keys).order_by(*keys))).mappings().all()


def _figures(row: RowMapping) -> Figures:
    counted = {name: int(row[name]) for name in (*COUNTS, *TOKENS)}
    return Figures(**counted, latencies=tuple(int(row[name]) for name in LATENCIES))
