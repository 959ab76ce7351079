"""Search finds by words and filters on both databases alike, page by page, within a scope, and never what was erased."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from core.domain import Actor, Address, Decision, Deleted, InboundMessage, Lineage, Reason, utc_now
from core.feedback import Feedback
from core.members import EVERYWHERE, Scope
from core.search import NO_MODEL, TurnFilter
from core.storage import turn_search
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.figures import SqlFigureBook
from core.storage.inbox import SqlInbox
from core.storage.turn_search import SqlTurnSearch
from tests.contracts.counter import HERE, REPLY, SqlCounter

ELSEWHERE = Address("slack", "T1", "c", "t9")
WRITTEN = replace(REPLY, decision=Decision.ANSWER, reason=Reason.COMPOSED, lineage=Lineage("smol@1", "i", "p", "e", "policy"))


@pytest.fixture
def search(database: Database) -> SqlTurnSearch:
    return SqlTurnSearch(database)


@pytest.fixture
def counter(database: Database) -> SqlCounter:
    return SqlCounter(database)


async def found(search: SqlTurnSearch, said: str = "", scope: Scope = EVERYWHERE, **wanted: Any) -> list[str]:
    return [one.record.question for one in await search.find(scope, TurnFilter(said, **wanted), 50)]


async def test_words_of_questions_and_answers_are_found_newest_first(search: SqlTurnSearch, counter: SqlCounter) -> None:
    await counter.ask("How do I pay my invoice?", reply=replace(REPLY, text="By card."))
    await counter.ask("Where is my parcel?", reply=replace(REPLY, text="The invoice tells."))
    assert await found(search, "invoice") == ["Where is my parcel?", "How do I pay my invoice?"]
    assert await found(search, "INVOICE pay") == ["How do I pay my invoice?"]
    assert await found(search, "invoice nothing") == []
    assert await found(search, "") == ["Where is my parcel?", "How do I pay my invoice?"]


@pytest.mark.parametrize(
    ("said", "hit"),
    [
        ('"reset my password"', True), ('"my reset"', False), ("pass*", True), ("pass", False), ("ümlaut", True), ("ÜMLAUT", True),
        ("shop example", True), ("shop.example", True), ("order_id", True), ("id", True), ("42", True), ("e-mail", True), ("mail", True),
        ("переводы", True), ("!!!", False), ("reset) OR (x", False), ("facets : d646972656374", False), ('"', False), ("NOT", False),
        ("pass\x00word", False), ("* NOT *", False), ("'); DROP TABLE turns; --", False), ("\ud800", False),
    ],
)  # fmt: skip
async def test_bad_input_12_a_person_types_words_phrases_and_beginnings_and_nothing_else_is_an_operator(
    said: str, hit: bool, search: SqlTurnSearch, counter: SqlCounter
) -> None:
    question = "How can I reset my password (order_id 42, ümlaut)? See shop.example or e-mail — переводы"
    await counter.ask(question)
    assert await found(search, said) == ([question] if hit else [])


async def test_each_filter_leaves_what_it_names(search: SqlTurnSearch, counter: SqlCounter) -> None:
    await counter.ask("one pay")
    await counter.ask("two pay", reply=WRITTEN)
    there = await counter.ask("three pay", address=ELSEWHERE, reply=replace(REPLY, decision=Decision.HANDOFF))
    for words in ("", "pay"):
        assert await found(search, words, platform="slack") == ["three pay"]
        assert await found(search, words, platform="test", workspace_id="w") == ["two pay", "one pay"]
        assert await found(search, words, decision=Decision.HANDOFF) == ["three pay"]
        assert await found(search, words, model="smol@1") == ["two pay"]
        assert await found(search, words, model="m") == ["three pay", "one pay"]
        assert await found(search, words, model=NO_MODEL) == []
        assert await found(search, words, helpful=False) == []
    await counter.feedback.give(Feedback(there, "ann", helpful=True))
    assert await found(search, helpful=True) == ["three pay"]
    await counter.feedback.give(Feedback(there, "bob", helpful=False))
    assert await found(search, "pay", helpful=False) == ["three pay"]
    assert await found(search, helpful=True) == []


async def test_days_are_met_to_the_moment(search: SqlTurnSearch, database: Database) -> None:
    log, now = SqlConversationLog(database), utc_now().replace(microsecond=0)
    for days in (3, 2, 1):
        await log.append(InboundMessage("m", HERE, Actor("ann"), f"{days} days", now - timedelta(days=days)), REPLY)
    assert await found(search, since=now - timedelta(days=2)) == ["1 days", "2 days"]
    assert await found(search, until=now - timedelta(days=2)) == ["3 days"]
    assert await found(search, "days", since=now - timedelta(days=2), until=now - timedelta(days=1)) == ["2 days"]


@pytest.mark.parametrize("said", ["", "pay"])
async def test_pages_follow_one_another_and_a_stream_brings_all(said: str, search: SqlTurnSearch, counter: SqlCounter) -> None:
    for number in range(7):
        await counter.ask(f"pay {number}")
    pages: list[str] = []
    before = None
    while page := await search.find(EVERYWHERE, TurnFilter(said), 3, before):
        pages += [one.record.question for one in page]
        before = page[-1].number
    assert pages == [f"pay {number}" for number in reversed(range(7))]
    assert [one.record.question async for one in search.stream(EVERYWHERE, TurnFilter(said))] == pages


@pytest.mark.parametrize("said", ["", "pay"])
async def test_bad_input_48_nothing_outside_the_scope_is_found_whatever_is_asked_for(
    said: str, search: SqlTurnSearch, counter: SqlCounter
) -> None:
    await counter.ask("pay here")
    turn = await counter.ask("pay there", address=ELSEWHERE)
    await counter.feedback.give(Feedback(turn, "ann", helpful=False))
    mine = Scope(frozenset({("test", "w"), ("web", "local")}))
    assert await found(search, said, mine) == ["pay here"]
    assert await found(search, said, mine, platform="slack", workspace_id="T1") == []
    assert await found(search, said, mine, helpful=False) == []
    assert await found(search, said, Scope()) == []


async def words_of(database: Database) -> str:
    """Every word that the index holds."""
    async with database.write() as connection:
        if database.is_sqlite:
            await connection.execute(text("CREATE VIRTUAL TABLE IF NOT EXISTS temp.kept USING fts5vocab(main, turn_words, 'row')"))
            rows = await connection.execute(text("SELECT term FROM temp.kept"))
        else:
            rows = await connection.execute(text("SELECT words::text FROM turn_words"))
        return " ".join(rows.scalars())


async def test_what_was_erased_has_no_word_left_in_the_index(search: SqlTurnSearch, counter: SqlCounter, database: Database) -> None:
    await counter.ask("canary of ann", reply=replace(REPLY, text="canary answer"))
    await counter.ask("bob stays", actor="bob")
    assert "canary" in await words_of(database)
    await counter.privacy.erase("test", "w", "ann")
    assert await found(search, "canary") == []
    assert "canary" not in await words_of(database)
    assert await found(search, "stays") == ["bob stays"]
    assert await found(search, decision=Decision.DIRECT) == ["bob stays", ""]


async def test_what_is_over_its_time_has_no_word_left_in_the_index(counter: SqlCounter, search: SqlTurnSearch, database: Database) -> None:
    await counter.ask("canary of ann")
    await counter.privacy.forget_before(utc_now() + timedelta(minutes=1), 100)
    assert await found(search, "canary") == []
    assert "canary" not in await words_of(database)


async def test_a_message_that_its_author_deletes_leaves_the_index(counter: SqlCounter, search: SqlTurnSearch, database: Database) -> None:
    await counter.ask("canary of ann", reply=replace(REPLY, text="an answer"))
    assert await SqlInbox(database).erase(Deleted(HERE, "m1"))
    assert "canary" not in await words_of(database)
    assert await found(search, "answer") == [""]


async def test_a_turn_that_is_deleted_leaves_nothing(counter: SqlCounter, search: SqlTurnSearch, database: Database) -> None:
    turn_id = await counter.ask("canary of ann")
    async with database.write() as connection:
        for table in ("reviews", "outbox", "turns"):
            await connection.exec_driver_sql(f"DELETE FROM {table} WHERE turn_id = '{turn_id}'")
    assert await found(search) == []
    assert "canary" not in await words_of(database)


async def test_choices_are_those_of_the_scope(counter: SqlCounter, search: SqlTurnSearch, database: Database) -> None:
    await counter.ask("?", reply=WRITTEN)
    await counter.ask("?", address=ELSEWHERE)
    await SqlFigureBook(database).refresh()
    assert await search.choices(EVERYWHERE) == ((("slack", "T1"), ("test", "w")), ("m", "smol@1"))
    assert await search.choices(Scope(frozenset({("slack", "T1")}))) == ((("slack", "T1"),), ("m",))


NARROW = Scope(frozenset({("test", "w"), ("test", "w2")}))
FILTERS: list[tuple[Scope, TurnFilter]] = [
    (EVERYWHERE, TurnFilter()),
    (EVERYWHERE, TurnFilter("pay")),
    (NARROW, TurnFilter()),
    (NARROW, TurnFilter("pay*", helpful=False)),
    (EVERYWHERE, TurnFilter(helpful=True)),
    (EVERYWHERE, TurnFilter(platform="test", decision=Decision.ANSWER, model=NO_MODEL, since=utc_now())),
]


@pytest.mark.parametrize(("scope", "wanted"), FILTERS)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_on_sqlite_no_search_reads_a_table_as_a_whole_or_sorts(
    scope: Scope, wanted: TurnFilter, database: Database, explained: Callable[..., Any]
) -> None:
    plan = await explained(database, SqlTurnSearch(database).numbers(scope, wanted, 30, before=10**18))
    assert not [step for step in plan if re.fullmatch(r"SCAN turn_index", step) or "TEMP B-TREE FOR ORDER BY" in step], plan
    assert plan[0].startswith(("SCAN turn_words VIRTUAL TABLE", "SEARCH turn_index USING")), plan


@pytest.mark.parametrize(("scope", "wanted"), FILTERS)
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_on_postgresql_every_search_has_an_index_for_what_it_asks(scope: Scope, wanted: TurnFilter, database: Database) -> None:
    found = SqlTurnSearch(database)
    async with database.read() as connection:
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # a table without rows is otherwise read as a whole
        for query in found.attempts(scope, wanted, 30, before=10**18):
            compiled = query.compile(database.engine.sync_engine, compile_kwargs={"literal_binds": True})
            plan = " ".join((await connection.exec_driver_sql(f"EXPLAIN {compiled}")).scalars())
            assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_on_postgresql_a_word_that_the_newest_turns_do_not_have_is_found_by_its_index(
    database: Database, counter: SqlCounter, search: SqlTurnSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_search, "_NEWEST", 2)
    for text_of_it in ("rare", "a", "b", "c"):
        await counter.ask(text_of_it)
    assert await found(search, "rare") == ["rare"]
    newest, all_of_them = search.attempts(EVERYWHERE, TurnFilter("rare"), 5)
    async with database.read() as connection:
        assert (await connection.execute(newest)).all() == []
        assert len((await connection.execute(all_of_them)).all()) == 1
