"""While staff own a conversation the bot is silent in it, even in the middle of a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.domain import Decision, Owner, Reason, Reply
from core.errors import LeaseLostError
from core.storage.database import Database
from tests.core.delivery.desk import CURATED, HERE, LEASE, Desk


async def test_bad_input_42_the_bot_is_silent_while_staff_own_the_conversation_and_answers_when_it_is_given_back(
    database: Database,
) -> None:
    desk = Desk(database)
    await desk.say("hello")
    await desk.log.set_owner(HERE, Owner.STAFF)
    silent = await desk.say()
    assert (silent.decision, silent.reason) == (Decision.SILENT, Reason.WITH_PERSON)
    await desk.log.set_owner(HERE, Owner.BOT)
    assert (await desk.say()).text == CURATED
    assert [turn.question for turn in await desk.log.turns(HERE)] == ["hello", "refund?", "refund?"]
    assert len(await desk.deliver_all()) == 2


async def test_other_conversations_of_the_customer_are_answered(database: Database) -> None:
    desk = Desk(database)
    await desk.log.set_owner(HERE, Owner.STAFF)
    assert (await desk.say(address=replace(HERE, thread_id="t2"))).text == CURATED


async def test_a_flood_in_a_conversation_of_staff_gets_no_notice(database: Database) -> None:
    desk = Desk(database)
    await desk.log.set_owner(HERE, Owner.STAFF)
    for _ in range(25):
        await desk.accept()
    assert {reply.reason for reply in await desk.answer_all()} == {Reason.WITH_PERSON}


async def written(desk: Desk) -> Reply:
    """An answer as a worker writes it."""
    return await desk.engine.reply(await desk.accept("refund?"))


async def test_an_answer_that_is_being_written_when_staff_take_over_is_thrown_away_and_costs_no_attempt(database: Database) -> None:
    desk = Desk(database)
    reply = await written(desk)
    claim = await desk.inbox.claim(LEASE)
    assert claim is not None
    await desk.log.set_owner(HERE, Owner.STAFF)
    with pytest.raises(LeaseLostError):
        await desk.inbox.finish(claim, reply)
    again = await desk.inbox.claim(LEASE)
    assert again is not None
    assert (again.inbox_ids, again.attempts, again.taken_over) == (claim.inbox_ids, 1, False)
    await desk.inbox.release(again)
    assert {reply.reason for reply in await desk.answer_all()} == {Reason.WITH_PERSON}
    assert await desk.deliver_all() == []


async def test_giving_a_conversation_back_disturbs_nobody_who_is_working_on_it(database: Database) -> None:
    desk = Desk(database)
    reply = await written(desk)
    claim = await desk.inbox.claim(LEASE)
    assert claim is not None
    await desk.log.set_owner(HERE, Owner.BOT)
    await desk.inbox.finish(claim, reply)
    assert len(await desk.deliver_all()) == 1


async def test_taking_over_a_quiet_conversation_wakes_no_worker(database: Database) -> None:
    desk = Desk(database)
    await desk.say()
    await desk.log.set_owner(HERE, Owner.STAFF)
    assert await desk.inbox.claim(LEASE) is None
