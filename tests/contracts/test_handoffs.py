"""Hand-offs are opened, claimed, answered and closed once, whoever else tries, on every database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain import Action, Actor, Address, Decision, InboundMessage, Lineage, Owner, Reason, Reply, utc_now
from core.feedback import Feedback
from core.handoff import Handoff, Helper, State, Step, Why
from core.members import EVERYWHERE, Scope
from core.ports import Delivery
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.feedback import SqlFeedbackLog
from core.storage.handoff_book import SqlHandoffBook
from core.storage.handoffs import SqlHandoffs
from core.storage.inbox import SqlInbox
from core.storage.outbox import SqlOutbox
from core.storage.privacy import SqlPrivacyDesk

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


async def test_words_of_people_are_forgotten_with_the_conversation(office: Office, waiting: str) -> None:
    await office.handoffs.say(waiting, BOB, "Dear Ann", "word-1", "Bob: Dear Ann")
    await office.deliver()
    await office.privacy.forget_before(utc_now() + timedelta(days=1), 100)
    assert [line.text for line in await office.book.lines(waiting)] == [""]


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
