"""Questions without an answer are found newest first, within a scope, and through an index."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import event

from core.domain import Decision, Reason, notice
from core.handoff import Helper
from core.members import EVERYWHERE, Scope
from core.storage.database import Database
from core.storage.handoff_book import SqlHandoffBook
from core.storage.handoffs import SqlHandoffs
from core.storage.unanswered import SqlUnansweredLog
from tests.contracts.counter import HERE, REPLY, SqlCounter

HANDED_OVER = replace(REPLY, decision=Decision.HANDOFF, reason=Reason.LOW_CONFIDENCE)
ASKED_BACK = replace(REPLY, decision=Decision.CLARIFY, reason=Reason.CLOSE_CANDIDATES)
PERSON = replace(REPLY, decision=Decision.HANDOFF, reason=Reason.ASKED_FOR_PERSON)
ELSEWHERE = replace(HERE, workspace_id="w2")
WITH_PERSON = notice(Decision.SILENT, Reason.WITH_PERSON)


async def test_what_was_handed_over_or_asked_back_is_found_newest_first_within_the_scope(database: Database) -> None:
    counter, log = SqlCounter(database), SqlUnansweredLog(database)
    await counter.ask("answered")
    for text, address, reply in (
        ("first", HERE, HANDED_OVER), ("second", HERE, ASKED_BACK), ("a person please", HERE, PERSON), ("elsewhere", ELSEWHERE, HANDED_OVER)
    ):  # fmt: skip
        await counter.ask(text, address, reply=reply)
    assert [one.text for one in await log.questions(EVERYWHERE, 10)] == ["elsewhere", "second", "first"]
    mine = await log.questions(Scope(frozenset({("test", "w")})), 10)
    assert [(one.text, one.platform, one.reason) for one in mine] == [
        ("second", "test", Reason.CLOSE_CANDIDATES), ("first", "test", Reason.LOW_CONFIDENCE)
    ]  # fmt: skip
    assert await log.questions(Scope(), 10) == ()
    assert len(await log.questions(EVERYWHERE, 2)) == 2
    await counter.privacy.erase("test", "w", "ann")
    assert [one.text for one in await log.questions(EVERYWHERE, 10)] == ["elsewhere"]


async def test_the_answer_of_staff_is_the_first_word_of_another_afterwards(database: Database) -> None:
    counter, log = SqlCounter(database), SqlUnansweredLog(database)
    asked = await counter.ask("do you ship to Mars?", reply=HANDED_OVER)
    assert await log.answer_by_staff(asked) == ""
    await counter.ask("hello?", reply=WITH_PERSON)
    await counter.ask("Not yet.", actor="bob", reply=WITH_PERSON)
    await counter.ask("Soon.", actor="bob", reply=WITH_PERSON)
    assert await log.answer_by_staff(asked) == "Not yet."
    assert await log.answer_by_staff("\x00") == ""


async def test_a_partial_index_serves_it_on_sqlite(database: Database) -> None:
    if not database.is_sqlite:
        return
    said: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    await SqlUnansweredLog(database).questions(EVERYWHERE, 10)
    query = next(one for one in said if "turns" in one)
    async with database.read() as connection:
        plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("", 10, 0))).all()
    assert "turns_unanswered" in str(plan)


async def test_what_staff_wrote_from_elsewhere_is_their_answer_too(database: Database) -> None:
    counter, log = SqlCounter(database), SqlUnansweredLog(database)
    handoffs, book = SqlHandoffs(database, {}), SqlHandoffBook(database)
    asked = await counter.ask("do you ship to Mars?", reply=HANDED_OVER)
    (handoff,) = await book.page(EVERYWHERE, 10)
    for number, text in enumerate(("Not yet.", "Soon.")):
        assert await handoffs.say(handoff.handoff_id, Helper("console:bob", "Bob"), text, f"word-{number}")
    assert await log.answer_by_staff(asked) == "Not yet."
    other = await counter.ask("another?", replace(HERE, thread_id="t9"), "eve", HANDED_OVER)
    assert await log.answer_by_staff(other) == ""
