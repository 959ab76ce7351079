"""Whatever order things happen in: each message gets one turn, each turn arrives once, in order, and nothing waits for ever.

Hypothesis plays customers, workers and couriers against both databases and compares with a model of a page of Python.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, multiple, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from core.domain import Actor, Address, Decision, Deleted, Edited, InboundMessage, Lineage, Reason, Reply
from core.errors import LeaseLostError
from core.ports import Claim, Delivery
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.outbox import SqlOutbox
from tests.contracts.delivery_model import Conversation, Message

THREADS = ("t1", "t2")
REPLY = Reply(Decision.DIRECT, Reason.CONFIDENT, "By card.", (), 0.9, Lineage("m", "i", "p", "e", "policy"))
LATER = 3600.0


class DeliveryMachine(RuleBasedStateMachine):
    """Rules are what customers, workers and couriers do; the database is given by a subclass."""

    runner: asyncio.Runner
    database: Database
    messages = Bundle("messages")
    claims = Bundle("claims")
    deliveries = Bundle("deliveries")

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def raises_unless(self, allowed: bool, work: Coroutine[Any, Any, Any]) -> Any:
        if allowed:
            return self.run(work)
        with pytest.raises(LeaseLostError):
            self.run(work)
        return None

    @initialize()
    def begin(self) -> None:
        self.inbox, self.outbox = SqlInbox(self.database), SqlOutbox(self.database)
        self.log = SqlConversationLog(self.database)
        self.conversations = {thread: Conversation() for thread in THREADS}
        self.delivered: dict[str, list[str]] = {thread: [] for thread in THREADS}
        self.sent: set[str] = set()  # turns whose reply is known to have arrived
        self.questions: dict[str, str] = {}  # of each turn
        self.held: dict[str, list[Message]] = {}  # of each lease
        tables = ("outbox", "handoff_words", "handoffs", "reviews", "turns", "inbox", "conversations")
        self.run(self.change(*(f"DELETE FROM {table}" for table in tables)))

    async def change(self, *statements: str) -> None:
        async with self.database.write() as connection:
            for statement in statements:
                await connection.execute(text(statement))

    # Customers

    @rule(target=messages, thread=st.sampled_from(THREADS), actor=st.sampled_from(["ann", "bob"]))
    def accept(self, thread: str, actor: str) -> Message:
        conversation = self.conversations[thread]
        number = len(conversation.messages)
        message = Message(thread, number, f"{thread}-{number}", actor)
        conversation.messages.append(message)
        conversation.later = False  # who writes again is not kept waiting for a delay
        assert self.run(self.inbox.accept(inbound(message)))
        return message

    @rule(message=messages)
    def accept_again(self, message: Message) -> None:
        assert not self.run(self.inbox.accept(inbound(message)))

    @rule(message=messages, version=st.integers(1, 9))
    def amend(self, message: Message, version: int) -> None:
        changed = f"{message.name} v{version}"
        waits = message.state == "waiting"
        assert self.run(self.inbox.amend(Edited(address(message.thread), message.name, changed))) == waits
        if waits:
            message.text = changed
            self.fenced_out(message)

    @rule(message=messages)
    def erase(self, message: Message) -> None:
        assert self.run(self.inbox.erase(Deleted(address(message.thread), message.name)))
        if message.state == "waiting":
            self.fenced_out(message)
            message.state = "cancelled"

    def fenced_out(self, message: Message) -> None:
        conversation = self.conversations[message.thread]
        conversation.later = False
        if conversation.holder and message in self.held.get(conversation.holder, ()):
            conversation.free()

    # Workers

    @rule(target=claims)
    def claim(self) -> Any:
        claim: Claim | None = self.run(self.inbox.claim(LATER))
        claimable = {thread for thread, conversation in self.conversations.items() if conversation.is_claimable}
        assert (claim is None) == (not claimable)
        if claim is None:
            return multiple()
        thread = claim.messages[0].address.thread_id
        conversation = self.conversations[thread]
        assert thread in claimable
        assert [message.text for message in claim.messages] == [message.text for message in conversation.next_turn]
        conversation.holder, conversation.expired = claim.lease, False
        self.held[claim.lease] = conversation.next_turn
        return claim

    def holds(self, claim: Claim) -> bool:
        return self.conversation_of(claim).holder == claim.lease

    def conversation_of(self, claim: Claim) -> Conversation:
        return self.conversations[claim.messages[0].address.thread_id]

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        holds = self.holds(claim)
        self.raises_unless(holds, self.inbox.renew(claim, LATER))
        if holds:
            self.conversation_of(claim).expired = False

    @rule(claim=consumes(claims), dead=st.booleans())
    def finish(self, claim: Claim, dead: bool) -> None:
        holds = self.holds(claim)
        turn_id = self.raises_unless(holds, self.inbox.bury(claim, "x", REPLY) if dead else self.inbox.finish(claim, REPLY))
        if not holds:
            return
        conversation = self.conversation_of(claim)
        for message in self.held[claim.lease]:
            message.state = "answered"
        conversation.free()
        conversation.turns.append(claim.message.text)
        conversation.undelivered.append(turn_id)
        self.questions[turn_id] = claim.message.text

    @rule(claim=claims, later=st.booleans())
    def retry(self, claim: Claim, later: bool) -> None:
        holds = self.holds(claim)
        self.raises_unless(holds, self.inbox.retry(claim, "x", LATER if later else 0.0))
        if holds:
            self.conversation_of(claim).free(later=later)

    @rule(claim=claims)
    def release(self, claim: Claim) -> None:
        holds = self.holds(claim)
        self.raises_unless(holds, self.inbox.release(claim))
        if holds:
            self.conversation_of(claim).free()

    @rule(thread=st.sampled_from(THREADS), times=st.integers(1, 2))
    def converse(self, thread: str, times: int) -> None:
        """An ordinary turn or two, so that replies pile up behind each other."""
        for _ in range(times):
            self.accept(thread, "ann")
            if isinstance(claim := self.claim(), Claim):
                self.finish(claim, dead=False)

    # Couriers

    @rule(target=deliveries)
    def take(self) -> Any:
        delivery: Delivery | None = self.run(self.outbox.claim(["test"], LATER))
        deliverable = {thread for thread, conversation in self.conversations.items() if conversation.is_deliverable}
        assert (delivery is None) == (not deliverable)
        if delivery is None:
            return multiple()
        assert delivery.address.thread_id in deliverable
        conversation = self.conversations[delivery.address.thread_id]
        assert delivery.turn_id == conversation.undelivered[0]
        assert delivery.uncertain or not conversation.courier_expired
        conversation.courier, conversation.courier_expired = delivery.lease, False
        return delivery

    def carries(self, delivery: Delivery) -> bool:
        return self.conversations[delivery.address.thread_id].courier == delivery.lease

    @rule(delivery=consumes(deliveries), dead=st.booleans())
    def deliver(self, delivery: Delivery, dead: bool) -> None:
        carries = self.carries(delivery)
        is_known = not dead and delivery.turn_id in self.sent  # to be told twice that it has arrived is no news and no error
        self.raises_unless(carries or is_known, self.outbox.bury(delivery, "x") if dead else self.outbox.sent(delivery, "ref"))
        if carries:
            if not dead:
                self.sent.add(delivery.turn_id)
            conversation = self.conversations[delivery.address.thread_id]
            self.delivered[delivery.address.thread_id].append(self.questions[conversation.undelivered.pop(0)])
            conversation.put_down()

    @rule(delivery=deliveries, later=st.booleans(), uncertain=st.booleans())
    def put_off(self, delivery: Delivery, later: bool, uncertain: bool) -> None:
        carries = self.carries(delivery)
        self.raises_unless(carries, self.outbox.retry(delivery, "x", LATER if later else 0.0, uncertain=uncertain))
        if carries:
            self.conversations[delivery.address.thread_id].put_down(later=later)

    # Time

    @rule()
    def leases_run_out(self) -> None:
        past = "SET lease_until = '2000-01-01 00:00:00' WHERE lease_until IS NOT NULL"
        self.run(self.change(f"UPDATE conversations {past}", f"UPDATE outbox {past}"))
        for conversation in self.conversations.values():
            conversation.expired = conversation.holder is not None
            conversation.courier_expired = conversation.courier is not None

    @precondition(lambda self: any(one.later or one.courier_later for one in self.conversations.values()))
    @rule()
    def delays_run_out(self) -> None:
        past = "SET due_at = '2000-01-01 00:00:00' WHERE due_at IS NOT NULL"
        self.run(self.change(f"UPDATE conversations {past}", f"UPDATE outbox {past}"))
        for conversation in self.conversations.values():
            conversation.later = conversation.courier_later = False

    def teardown(self) -> None:
        """All workers come back: what waits is answered and delivered, and then everything was, once and in order."""
        if not hasattr(self, "conversations"):
            return
        self.leases_run_out()
        self.delays_run_out()
        while isinstance(claim := self.claim(), Claim):
            self.finish(claim, dead=False)
        while isinstance(delivery := self.take(), Delivery):
            self.deliver(delivery, dead=False)
        backlog = self.run(self.inbox.backlog())
        assert (backlog.waiting, backlog.undelivered) == (0, 0)
        for thread, conversation in self.conversations.items():
            assert {message.state for message in conversation.messages} <= {"answered", "cancelled"}
            logged = [turn.turn_id for turn in self.run(self.log.turns(address(thread)))]
            assert [self.questions[turn_id] for turn_id in logged] == conversation.turns == self.delivered[thread]
            heard = [line.split(" ")[0] for question in conversation.turns for line in question.split("\n")]
            assert len(heard) == len(set(heard)) == sum(message.state == "answered" for message in conversation.messages)


def address(thread: str) -> Address:
    return Address("test", "w", "c", thread)


def inbound(message: Message) -> InboundMessage:
    return InboundMessage(message.name, address(message.thread), Actor(message.actor), message.text, order_key=f"{message.number:06}")


@pytest.mark.parametrize(("kind", "examples"), [("sqlite", 20), ("postgresql", 20)])
def test_every_message_gets_one_turn_that_arrives_once_and_in_order(
    kind: str, examples: int, new_database_url: Callable[[str], str]
) -> None:
    with asyncio.Runner() as runner:
        database = Database(new_database_url(kind))
        runner.run(database.upgrade())
        machine = type("Machine", (DeliveryMachine,), {"runner": runner, "database": database})
        chosen = settings(max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
        run_state_machine_as_test(machine, settings=chosen)
        runner.run(database.close())
