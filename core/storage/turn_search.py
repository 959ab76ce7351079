"""Search over turns in SQL: numbers of turns first, on indexes alone, then the few that are shown; no page is reached by an offset."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.members import Scope
from core.search import NO_MODEL, Choices, FoundTurn, TurnFilter, number_at, terms_of
from core.storage.database import Database
from core.storage.review_tables import JUDGED, day_figures, turn_index, turn_words
from core.storage.scopes import within
from core.storage.tables import conversations, turns
from core.storage.turn_book import PLACE, record_of
from core.storage.turn_words import has, sqlite_match, tsquery

_NEWEST = 10_000  # turns that are read for a common word
_AT_ONCE = 500  # rows of a stream that are in memory


class SqlTurnSearch:
    """`TurnSearch` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, scope: Scope, wanted: TurnFilter, limit: int, before: int | None = None) -> tuple[FoundTurn, ...]:
        """See `TurnSearch.find`."""
        if wanted.text.strip() and not terms_of(wanted.text):  # signs only: no turn has such a word
            return ()
        async with self._database.read() as connection:
            await self._plan_for_these_values(connection)
            for numbers in self.attempts(scope, wanted, limit, before):
                rows = (await connection.execute(_turns(numbers))).mappings().all()
                if len(rows) == limit:
                    break
        return tuple(map(_found, rows))

    async def stream(self, scope: Scope, wanted: TurnFilter) -> AsyncIterator[FoundTurn]:
        """See `TurnSearch.stream`."""
        before = None
        while found := await self.find(scope, wanted, _AT_ONCE, before):
            for one in found:
                yield one
            before = found[-1].number

    async def choices(self, scope: Scope) -> Choices:
        """See `TurnSearch.choices`."""
        seen = within(scope, day_figures)
        places = select(day_figures.c.platform, day_figures.c.workspace_id).where(seen).distinct()
        models = select(day_figures.c.model).where(seen, day_figures.c.model != NO_MODEL).distinct()
        async with self._database.read() as connection:
            workspaces = (await connection.execute(places)).all()
            names = (await connection.execute(models)).scalars().all()
        return Choices(tuple(sorted((one.platform, one.workspace_id) for one in workspaces)), tuple(sorted(names)))

    def attempts(self, scope: Scope, wanted: TurnFilter, limit: int, before: int | None = None) -> tuple[Select[Any], ...]:
        """Return queries for the numbers of the newest turns; each next one finds what the one before has missed.

        PostgreSQL guesses how common a word is, and for words that hardly any turn has it guesses too high: it then reads all turns
        from the newest on (1.2 s of a million). So it is asked for the newest few first, and then for all by their words.
        """
        query = None if self._database.is_sqlite or wanted.helpful is not None else tsquery(scope, wanted)
        if query is None:
            return (self.numbers(scope, wanted, limit, before),)
        bounds = _between(turn_words.c.number, wanted, before)
        sources = (_among_newest(query, bounds, limit), _by_words(query, bounds, limit))
        return tuple(_known(numbers, scope, wanted, limit) for numbers in sources)

    def numbers(self, scope: Scope, wanted: TurnFilter, limit: int, before: int | None = None) -> Select[Any]:
        """Return the query for the numbers of the newest turns, as the database thinks best."""
        conditions = [within(scope, turn_index), *_columns(wanted)]
        match = self._match(scope, wanted)
        if match is None:
            bounds = _between(turn_index.c.number, wanted, before)
            return select(turn_index.c.number).where(*conditions, *bounds).order_by(turn_index.c.number.desc()).limit(limit)
        number = turn_words.c.rowid if self._database.is_sqlite else turn_words.c.number
        # The plus keeps SQLite from looking up words for each row of the index: it is the words that are few.
        joined: ColumnElement[Any] = literal_column("+turn_words.rowid") if self._database.is_sqlite else number
        found = select(number.label("number")).select_from(turn_words.join(turn_index, turn_index.c.number == joined))
        return found.where(match, *conditions, *_between(number, wanted, before)).order_by(number.desc()).limit(limit)

    def _match(self, scope: Scope, wanted: TurnFilter) -> ColumnElement[bool] | None:
        if wanted.helpful is not None and not wanted.text:  # few are judged, and they have an index of their own
            return None
        if self._database.is_sqlite:
            return sqlite_match(scope, wanted)
        query = tsquery(scope, wanted)
        return None if query is None else has(turn_words.c.words, query)

    async def _plan_for_these_values(self, connection: AsyncConnection) -> None:
        """A word in every second turn wants another plan than a rare one, which a plan for all of them cannot know."""
        if not self._database.is_sqlite:
            await connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")


def _among_newest(query: ColumnElement[Any], bounds: list[ColumnElement[bool]], limit: int) -> Select[Any]:
    newest = select(turn_words.c.number, turn_words.c.words).where(*bounds).order_by(turn_words.c.number.desc()).limit(_NEWEST)
    few = newest.subquery()
    return select(few.c.number).where(has(few.c.words, query)).order_by(few.c.number.desc()).limit(limit)


def _by_words(query: ColumnElement[Any], bounds: list[ColumnElement[bool]], limit: int) -> Select[Any]:
    """All that have the words first, on their index alone; an offset keeps PostgreSQL from reading in the order of numbers instead."""
    having = select(turn_words.c.number).where(has(turn_words.c.words, query), *bounds).offset(0).subquery()
    return select(having.c.number).order_by(having.c.number.desc()).limit(limit)


def _known(numbers: Select[Any], scope: Scope, wanted: TurnFilter, limit: int) -> Select[Any]:
    """Those of `numbers`, as many as are shown, that columns agree to: facets say the same, so that none is lost here."""
    hits = numbers.cte("hits").prefix_with("MATERIALIZED")
    joined = hits.join(turn_index, turn_index.c.number == hits.c.number)
    found = select(hits.c.number).select_from(joined).where(within(scope, turn_index), *_columns(wanted))
    return found.order_by(hits.c.number.desc()).limit(limit)


def _columns(wanted: TurnFilter) -> list[ColumnElement[bool]]:
    """The filters as conditions on columns: words narrow, these decide."""
    named = {"platform": wanted.platform, "workspace_id": wanted.workspace_id, "decision": wanted.decision}
    found = [turn_index.c[name] == str(value) for name, value in named.items() if value is not None]
    if wanted.model is not None:
        found.append(turn_index.c.model.is_(None) if wanted.model == NO_MODEL else turn_index.c.model == wanted.model)
    if wanted.helpful is not None:
        found += [text(JUDGED), turn_index.c.helpful.is_(wanted.helpful)]  # type: ignore[list-item]
    return found


def _between(number: Any, wanted: TurnFilter, before: int | None) -> list[ColumnElement[bool]]:
    ends = [end for end in (before, number_at(wanted.until) if wanted.until else None) if end is not None]
    found = [number < min(ends)] if ends else []
    return found + ([number >= number_at(wanted.since)] if wanted.since else [])


def _turns(numbers: Select[Any]) -> Select[Any]:
    chosen = numbers.subquery()
    joined = chosen.join(turn_index, turn_index.c.number == chosen.c.number).join(turns, turns.c.turn_id == turn_index.c.turn_id)
    columns = (*turns.c, *PLACE, turn_index.c.number, turn_index.c.helpful)
    query = select(*columns).select_from(joined.join(conversations, turns.c.conversation_id == conversations.c.conversation_id))
    return query.order_by(turn_index.c.number.desc())


def _found(row: RowMapping) -> FoundTurn:
    return FoundTurn(row["number"], record_of(row), row["conversation_id"], row["helpful"])
