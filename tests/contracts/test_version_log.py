"""What became of the answers of a version is read from turns and feedback, in memory and on every database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, select

from core.domain import Decision, Lineage, Reason, Reply, Timings, utc_now
from core.feedback import Feedback
from core.registry import VersionLog, VersionRecord
from core.storage.database import Database
from core.storage.memory_models import MemoryVersionLog
from core.storage.tables import turns
from core.storage.version_log import SqlVersionLog
from tests.contracts.counter import Counter, MemoryCounter, SqlCounter

MODEL = "support@1a2b3c4d5e6f"
WRITTEN = Reply(
    Decision.ANSWER, Reason.COMPOSED, "By card.", (), 0.9, Lineage(MODEL, "i", "p", "e", "policy"), Timings(1.0, 2500.0, 2600.0)
)
QUOTED = replace(WRITTEN, reason=Reason.QUOTED, timings_ms=Timings(generate=500.0))
ABSTAINED = replace(WRITTEN, decision=Decision.HANDOFF, reason=Reason.LOW_CONFIDENCE, timings_ms=Timings(generate=100.0))


NEVER = VersionRecord(0.0, False, False, None).at


class Observed:
    """A counter where people ask, and the log over its turns."""

    def __init__(self, counter: Counter, log: VersionLog) -> None:
        self.counter = counter
        self.log = log

    async def records(self, model_id: str = MODEL, since: datetime | None = None, limit: int = 100) -> tuple[VersionRecord, ...]:
        found = await self.log.records(model_id, since or utc_now() - timedelta(hours=1), limit)
        assert [one.at for one in found] == sorted(one.at for one in found)
        assert all(abs(utc_now() - one.at) < timedelta(hours=1) for one in found)
        return tuple(one._replace(at=NEVER) for one in found)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def observed(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> Observed:
    if request.param == "memory":
        counter = MemoryCounter()
        return Observed(counter, MemoryVersionLog(counter.book, counter.feedback))
    database = await open_database(request.param)
    return Observed(SqlCounter(database), SqlVersionLog(database))


async def test_each_answer_tells_how_long_it_took_and_how_it_ended_oldest_first(observed: Observed) -> None:
    for reply in (WRITTEN, QUOTED, ABSTAINED):
        await observed.counter.ask(reply=reply)
    assert await observed.records() == (
        VersionRecord(2.5, abstained=False, quoted=False, helpful=None),
        VersionRecord(0.5, abstained=False, quoted=True, helpful=None),
        VersionRecord(0.1, abstained=True, quoted=False, helpful=None),
    )
    assert [one.seconds for one in await observed.records(limit=2)] == [2.5, 0.5]


@pytest.mark.parametrize("model", ["other@1", "curated", "none", "extractive"])
async def test_answers_of_others_do_not_count(model: str, observed: Observed) -> None:
    await observed.counter.ask(reply=replace(WRITTEN, lineage=replace(WRITTEN.lineage, model=model)))
    assert await observed.records() == ()


async def test_only_answers_after_a_moment_count(observed: Observed) -> None:
    await observed.counter.ask(reply=WRITTEN)
    assert await observed.records(since=utc_now() + timedelta(seconds=1)) == ()
    assert len(await observed.records(since=utc_now() - timedelta(seconds=30))) == 1


async def test_the_last_word_of_whoever_judged_last_counts(observed: Observed) -> None:
    turn_id, other = await observed.counter.ask(reply=WRITTEN), await observed.counter.ask(reply=WRITTEN)
    now = utc_now()
    for seconds, actor, helpful in ((1, "ann", True), (2, "bob", False), (3, "ann", True)):
        await observed.counter.feedback.give(Feedback(turn_id, actor, helpful, given_at=now + timedelta(seconds=seconds)))
    await observed.counter.feedback.give(Feedback(other, "bob", helpful=False, given_at=now))
    assert [one.helpful for one in await observed.records()] == [True, False]


@pytest.mark.parametrize(("model", "kept"), [("curated", None), ("none", None), ("extractive", "extractive"), ("m" * 300, "m" * 200)])
async def test_a_turn_keeps_which_model_wrote_it_and_none_where_none_did(model: str, kept: str | None, database: Database) -> None:
    await SqlCounter(database).ask(reply=replace(WRITTEN, lineage=replace(WRITTEN.lineage, model=model)))
    async with database.read() as connection:
        assert (await connection.execute(select(turns.c.model))).scalar_one() == kept


async def test_the_answers_of_a_version_are_found_by_an_index(database: Database) -> None:
    asked: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await SqlVersionLog(database).records(MODEL, utc_now(), 100)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    ((statement, parameters),) = [one for one in asked if "turns" in one[0]]
    async with database.read() as connection:
        if database.is_sqlite:
            plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)).all()
        else:
            await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # of an empty table it would read the whole
            plan = (await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)).all()
    told = " ".join(str(step) for step in plan)
    assert "turns_by_model" in told
    assert not [word for word in ("SCAN turns", "Seq Scan", "Sort Key: turns") if word in told], told
