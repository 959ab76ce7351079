"""A budget counts what every process accepted, stops at its limits, remembers who was told, and reads no table as a whole."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from core.domain import Actor, Address, Decision, InboundMessage, Lineage, Reason, Reply, Usage
from core.quota import Allowance, Excess, Limit
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.outbox import SqlOutbox
from core.storage.quota import SqlBudget
from core.storage.tables import inbox, turns

HERE = Address("test", "w", "c", "t1")
NO_LIMIT = Allowance(0, 0, 0, 0, 0)
REPLY = Reply(Decision.DIRECT, Reason.CONFIDENT, "By card.", (), 0.9, Lineage("m", "i", "p", "e", "policy"))
TOLD = replace(REPLY, decision=Decision.CLARIFY, reason=Reason.TOO_MANY)


class Accepted:
    """Accepts messages and answers them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._inbox = SqlInbox(database)
        self._count = 0

    async def message(self, address: Address = HERE, actor: str = "ann", for_bot: bool = True) -> InboundMessage:
        self._count += 1
        message = InboundMessage(f"m{self._count}", address, Actor(actor), "text", for_bot=for_bot)
        await self._inbox.accept(message)
        return message

    async def answered(self, reply: Reply, address: Address = HERE, actor: str = "ann") -> InboundMessage:
        message = await self.message(address, actor)
        claim = await self._inbox.claim(60)
        assert claim is not None
        await self._inbox.finish(claim, reply)
        return message

    async def let_pass(self, seconds: float) -> None:
        async with self._database.write() as connection:
            then = await self._database.now(connection) - timedelta(seconds=seconds)
            await connection.execute(update(inbox).values(accepted_at=then))
            await connection.execute(update(turns).values(answered_at=then))


@pytest.fixture
def accepted(database: Database) -> Accepted:
    return Accepted(database)


@pytest.mark.parametrize(
    ("limit", "allowance", "inside", "outside"),
    [
        (Limit.USER, replace(NO_LIMIT, user_per_minute=2), ("w", "t2", "ann"), ("w", "t1", "bob")),
        (Limit.CONVERSATION, replace(NO_LIMIT, conversation_per_minute=2), ("w", "t1", "bob"), ("w", "t2", "ann")),
        (Limit.WORKSPACE, replace(NO_LIMIT, workspace_per_minute=2), ("w", "t2", "bob"), ("w2", "t1", "ann")),
        (Limit.EVERYBODY, replace(NO_LIMIT, everybody_per_minute=2), ("w2", "t2", "bob"), None),
    ],
)
async def test_the_first_message_beyond_a_limit_exceeds_it_and_what_is_outside_does_not_count(
    limit: Limit,
    allowance: Allowance,
    inside: tuple[str, str, str],
    outside: tuple[str, str, str] | None,
    database: Database,
    accepted: Accepted,
) -> None:
    budget = SqlBudget(database, allowance)
    first = await accepted.message()
    if outside:
        workspace, thread, actor = outside
        other = [await accepted.message(Address("test", workspace, "c", thread), actor) for _ in range(2)]
        assert await budget.check(other[-1]) is None
    workspace, thread, actor = inside
    second, third = [await accepted.message(Address("test", workspace, "c", thread), actor) for _ in range(2)]
    assert [await budget.check(message) for message in (first, second, third)] == [None, None, Excess(limit, told=False)]


async def test_the_narrowest_limit_is_named(database: Database, accepted: Accepted) -> None:
    budget = SqlBudget(database, Allowance(1, 1, 1, 1, 0))
    await accepted.message()
    assert await budget.check(await accepted.message()) == (Limit.USER, False)
    assert await budget.check(await accepted.message(actor="bob")) == (Limit.CONVERSATION, False)


async def test_zero_is_no_limit_and_a_message_that_was_never_accepted_exceeds_none(database: Database, accepted: Accepted) -> None:
    last = [await accepted.message() for _ in range(5)][-1]
    assert await SqlBudget(database, NO_LIMIT).check(last) is None
    assert await SqlBudget(database, Allowance(1, 1, 1, 1)).check(replace(last, message_id="unknown")) is None


async def test_a_minute_later_nothing_is_left_of_it(database: Database, accepted: Accepted) -> None:
    budget = SqlBudget(database, replace(NO_LIMIT, user_per_minute=1))
    await accepted.message()
    await accepted.let_pass(61)
    assert await budget.check(await accepted.message()) is None
    assert await budget.check(await accepted.message()) is not None


async def test_messages_between_people_do_not_count(database: Database, accepted: Accepted) -> None:
    for _ in range(3):
        await accepted.message(for_bot=False)
    assert await SqlBudget(database, Allowance(1, 1, 1, 1)).check(await accepted.message()) is None


async def test_two_processes_share_a_limit(database: Database, accepted: Accepted) -> None:
    other = Database(database.engine.url.render_as_string(hide_password=False))
    await accepted.message()
    second = await accepted.message()
    assert await SqlBudget(other, replace(NO_LIMIT, user_per_minute=1)).check(second) == (Limit.USER, False)
    await other.close()


async def test_the_tokens_of_a_day_are_those_of_today(database: Database, accepted: Accepted) -> None:
    budget = SqlBudget(database, replace(NO_LIMIT, tokens_per_day=100))
    message = await accepted.answered(replace(REPLY, usage=Usage(60, 20)))
    assert await budget.check(message) is None
    message = await accepted.answered(replace(REPLY, usage=Usage(15, 5)))
    assert await budget.check(message) == (Limit.TOKENS, False)
    await accepted.let_pass(24 * 60 * 60)
    assert await budget.check(message) is None


async def test_whoever_was_told_in_this_conversation_or_elsewhere_in_the_workspace_is_known(database: Database, accepted: Accepted) -> None:
    budget = SqlBudget(database)
    told = await accepted.answered(TOLD)
    elsewhere = replace(HERE, thread_id="t2")

    async def knows(message: InboundMessage, reason: Reason = Reason.TOO_MANY) -> bool:
        return await budget.told(message, reason, 60)

    assert await knows(told)
    assert await knows(await accepted.message(elsewhere))
    assert await knows(await accepted.message(actor="bob"))
    assert not await knows(await accepted.message(elsewhere, actor="bob"))
    assert not await knows(await accepted.message(replace(HERE, workspace_id="w2")))
    assert not await knows(told, Reason.NOTHING_TO_READ)
    await accepted.let_pass(61)
    assert not await knows(told)


async def test_a_silent_turn_told_nobody(database: Database, accepted: Accepted) -> None:
    message = await accepted.answered(replace(TOLD, decision=Decision.SILENT, text=""))
    assert not await SqlBudget(database).told(message, Reason.TOO_MANY, 60)


async def test_an_excess_knows_whether_its_author_was_told_within_the_minute(database: Database, accepted: Accepted) -> None:
    budget = SqlBudget(database, replace(NO_LIMIT, user_per_minute=1))
    await accepted.message()
    await accepted.answered(TOLD)
    assert await budget.check(await accepted.message()) == (Limit.USER, True)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_no_query_on_the_way_of_a_message_reads_a_table_as_a_whole(database: Database) -> None:
    """A million finished rows cost what none cost; SQLite names a whole table `SCAN inbox` without an index."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE")) and "strftime" not in statement:  # the clock
            asked.append((statement, parameters))

    box, out, budget = SqlInbox(database), SqlOutbox(database), SqlBudget(database, Allowance(tokens_per_day=1))
    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    message = await Accepted(database).message()
    await budget.check(message)
    await budget.told(message, Reason.TOO_MANY, 60)
    assert await out.tell_late("late", -1) == 1
    notice = await out.claim(["test"], 60)
    claim = await box.claim(60)
    assert notice is not None
    assert claim is not None
    await box.finish(claim, REPLY)
    await out.sent(notice, "reference")
    delivery = await out.claim(["test"], 60)
    assert delivery is not None
    await out.received("test", delivery.key, "reference")
    await box.answer_to(message)
    await box.backlog()
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    async with database.read() as connection:
        for statement, parameters in asked:
            plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)).all()
            assert not [step for *_, step in plan if re.fullmatch(r"SCAN \w+", step) and step != "SCAN CONSTANT ROW"], (statement, plan)
    assert len(asked) > 20
