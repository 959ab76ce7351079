"""The inbox answers every message once and in order; the outbox delivers every reply once and in order; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import text

from core.domain import Action, Actor, Address, Decision, Deleted, Edited, InboundMessage, Lineage, Owner, Reason, Reply
from core.errors import LeaseLostError
from core.ports import Claim
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.inbox import MAX_TOGETHER, SqlInbox
from core.storage.outbox import SqlOutbox

HERE = Address("test", "w", "c", "t1")
ELSEWHERE = replace(HERE, thread_id="t2")
REPLY = Reply(Decision.DIRECT, Reason.CONFIDENT, "By card.", (), 0.9, Lineage("m", "i", "p", "e", "policy"))
SILENT = replace(REPLY, decision=Decision.SILENT, text="")
LEASE = 60.0


@pytest.fixture
def inbox(database: Database) -> SqlInbox:
    return SqlInbox(database)


@pytest.fixture
def outbox(database: Database) -> SqlOutbox:
    return SqlOutbox(database)


def message(number: int, address: Address = HERE, actor: str = "ann", order_key: str = "") -> InboundMessage:
    return InboundMessage(f"m{number}", address, Actor(actor), f"text {number}", order_key=order_key)


async def claimed(inbox: SqlInbox) -> Claim:
    claim = await inbox.claim(LEASE)
    assert claim is not None
    return claim


def texts(claim: Claim) -> list[str]:
    return [one.text for one in claim.messages]


async def let_leases_run_out(database: Database) -> None:
    """Put every lease into the past, as a minute would."""
    async with database.write() as connection:
        for table in ("conversations", "outbox"):
            await connection.execute(text(f"UPDATE {table} SET lease_until = '2000-01-01 00:00:00' WHERE lease_until IS NOT NULL"))


async def let_delays_run_out(database: Database) -> None:
    async with database.write() as connection:
        for table in ("conversations", "outbox"):
            await connection.execute(text(f"UPDATE {table} SET due_at = '2000-01-01 00:00:00' WHERE due_at IS NOT NULL"))


async def test_a_message_is_accepted_once_however_often_it_comes(inbox: SqlInbox) -> None:
    assert [await inbox.accept(message(1)) for _ in range(4)] == [True, False, False, False]
    assert texts(await claimed(inbox)) == ["text 1"]
    assert await inbox.claim(LEASE) is None


async def test_the_same_message_from_ten_tasks_at_once_is_accepted_once(inbox: SqlInbox) -> None:
    assert sum(await asyncio.gather(*(inbox.accept(message(1)) for _ in range(10)))) == 1


async def test_a_conversation_is_never_claimed_twice_at_a_time(inbox: SqlInbox) -> None:
    await inbox.accept(message(1))
    first = await claimed(inbox)
    await inbox.accept(message(2))
    assert await inbox.claim(LEASE) is None
    await inbox.finish(first, REPLY)
    assert texts(await claimed(inbox)) == ["text 2"]


async def test_twenty_claimers_get_twenty_different_conversations(inbox: SqlInbox) -> None:
    for number in range(20):
        await inbox.accept(message(number, replace(HERE, thread_id=f"t{number}")))
    claims = [claim for claim in await asyncio.gather(*(inbox.claim(LEASE) for _ in range(30))) if claim]
    while (more := await inbox.claim(LEASE)) is not None:  # a claimer that met a locked row came back with nothing
        claims.append(more)
    assert len({claim.conversation_id for claim in claims}) == len(claims) == 20


async def test_messages_that_wait_together_become_one_turn_in_the_order_of_the_platform(inbox: SqlInbox, database: Database) -> None:
    for number, key in ((3, "30"), (1, "10"), (2, "20")):
        await inbox.accept(message(number, order_key=key))
    claim = await claimed(inbox)
    assert texts(claim) == ["text 1", "text 2", "text 3"]
    await inbox.finish(claim, REPLY)
    assert [turn.question for turn in await SqlConversationLog(database).turns(HERE)] == ["text 1\ntext 2\ntext 3"]
    assert await inbox.claim(LEASE) is None


async def test_people_who_talk_in_between_keep_their_place(inbox: SqlInbox) -> None:
    for number, actor in ((1, "ann"), (2, "bob"), (3, "ann")):
        await inbox.accept(message(number, actor=actor))
    seen = []
    for _ in range(3):
        claim = await claimed(inbox)
        seen.append(texts(claim))
        await inbox.finish(claim, REPLY)
    assert seen == [["text 1"], ["text 2"], ["text 3"]]


async def test_a_flood_is_cut_into_turns(inbox: SqlInbox) -> None:
    for number in range(MAX_TOGETHER + 5):
        await inbox.accept(message(number))
    first = await claimed(inbox)
    await inbox.finish(first, REPLY)
    assert (len(first.messages), len((await claimed(inbox)).messages)) == (MAX_TOGETHER, 5)


async def test_until_it_settles_a_conversation_is_not_due(inbox: SqlInbox, database: Database) -> None:
    await inbox.accept(message(1), settle=30)
    await inbox.accept(message(2), settle=30)
    assert await inbox.claim(LEASE) is None
    await let_delays_run_out(database)
    assert texts(await claimed(inbox)) == ["text 1", "text 2"]


async def test_a_lease_that_ran_out_is_taken_over_and_the_old_holder_can_write_nothing(inbox: SqlInbox, database: Database) -> None:
    await inbox.accept(message(1))
    dead = await claimed(inbox)
    await let_leases_run_out(database)
    second = await claimed(inbox)
    assert (second.inbox_ids, second.attempts) == (dead.inbox_ids, 2)
    for write in (
        inbox.finish(dead, REPLY),
        inbox.bury(dead, "x", REPLY),
        inbox.retry(dead, "x", 1),
        inbox.release(dead),
        inbox.renew(dead, 1),
    ):
        with pytest.raises(LeaseLostError):
            await write
    await inbox.finish(second, REPLY)
    assert len(await SqlConversationLog(database).turns(HERE)) == 1


async def test_a_renewed_lease_lasts(inbox: SqlInbox, database: Database) -> None:
    await inbox.accept(message(1))
    claim = await claimed(inbox)
    await let_leases_run_out(database)
    await inbox.renew(claim, LEASE)
    assert await inbox.claim(LEASE) is None


async def test_a_turn_put_off_keeps_its_place_and_counts_its_attempts(inbox: SqlInbox, database: Database) -> None:
    await inbox.accept(message(1))
    await inbox.retry(await claimed(inbox), "no luck", delay=30)
    await inbox.accept(message(2, ELSEWHERE))
    assert texts(await claimed(inbox)) == ["text 2"]
    assert await inbox.claim(LEASE) is None
    await let_delays_run_out(database)
    again = await claimed(inbox)
    assert (texts(again), again.attempts) == (["text 1"], 2)


async def test_a_released_turn_is_due_at_once_and_costs_no_attempt(inbox: SqlInbox) -> None:
    await inbox.accept(message(1))
    await inbox.release(await claimed(inbox))
    assert (await claimed(inbox)).attempts == 1


async def test_a_buried_message_is_answered_with_the_apology_and_the_conversation_goes_on(inbox: SqlInbox, outbox: SqlOutbox) -> None:
    await inbox.accept(message(1))
    claim = await claimed(inbox)
    await inbox.accept(message(2))
    await inbox.bury(claim, "poison", replace(REPLY, text="Sorry."))
    delivery = await outbox.claim(["test"], LEASE)
    assert delivery is not None
    assert delivery.reply.text == "Sorry."
    assert texts(await claimed(inbox)) == ["text 2"]
    assert (await inbox.backlog()).dead == 1


async def test_workspaces_are_served_in_turn(inbox: SqlInbox) -> None:
    for number in range(5):
        await inbox.accept(message(number, Address("test", "loud", "c", f"t{number}")))
    await inbox.accept(message(9, Address("test", "quiet", "c", "t")))
    served = [(await claimed(inbox)).messages[0].address.workspace_id for _ in range(2)]
    assert sorted(served) == ["loud", "quiet"]


async def test_bad_input_29_an_edit_before_the_answer_replaces_the_text(inbox: SqlInbox) -> None:
    await inbox.accept(message(1))
    assert await inbox.amend(Edited(HERE, "m1", "better"))
    assert texts(await claimed(inbox)) == ["better"]


async def test_bad_input_29_an_edit_during_the_answer_fences_it_out_and_it_is_written_again(inbox: SqlInbox) -> None:
    await inbox.accept(message(1))
    first = await claimed(inbox)
    assert await inbox.amend(Edited(HERE, "m1", "better"))
    with pytest.raises(LeaseLostError):
        await inbox.finish(first, REPLY)
    again = await claimed(inbox)
    assert (texts(again), again.attempts) == (["better"], 1)


async def test_bad_input_29_an_edit_after_the_answer_changes_nothing(inbox: SqlInbox, database: Database) -> None:
    await inbox.accept(message(1))
    await inbox.finish(await claimed(inbox), REPLY)
    assert not await inbox.amend(Edited(HERE, "m1", "late"))
    assert await inbox.claim(LEASE) is None
    assert [turn.question for turn in await SqlConversationLog(database).turns(HERE)] == ["text 1"]


async def test_bad_input_31_a_deletion_before_or_during_the_answer_cancels_it(inbox: SqlInbox, outbox: SqlOutbox) -> None:
    await inbox.accept(message(1))
    await inbox.accept(message(2, ELSEWHERE))
    during = await claimed(inbox)
    for address, name in ((HERE, "m1"), (ELSEWHERE, "m2")):
        assert await inbox.erase(Deleted(address, name))
    with pytest.raises(LeaseLostError):
        await inbox.finish(during, REPLY)
    assert await inbox.claim(LEASE) is None
    assert await outbox.claim(["test"], LEASE) is None


async def test_bad_input_31_a_deletion_after_the_answer_erases_the_text(inbox: SqlInbox, database: Database) -> None:
    await inbox.accept(message(1))
    await inbox.finish(await claimed(inbox), REPLY)
    assert await inbox.erase(Deleted(HERE, "m1"))
    async with database.read() as connection:
        kept = (await connection.execute(text("SELECT text FROM inbox"))).scalars().all()
    assert kept == [""]
    assert [turn.question for turn in await SqlConversationLog(database).turns(HERE)] == [""]


@pytest.mark.parametrize("event", [Edited(HERE, "m1", "other words"), Deleted(HERE, "m1")], ids=["edited", "deleted"])
async def test_what_happens_to_a_message_that_was_never_stored_makes_no_conversation(event: Edited | Deleted, database: Database) -> None:
    inbox = SqlInbox(database)
    assert not await (inbox.amend(event) if isinstance(event, Edited) else inbox.erase(event))
    assert not await SqlConversationLog(database).is_known(HERE)


async def test_nothing_is_left_by_which_the_text_of_a_deleted_message_could_be_found_again(inbox: SqlInbox, database: Database) -> None:
    await inbox.accept(message(1))
    await inbox.finish(await claimed(inbox), REPLY)
    await inbox.erase(Deleted(HERE, "m1"))
    async with database.read() as connection:
        kept = "SELECT inbox.text_sha256, turns.question_sha256 FROM inbox JOIN turns ON turns.turn_id = inbox.turn_id"
        assert (await connection.execute(text(kept))).one() == ("", "")


async def test_bad_input_28_a_late_older_message_is_answered_after_the_running_turn(inbox: SqlInbox) -> None:
    await inbox.accept(message(2, order_key="20"))
    running = await claimed(inbox)
    await inbox.accept(message(1, order_key="10"))
    assert await inbox.claim(LEASE) is None
    await inbox.finish(running, REPLY)
    assert texts(await claimed(inbox)) == ["text 1"]


async def test_a_silent_turn_is_kept_and_nothing_is_delivered(inbox: SqlInbox, outbox: SqlOutbox, database: Database) -> None:
    await inbox.accept(message(1))
    await inbox.finish(await claimed(inbox), SILENT)
    assert await outbox.claim(["test"], LEASE) is None
    assert len(await SqlConversationLog(database).turns(HERE)) == 1


async def answered(inbox: SqlInbox, *numbers: int, address: Address = HERE) -> None:
    for number in numbers:
        await inbox.accept(message(number, address))
        await inbox.finish(await claimed(inbox), replace(REPLY, text=f"answer {number}"))


async def test_replies_of_a_conversation_go_out_one_after_the_other(inbox: SqlInbox, outbox: SqlOutbox) -> None:
    await answered(inbox, 1, 2)
    await answered(inbox, 3, address=ELSEWHERE)
    first, other = await outbox.claim(["test"], LEASE), await outbox.claim(["test"], LEASE)
    assert first and other
    assert {first.reply.text, other.reply.text} == {"answer 1", "answer 3"}
    assert await outbox.claim(["test"], LEASE) is None
    await outbox.sent(first, "ref-1")
    second = await outbox.claim(["test"], LEASE)
    assert second is not None
    assert (second.reply.text, second.address, second.uncertain) == ("answer 2", HERE, False)


async def test_a_reply_put_off_holds_back_the_next_of_its_conversation(inbox: SqlInbox, outbox: SqlOutbox, database: Database) -> None:
    await answered(inbox, 1, 2)
    first = await outbox.claim(["test"], LEASE)
    assert first is not None
    await outbox.retry(first, "429", 30, uncertain=False)
    assert await outbox.claim(["test"], LEASE) is None
    await let_delays_run_out(database)
    again = await outbox.claim(["test"], LEASE)
    assert again is not None
    assert (again.key, again.attempts, again.uncertain) == (first.key, 2, False)


async def test_a_reply_whose_courier_died_is_taken_over_as_uncertain(inbox: SqlInbox, outbox: SqlOutbox, database: Database) -> None:
    await answered(inbox, 1)
    dead = await outbox.claim(["test"], LEASE)
    assert dead is not None
    await let_leases_run_out(database)
    second = await outbox.claim(["test"], LEASE)
    assert second is not None
    assert (second.key, second.uncertain) == (dead.key, True)
    for write in (outbox.sent(dead, "x"), outbox.bury(dead, "x"), outbox.retry(dead, "x", 1, uncertain=False)):
        with pytest.raises(LeaseLostError):
            await write


async def test_bad_input_32_a_buried_reply_lets_the_next_one_go(inbox: SqlInbox, outbox: SqlOutbox) -> None:
    await answered(inbox, 1, 2)
    first = await outbox.claim(["test"], LEASE)
    assert first is not None
    await outbox.bury(first, "channel is archived")
    second = await outbox.claim(["test"], LEASE)
    assert second is not None
    assert second.reply.text == "answer 2"


async def test_a_receipt_settles_what_a_courier_is_unsure_of_and_nothing_is_sent_again(inbox: SqlInbox, outbox: SqlOutbox) -> None:
    await answered(inbox, 1, 2)
    first = await outbox.claim(["test"], LEASE)
    assert first is not None
    await outbox.retry(first, "broken off", 30, uncertain=True)
    assert await outbox.received("test", first.key, "ref-1")
    second = await outbox.claim(["test"], LEASE)
    assert second is not None
    assert second.reply.text == "answer 2"
    assert await outbox.received("test", second.key, "ref-2")
    await outbox.sent(second, "ref-2")  # the receipt was quicker than the answer to the call
    assert await outbox.claim(["test"], LEASE) is None


async def test_a_receipt_of_another_platform_or_of_nothing_we_wait_for_changes_nothing(inbox: SqlInbox, outbox: SqlOutbox) -> None:
    await answered(inbox, 1)
    first = await outbox.claim(["test"], LEASE)
    assert first is not None
    assert not await outbox.received("other", first.key, "forged")
    assert not await outbox.received("test", "no such key", "forged")
    await outbox.sent(first, "ref-1")
    assert not await outbox.received("test", first.key, "again")


async def test_an_answer_is_marked_as_a_draft_and_what_was_overheard_stays_so(inbox: SqlInbox, outbox: SqlOutbox) -> None:
    heard = replace(message(1), for_bot=False, overheard=True, draft=True)
    await inbox.accept(heard)
    await inbox.accept(message(2))
    claim = await claimed(inbox)
    assert [(one.for_bot, one.overheard, one.draft) for one in claim.messages] == [(False, True, True)]
    await inbox.finish(claim, REPLY)
    draft = await outbox.claim(["test"], LEASE)
    assert draft is not None
    assert draft.action is Action.DRAFT
    await inbox.finish(await claimed(inbox), REPLY)
    await outbox.sent(draft, "ref")
    reply = await outbox.claim(["test"], LEASE)
    assert reply is not None
    assert reply.action is Action.REPLY


async def test_staff_are_told_once_that_somebody_waits_until_they_give_the_conversation_back(database: Database, outbox: SqlOutbox) -> None:
    inbox, log = SqlInbox(database, staff={"test": "test"}), SqlConversationLog(database)
    handoff = replace(REPLY, decision=Decision.HANDOFF)

    async def actions(number: int) -> list[Action]:
        await inbox.accept(message(number))
        await inbox.finish(await claimed(inbox), handoff)
        seen = []
        while (delivery := await outbox.claim(["test"], LEASE)) is not None:
            seen.append(delivery.action)
            await outbox.sent(delivery, "ref")
        return seen

    assert await actions(1) == [Action.REPLY, Action.ALERT]
    assert await actions(2) == [Action.REPLY, Action.RELAY]
    await log.set_owner(HERE, Owner.STAFF)
    await log.set_owner(HERE, Owner.BOT)
    assert await actions(3) == [Action.ALERT, Action.ALERT, Action.REPLY, Action.ALERT]  # twice that of before: taken, given back


async def test_what_somebody_writes_at_once_in_a_private_channel_is_one_question(inbox: SqlInbox) -> None:
    def private(number: int, actor: str = "ann", *, joins: bool = True) -> InboundMessage:
        return replace(message(number, replace(HERE, thread_id=f"m{number}"), actor), joins=joins)

    for one in (private(1), private(2), private(3, "bob"), private(4, joins=False)):
        await inbox.accept(one)
    claims = [await claimed(inbox) for _ in range(3)]
    assert [(one.message.address.thread_id, len(one.inbox_ids)) for one in claims] == [("m1", 2), ("m3", 1), ("m4", 1)]
    assert not await inbox.accept(private(2))  # told again while it is answered
    await inbox.accept(private(5))  # what its author asked before is being answered
    assert (await claimed(inbox)).message.address.thread_id == "m5"


async def test_what_staff_say_makes_the_conversation_theirs_once(database: Database, inbox: SqlInbox) -> None:
    log = SqlConversationLog(database)
    word = replace(message(1), for_bot=False, by_staff=True)
    assert await inbox.accept(word)
    assert await log.owner(HERE) is Owner.STAFF
    await log.set_owner(HERE, Owner.BOT)
    assert not await inbox.accept(word)
    assert await log.owner(HERE) is Owner.BOT


async def test_whoever_waits_for_a_message_that_was_taken_back_is_told_so(inbox: SqlInbox) -> None:
    await inbox.accept(message(1))
    assert await inbox.answer_to(message(1)) is None
    await inbox.erase(Deleted(HERE, "m1"))
    reply = await inbox.answer_to(message(1))
    assert reply is not None
    assert (reply.decision, reply.reason) == (Decision.SILENT, Reason.TAKEN_BACK)


async def test_a_courier_gets_only_the_platforms_it_has(inbox: SqlInbox, outbox: SqlOutbox) -> None:
    await answered(inbox, 1)
    assert await outbox.claim(["slack"], LEASE) is None
    assert await outbox.claim([], LEASE) is None


async def test_the_backlog_tells_what_waits_and_how_long(inbox: SqlInbox) -> None:
    assert await inbox.backlog() == (0, 0.0, 0, 0)
    await answered(inbox, 1)
    await inbox.accept(message(2))
    found = await inbox.backlog()
    assert (found.waiting, found.dead, found.undelivered) == (1, 0, 1)
    assert 0 <= found.oldest_seconds < 60


async def test_a_hundred_conversations_with_forty_workers_are_answered_once_and_in_order(
    inbox: SqlInbox, database: Database, open_database: Callable[[str], Awaitable[Database]]
) -> None:
    async def work() -> None:
        while (claim := await inbox.claim(LEASE)) is not None:
            await inbox.finish(claim, replace(REPLY, text=claim.message.text))

    addresses = [replace(HERE, thread_id=f"t{number}") for number in range(100)]
    await asyncio.gather(
        *(inbox.accept(message(number * 10 + place, address)) for number, address in enumerate(addresses) for place in range(3))
    )
    await asyncio.gather(*(work() for _ in range(40)))
    await work()  # claimers that met a locked row may all have left
    log = SqlConversationLog(database)
    for number, address in enumerate(addresses):
        said = "\n".join([turn.question for turn in await log.turns(address)]).split("\n")
        assert sorted(said) == [f"text {number * 10 + place}" for place in range(3)]
