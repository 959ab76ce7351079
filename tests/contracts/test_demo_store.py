"""Made-up conversations stand beside real ones, look like them everywhere, and go without a trace."""

from __future__ import annotations

from collections import Counter as Tally
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from core.demo import MARK, DemoConversation
from core.domain import Decision, Owner, Passage, utc_now
from core.figures import Period
from core.handoff import State, Step
from core.members import EVERYWHERE
from core.reviews import Sign
from core.search import TurnFilter
from core.staff.demo_month import DemoMonth
from core.storage.database import Database
from core.storage.demo import SqlDemoStore
from core.storage.figures import SqlFigureBook
from core.storage.handoff_book import SqlHandoffBook
from core.storage.handoffs import SqlHandoffs
from core.storage.outbox import SqlOutbox
from core.storage.reviews import SqlReviewQueue
from core.storage.turn_search import SqlTurnSearch
from tests.contracts.counter import SqlCounter
from tests.contracts.test_privacy_desk import everything

PASSAGES = tuple(
    Passage(f"p{number}", f"p{number}", f"How does thing {number} work?", f"It works. It is number {number}.") for number in range(6)
)
END = utc_now()


def month(turns: int = 400, seed: int = 7) -> list[DemoConversation]:
    return list(DemoMonth(PASSAGES, END, seed=seed).conversations(turns))


async def filled(database: Database, turns: int = 400) -> SqlDemoStore:
    store = SqlDemoStore(database)
    assert await store.fill(month(turns), lambda _done: None) == turns
    await SqlFigureBook(database).refresh_all()
    return store


async def test_a_demo_goes_without_a_trace_and_what_is_real_stays(database: Database) -> None:
    counter = SqlCounter(database)
    real = await counter.ask("a real question")
    before = await everything(database)
    store = await filled(database)
    assert await store.has_any()
    assert await store.remove() == 400
    assert not await store.has_any()
    assert await counter.book.turn(real) is not None
    await SqlFigureBook(database).refresh_all()
    kept = (await everything(database)).replace(await rolled_up(database), "")
    assert MARK not in kept
    assert len(kept.splitlines()) == len(before.splitlines())
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM turn_words"))).scalar_one() == 1


async def rolled_up(database: Database) -> str:
    async with database.read() as connection:
        return str((await connection.execute(select(text("name, until FROM rollups")))).all())


async def test_made_up_turns_are_found_counted_reviewed_and_read_like_real_ones(database: Database) -> None:
    await filled(database)
    found = [one async for one in SqlTurnSearch(database).stream(EVERYWHERE, TurnFilter())]
    assert len(found) == 400
    assert found == sorted(found, key=lambda one: -one.number)
    assert {one.record.address.workspace_id[: len(MARK)] for one in found} == {MARK}
    assert [one.record.question for one in await SqlTurnSearch(database).find(EVERYWHERE, TurnFilter("thing"), 5)]
    total = (await SqlFigureBook(database).overview(EVERYWHERE, Period((END - timedelta(days=40)).date(), END.date()))).total
    assert (total.turns, total.helpful + total.unhelpful > 0, total.handed_over > 0) == (400, True, True)
    book = SqlHandoffBook(database)
    handoffs = (*await book.page(EVERYWHERE, 500), *await book.page(EVERYWHERE, 500, closed=True))
    assert {one.state for one in handoffs} == set(State)
    said = [line for one in handoffs if one.state is State.SOLVED for line in await book.lines(one.handoff_id)]
    assert said and all(line.by == "staff" and line.text for line in said)
    assert sum([await SqlHandoffs(database).nudge(step, 0.0, "anybody?") for step in Step]) == 0, "nobody real is told of them"
    assert await SqlOutbox(database).claim(["slack", "discord", "web"], 60) is None
    waiting = await SqlReviewQueue(database).waiting(EVERYWHERE, 50)
    assert waiting and Sign.UNHELPFUL in waiting[0].signs


def test_the_same_seed_makes_the_same_month_and_another_another() -> None:
    assert month(50) == month(50)
    assert month(50) != month(50, seed=8)


def test_a_month_has_busy_hours_quiet_weekends_all_outcomes_and_nothing_from_the_future() -> None:
    turns = [turn for one in month(3000) for turn in one.turns]
    hours = Tally(turn.asked_at.hour for turn in turns)
    assert hours[9] > 3 * hours[3]
    weekdays = Tally(turn.asked_at.weekday() for turn in turns)
    assert min(weekdays[day] for day in range(5)) > max(weekdays[5], weekdays[6])
    assert {turn.reply.decision for turn in turns} == set(Decision) - {Decision.SILENT}
    assert max(one.turns[0].asked_at for one in month(3000)) <= END
    assert {Owner.BOT, Owner.STAFF} == {one.owner for one in month(3000)}


@pytest.mark.parametrize("turns", [1, 2, 7])
def test_as_many_turns_are_made_up_as_were_asked_for(turns: int) -> None:
    made: list[Any] = [turn for one in month(turns) for turn in one.turns]
    assert len(made) == turns
