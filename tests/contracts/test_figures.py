"""Figures are what the turns say, however often they are counted, and stay right when somebody judges late or is erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from core.domain import Actor, Address, Decision, InboundMessage, Lineage, Reason, Reply, Timings, Usage, utc_now
from core.feedback import Feedback
from core.figures import LATENCY_BOUNDS_MS, Figures, Overview, Period
from core.members import EVERYWHERE, Scope
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.figures import SqlFigureBook
from core.storage.review_tables import LATENCIES
from tests.contracts.counter import HERE, REPLY, SqlCounter

WRITTEN = replace(
    REPLY,
    decision=Decision.ANSWER,
    reason=Reason.COMPOSED,
    lineage=Lineage("smol@1", "i", "p", "e", "o"),
    timings_ms=Timings(1, 900, 950),
    usage=Usage(100, 20),
)
ABSTAINED = replace(REPLY, decision=Decision.HANDOFF, reason=Reason.LOW_CONFIDENCE)
ASKED_BACK = replace(REPLY, decision=Decision.CLARIFY, reason=Reason.CLOSE_CANDIDATES)
SILENT = replace(REPLY, decision=Decision.SILENT, reason=Reason.NOT_FOR_BOT, text="")


@pytest.fixture
async def book(database: Database) -> AsyncIterator[SqlFigureBook]:
    yield SqlFigureBook(database)


@pytest.fixture
def now() -> datetime:
    """When the test began: midnight may pass during it, and certainly passes during some run of all tests."""
    return utc_now()


async def figures(book: SqlFigureBook, scope: Scope = EVERYWHERE, days: int = 30) -> Overview:
    await book.refresh()
    tomorrow = utc_now().date() + timedelta(days=1)
    return await book.overview(scope, Period(tomorrow - timedelta(days=days), tomorrow))


async def said(database: Database, reply: Reply, asked_at: datetime, address: Address = HERE) -> str:
    return await SqlConversationLog(database).append(InboundMessage("m", address, Actor("ann"), "?", asked_at), reply)


async def test_every_turn_in_which_something_was_said_is_counted_for_what_it_was(
    book: SqlFigureBook, database: Database, now: datetime
) -> None:
    for reply in (REPLY, WRITTEN, WRITTEN, ABSTAINED, ASKED_BACK, SILENT):
        await said(database, reply, now)
    total = (await figures(book)).total
    assert (total.turns, total.resolved, total.abstained, total.clarified, total.handed_over) == (5, 3, 1, 1, 1)
    assert (total.prompt_tokens, total.completion_tokens) == (200, 40)
    assert (total.resolution, total.abstention, total.satisfaction) == (0.6, 0.2, None)


async def test_parts_add_up_by_day_channel_and_model(book: SqlFigureBook, database: Database, now: datetime) -> None:
    there = Address("slack", "T1", "c", "t")
    earlier = now - timedelta(days=5)
    for reply, asked_at, address in ((REPLY, now, HERE), (WRITTEN, now, there), (WRITTEN, earlier, HERE)):
        await said(database, reply, asked_at, address)
    found = await figures(book)
    assert {day: one.turns for day, one in found.by_day.items()} == {now.date(): 2, earlier.date(): 1}
    assert {place: one.turns for place, one in found.by_workspace.items()} == {("test", "w"): 2, ("slack", "T1"): 1}
    assert {name: one.turns for name, one in found.by_model.items()} == {"m": 1, "smol@1": 2}
    assert (await figures(book, Scope(frozenset({("slack", "T1")})))).total.turns == 1
    assert (await figures(book, Scope())).total == Figures()
    assert (await figures(book, days=2)).total.turns == 2
    assert (await book.overview(EVERYWHERE, Period(now.date(), now.date()), "slack")).total.turns == 1


async def test_counting_twice_changes_nothing_and_what_is_new_is_added(book: SqlFigureBook, database: Database, now: datetime) -> None:
    await said(database, REPLY, now - timedelta(days=40))
    await said(database, REPLY, now)
    once = await figures(book, days=60)
    assert (await figures(book, days=60)).by_day == once.by_day
    await said(database, REPLY, now)
    assert (await figures(book, days=60)).total.turns == 3


async def test_a_judgement_that_comes_late_counts_on_the_day_of_the_question(
    book: SqlFigureBook, database: Database, now: datetime
) -> None:
    asked_at = now - timedelta(days=20)
    turn_id = await said(database, WRITTEN, asked_at)
    assert (await figures(book)).total.resolved == 1
    assert await SqlCounter(database).feedback.give(Feedback(turn_id, "ann", helpful=False))
    late = (await figures(book)).by_day[asked_at.date()]
    assert (late.resolved, late.helpful, late.unhelpful, late.satisfaction) == (0, 0, 1, 0.0)


async def test_who_was_erased_and_what_is_over_its_time_stay_counted(book: SqlFigureBook, database: Database) -> None:
    counter = SqlCounter(database)
    await counter.feedback.give(Feedback(await counter.ask("?", reply=WRITTEN), "ann", helpful=True))
    await counter.ask("?", actor="bob")
    before = await figures(book)
    await counter.privacy.erase("test", "w", "ann")
    await counter.privacy.forget_before(utc_now() + timedelta(minutes=1), 100)
    assert (await figures(book)).total == before.total


async def test_the_percentiles_of_a_day_are_within_its_buckets(book: SqlFigureBook, database: Database, now: datetime) -> None:
    for milliseconds in (*[120] * 90, *[3000] * 9, 90_000):
        await said(database, replace(WRITTEN, timings_ms=Timings(0, 0, milliseconds)), now)
    total = (await figures(book)).total
    assert 100 < (total.latency_ms(0.5) or 0) <= 150
    assert 2500 < (total.latency_ms(0.95) or 0) <= 4000
    assert (total.latency_ms(1.0) or 0) > 40_000
    assert Figures().latency_ms(0.5) is None


def test_there_is_a_column_for_each_bucket_of_latency() -> None:
    assert len(LATENCIES) == len(LATENCY_BOUNDS_MS) + 1 == len(Figures().latencies) == 20
