"""Hand-offs are opened, claimed, answered and closed once, whoever else tries, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from core.domain import Action, Actor, Address, Decision, InboundMessage, Lineage, Owner, Reason, Reply, utc_now
from core.feedback import Feedback
from core.handoff import Handoff, Helper, State, Step, Why
from core.members import EVERYWHERE, Scope
from core.ports import Delivery
from core.storage.conversation_book import SqlConversationBook
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.feedback import SqlFeedbackLog
from core.storage.handoff_book import SqlHandoffBook
from core.storage.handoffs import SqlHandoffs
from core.storage.inbox import SqlInbox
from core.storage.outbox import SqlOutbox
from core.storage.privacy import SqlPrivacyDesk
from core.storage.tables import outbox

HERE = Address("test", "w", "c", "t1")
HELP_ME = Reply(Decision.HANDOFF, Reason.ASKED_FOR_PERSON, "A person will.", (), 0.1, Lineage("m", "i", "p", "e", "o"))
ANSWER = replace(HELP_ME, decision=Decision.ANSWER, reason=Reason.COMPOSED, text="So.")
SILENT = replace(HELP_ME, decision=Decision.SILENT, reason=Reason.WITH_PERSON, text="")
BOB, EVE = Helper("test:w:bob", "Bob"), Helper("test:w:eve", "Eve")


class Office:
    """Customers ask here, and staff see what comes of it."""

    def __init__(self, database: Database) -> None:
        staff = {"test": "test"}
        self.inbox, self.outbox = SqlInbox(database, staff), SqlOutbox(database)
        self.handoffs, self.book = SqlHandoffs(database, staff), SqlHandoffBook(database)
        self.log, self.feedback, self.privacy = SqlConversationLog(database), SqlFeedbackLog(database), SqlPrivacyDesk(database)
        self._number = 0

    async def ask(self, text: str = "help", reply: Reply = HELP_ME, address: Address = HERE, actor: str = "ann") -> str:
        """Somebody asks and gets this; the turn."""
        self._number += 1
        await self.inbox.accept(InboundMessage(f"m{self._number}", address, Actor(actor), text))
        claim = await self.inbox.claim(60)
        assert claim is not None
        return await self.inbox.finish(claim, reply)

    async def deliver(self) -> list[Delivery]:
        """Deliver what is queued."""
        sent = []
        while (delivery := await self.outbox.claim(["test"], 60)) is not None:
            sent.append(delivery)
            await self.outbox.sent(delivery, delivery.revises or f"channel/{delivery.key}")
        return sent

    async def told(self) -> list[tuple[Action, str]]:
        """Deliver what is queued; what it says, besides packets that are shown anew."""
        return [(one.action, one.reply.text) for one in await self.deliver() if one.action is not Action.ALERT]

    async def open(self) -> list[Handoff]:
        return list(await self.book.page(EVERYWHERE, 100))


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


@pytest.fixture
async def waiting(office: Office) -> str:
    """A customer who waits, and everybody knows."""
    await office.ask()
    await office.deliver()
    (handoff,) = await office.open()
    return handoff.handoff_id


async def test_a_hand_off_comes_with_the_turn_that_hands_over_and_its_thread_is_known_when_it_has_arrived(office: Office) -> None:
    await office.ask("How long?", ANSWER)
    await office.ask("I want a person!!")
    (before,) = await office.open()
    assert (before.state, before.why, before.customer_id, before.address, before.thread) == (State.WAITING, Why.ASKED, "ann", HERE, "")
    await office.deliver()
    (handoff,) = await office.open()
    assert await office.book.at("test", handoff.thread) == handoff
    assert await office.book.at("other", handoff.thread) is None
    packet = await office.book.packet(handoff.handoff_id)
    assert packet is not None
    assert (packet.question, [(one.question, one.answer) for one in packet.exchanges]) == ("I want a person!!", [("How long?", "So.")])


async def test_while_a_packet_is_on_its_way_nobody_can_tell_whether_a_thread_is_one_of_these(office: Office) -> None:
    await office.ask()
    assert not await office.book.is_settling("test")
    claims = [await office.outbox.claim(["test"], 60) for _ in range(2)]
    assert await office.book.is_settling("test") and not await office.book.is_settling("other")
    for claim in claims:
        assert claim is not None
        await office.outbox.sent(claim, f"channel/{claim.key}")
    assert not await office.book.is_settling("test")
    (handoff,) = await office.open()
    assert await office.book.at("test", handoff.thread) == handoff


async def test_one_customer_has_one_however_often_and_wherever_they_ask_at_once(office: Office) -> None:
    addresses = [replace(HERE, thread_id=f"t{number}") for number in range(5)]
    for number, address in enumerate(addresses):
        await office.inbox.accept(InboundMessage(f"x{number}", address, Actor("ann"), "help"))
    claims = [await office.inbox.claim(60) for _ in addresses]
    await asyncio.gather(*(office.inbox.finish(claim, HELP_ME) for claim in claims if claim))
    assert len(await office.open()) == 1
    actions = [one.action for one in await office.deliver()]
    assert (actions.count(Action.ALERT), actions.count(Action.RELAY), actions.count(Action.REPLY)) == (1, 4, 5)


async def test_of_many_who_claim_at_once_one_gets_the_customer(office: Office, waiting: str) -> None:
    claims = (office.handoffs.claim(waiting, somebody(number), "told", "noted") for number in range(8))
    assert sorted(await asyncio.gather(*claims)) == [False] * 7 + [True]
    assert await office.log.owner(HERE) is Owner.STAFF
    assert sorted(await office.told()) == [(Action.NOTE, "noted"), (Action.NOTICE, "told")]


def somebody(number: int) -> Helper:
    return Helper(f"test:w:{number}", str(number))


async def test_claiming_takes_the_lease_from_an_answer_that_is_being_written(office: Office, waiting: str) -> None:
    await office.inbox.accept(InboundMessage("later", HERE, Actor("ann"), "and?"))
    assert await office.inbox.claim(60) is not None
    await office.handoffs.claim(waiting, BOB, "told", "noted")
    again = await office.inbox.claim(60)
    assert again is not None and again.attempts == 1


async def test_what_a_person_says_is_said_once_and_claims_the_customer(office: Office, waiting: str) -> None:
    said = await asyncio.gather(*(office.handoffs.say(waiting, BOB, "Hello", "word-1", "Bob said") for _ in range(5)))
    assert said == [True] * 5
    assert await office.told() == [(Action.PERSON, "Hello"), (Action.NOTE, "Bob said")]
    (handoff,) = await office.open()
    assert (handoff.state, handoff.claimed_by) == (State.CLAIMED, BOB)
    assert [(line.by, line.name, line.text) for line in await office.book.lines(waiting)] == [("staff", "Bob", "Hello")]
    assert not await office.handoffs.say(waiting, BOB, " \x00 ", "word-2")
    await office.handoffs.close(waiting, BOB, State.SOLVED, "", "")
    assert await office.handoffs.say(waiting, BOB, "Hello", "word-1"), "told again when all is over, it has been said all the same"
    assert await office.told() == []


async def test_what_the_customer_writes_goes_to_staff_until_it_is_over(office: Office, waiting: str) -> None:
    await office.handoffs.claim(waiting, BOB, "", "")
    await office.ask("my order is late", SILENT)
    relayed = [one for one in await office.deliver() if one.action is Action.RELAY]
    assert len(relayed) == 1 and relayed[0].address.thread_id == waiting
    assert [line.text for line in await office.book.lines(waiting)] == ["my order is late"]
    assert await office.handoffs.close(waiting, EVE, State.SOLVED, "solved", "noted")
    assert not await office.handoffs.close(waiting, EVE, State.RETURNED, "again", "again")
    assert await office.log.owner(HERE) is Owner.BOT
    assert not await office.handoffs.say(waiting, BOB, "too late", "word-3")
    await office.ask("hello?", ANSWER)
    told = await office.told()
    assert (Action.NOTICE, "solved") in told and Action.RELAY not in [action for action, _ in told]
    assert [one.state for one in await office.book.page(EVERYWHERE, 10, closed=True)] == [State.SOLVED]


async def test_each_step_is_done_once_whoever_looks_and_never_for_whom_somebody_has(office: Office, waiting: str) -> None:
    assert await office.handoffs.nudge(Step.REMINDER, 3600, "later") == 0
    looks = (office.handoffs.nudge(step, 0, step.value) for step in Step for _ in range(4))
    done = sum(await asyncio.gather(*looks))  # whom another look has locked is left to the next
    assert done + sum([await office.handoffs.nudge(step, 0, step.value) for step in Step]) == 3
    assert sorted(await office.told()) == [
        (Action.ESCALATION, "escalated_at"),
        (Action.NOTE, "reminded_at"),
        (Action.NOTICE, "told_at"),
    ]
    await office.ask("is anybody there?")
    assert await office.handoffs.nudge(Step.REMINDER, 0, "anew") == 1
    await office.handoffs.claim(waiting, BOB, "", "")
    assert await office.handoffs.nudge(Step.ESCALATION, 0, "no") == 0


async def test_two_complaints_of_its_customer_open_one_and_those_before_a_person_came_count_no_more(office: Office) -> None:
    turns = [await office.ask(f"q{number}", ANSWER) for number in range(4)]
    await office.feedback.give(Feedback(turns[0], "ann", helpful=False))
    await office.feedback.give(Feedback(turns[1], "bob", helpful=False))
    assert not await office.handoffs.open_unhappy(turns[1], 2, "told")
    await office.feedback.give(Feedback(turns[1], "ann", helpful=False))
    opened = await asyncio.gather(*(office.handoffs.open_unhappy(turns[1], 2, "told") for _ in range(3)))
    assert sorted(opened) == [False, False, True]
    (handoff,) = await office.open()
    assert handoff.why is Why.THUMBS_DOWN
    await office.handoffs.close(handoff.handoff_id, BOB, State.RETURNED, "", "")
    assert not await office.handoffs.open_unhappy(turns[1], 2, "told")
    assert not await office.handoffs.open_unhappy("no-such-turn", 2, "told")


async def test_staff_who_take_or_give_back_the_conversation_itself_change_its_hand_off(office: Office, waiting: str) -> None:
    await office.inbox.accept(InboundMessage("s1", HERE, Actor("bob"), "Hello Ann", for_bot=False, by_staff=True))
    (handoff,) = await office.open()
    assert (handoff.state, handoff.claimed_by) == (State.CLAIMED, Helper("test:w:bob"))
    await office.log.set_owner(HERE, Owner.BOT)
    assert await office.open() == []


async def test_who_may_not_look_into_a_workspace_finds_nothing_of_it(office: Office, waiting: str) -> None:
    await office.ask("help", address=Address("test", "w2", "c", "t1"), actor="zoe")
    mine = Scope(frozenset({("test", "w2")}))
    assert [one.customer_id for one in await office.book.page(mine, 10)] == ["zoe"]
    assert await office.book.handoff(waiting, mine) is None
    assert await office.book.page(Scope(frozenset()), 10) == ()
    assert await office.book.handoff("a\x00b", EVERYWHERE) is None


async def test_erasing_a_customer_leaves_no_name_and_no_word(office: Office, waiting: str) -> None:
    await office.handoffs.say(waiting, BOB, "Dear Ann Canary", "word-1", "Bob: Dear Ann Canary")
    await office.deliver()
    document = await office.privacy.export("test", "w", "ann")
    assert [one["text"] for one in document["by_people"]] == ["Dear Ann Canary"]
    await office.privacy.erase("test", "w", "ann")
    (handoff,) = await office.open()
    packet = await office.book.packet(waiting)
    assert handoff.customer_id.startswith("erased-") and handoff.question == ""
    assert packet is not None and packet.question == packet.said == ""
    assert [line.text for line in await office.book.lines(waiting)] == [""]


@pytest.mark.parametrize("is_delivered", [True, False])
async def test_erasing_a_customer_leaves_nothing_of_what_people_wrote_to_them(
    office: Office, waiting: str, database: Database, is_delivered: bool
) -> None:
    await office.deliver()
    await office.handoffs.say(waiting, BOB, "Dear Ann Canary", "word-1", "Bob wrote to the customer: Dear Ann Canary")
    if is_delivered:
        await office.deliver()
    await office.privacy.erase("test", "w", "ann")
    async with database.read() as connection:
        kept = (await connection.execute(select(outbox.c.text))).scalars().all()
    assert not [text for text in kept if text and "Canary" in text]
    assert Action.PERSON not in [one.action for one in await office.deliver()]


async def test_erasing_a_customer_takes_their_words_from_before_staff(office: Office, waiting: str) -> None:
    await office.ask("my canary", SILENT)
    await office.deliver()
    await office.privacy.erase("test", "w", "ann")
    revised = await office.deliver()
    assert [(one.action, one.reply.text) for one in revised if one.revises] == [(Action.ALERT, ""), (Action.RELAY, "")]


async def test_words_of_people_are_forgotten_with_the_conversation(office: Office, waiting: str) -> None:
    await office.handoffs.say(waiting, BOB, "Dear Ann", "word-1", "Bob: Dear Ann")
    await office.deliver()
    await office.privacy.forget_before(utc_now() + timedelta(days=1), 100)
    assert [line.text for line in await office.book.lines(waiting)] == [""]


async def test_retention_goes_on_until_the_last_word_of_people_is_forgotten(office: Office, waiting: str, database: Database) -> None:
    for number in range(3):
        await office.handoffs.say(waiting, BOB, f"Dear Ann {number}", f"word-{number}")
    await office.deliver()
    while await office.privacy.forget_before(utc_now() + timedelta(days=1), 1):
        pass
    assert {line.text for line in await office.book.lines(waiting)} == {""}


async def test_a_word_that_cannot_be_delivered_is_told_to_staff(office: Office, waiting: str) -> None:
    await office.handoffs.say(waiting, BOB, "Hello", "word-1")
    while (delivery := await office.outbox.claim(["test"], 60)) is not None:
        if delivery.action is Action.PERSON:
            await office.outbox.bury(delivery, "the channel is gone")
            break
        await office.outbox.sent(delivery, "ref")
    assert [text for action, text in await office.told() if action is Action.NOTE] == [
        "The customer did not get your last message: their platform does not take it."
    ]
    assert [line.undelivered for line in await office.book.lines(waiting)] == [True]


async def test_staff_are_told_once_that_what_a_customer_writes_cannot_be_shown_in_their_thread(office: Office, waiting: str) -> None:
    for text in ("hello?", "hello??"):
        await office.ask(text, SILENT)
    news = []
    while (delivery := await office.outbox.claim(["test"], 60)) is not None:
        news += [delivery.reply.text] if delivery.action is Action.NEWS else []
        await (office.outbox.bury(delivery, "gone") if delivery.action is Action.RELAY else office.outbox.sent(delivery, "ref"))
    assert [text.partition(":")[0] for text in news] == ["A customer in a hand-off wrote again, and it could not be shown here"]


async def test_what_perhaps_arrived_is_looked_for_from_when_it_was_said_however_often_it_is_put_off(office: Office, waiting: str) -> None:
    await office.handoffs.say(waiting, BOB, "Hello", "word-1")
    asked = []
    while (delivery := await office.outbox.claim(["test"], 60)) is not None:
        if delivery.action is not Action.PERSON or len(asked) == 3:
            await office.outbox.sent(delivery, "ref")
            continue
        asked.append(delivery.asked_at)
        await office.outbox.retry(delivery, "reset", -60 * len(asked), uncertain=True)
    assert len(set(asked)) == 1


async def test_those_who_wait_and_those_who_are_with_somebody_are_counted_as_far_as_asked_within_a_scope(office: Office) -> None:
    for number in range(3):
        await office.ask("I want a person", address=replace(HERE, thread_id=f"t{number}"), actor=f"customer-{number}")
    first, *_ = await office.open()
    await office.handoffs.claim(first.handoff_id, BOB, "told", "noted")
    for scope, waiting in (
        (EVERYWHERE, 2),
        (Scope(frozenset({("test", "w")})), 2),
        (Scope(frozenset({("test", "other")})), 0),
        (Scope(), 0),
    ):
        assert await office.book.count(State.WAITING, scope, 10) == waiting
    assert await office.book.count(State.WAITING, EVERYWHERE, 1) == 1
    assert await office.book.count(State.CLAIMED, EVERYWHERE, 10) == 1


async def test_what_a_customer_and_a_person_say_to_each_other_stands_in_the_conversation(
    office: Office, waiting: str, database: Database
) -> None:
    (handoff,) = await office.open()
    await office.handoffs.say(handoff.handoff_id, BOB, "Hello!", "word-1")
    await office.ask("It is about my parcel", SILENT)
    await office.handoffs.say(handoff.handoff_id, BOB, "I see.", "word-2")
    await office.handoffs.close(handoff.handoff_id, BOB, State.SOLVED, "told", "noted")
    turn_id = await office.ask("Thanks", ANSWER)
    book = SqlConversationBook(database)
    place = await book.position(EVERYWHERE, turn_id)
    assert place is not None
    found = await book.conversation(EVERYWHERE, place[0], 50)
    assert found is not None
    assert [(line.by, line.name, line.text) for line in found.asides] == [
        ("staff", "Bob", "Hello!"),
        ("customer", "ann", "It is about my parcel"),
        ("staff", "Bob", "I see."),
    ]
    assert [turn.record.question for turn in found.turns] == ["help", "Thanks"]
    newest = await book.conversation(EVERYWHERE, place[0], 1)
    assert newest is not None and (newest.earlier, newest.asides) == (True, ())
    assert [one.handoff_id for one in await office.book.of_conversation(place[0], EVERYWHERE, 10)] == [waiting]
    assert await office.book.of_conversation(place[0], Scope(), 10) == ()
    await office.privacy.erase("test", "w", "ann")
    erased = await book.conversation(EVERYWHERE, place[0], 50)
    assert erased is not None and "parcel" not in str(erased.asides)


@pytest.mark.parametrize("kind", ["sqlite"])  # the planner of PostgreSQL reads small tables whole, whatever there is
async def test_those_who_are_over_are_read_from_an_index_newest_first(
    kind: str, open_database: Callable[[str], Awaitable[Database]]
) -> None:
    database, asked = await open_database(kind), []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *said: asked.append(said[2:4]))
    await SqlHandoffBook(database).page(EVERYWHERE, 50, closed=True)
    statement, parameters = next(one for one in asked if "FROM handoffs" in one[0])
    async with database.read() as connection:
        plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)).all()
    assert "USING INDEX handoffs_over" in str(plan) and "TEMP B-TREE" not in str(plan)
