"""A courier delivers every reply once and in order, whatever the platform does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import pytest

from core.delivery.courier import Courier, Terms
from core.delivery.crew import Bell
from core.domain import Address
from core.errors import DeliveryError, RateLimitedError, RefusedError, UncertainError
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from tests.core.delivery.scripted import (
    HERE,
    Journal,
    JournalOutbox,
    Platform,
    forever,
    in_background,
    message,
    passing,
    raising,
    reply,
)
from tests.servers.chat import ChatServer
from tests.servers.chat_adapter import HttpChatAdapter

TERMS = Terms(first_delay=0.01, longest_delay=0.01)


@dataclass
class Office:
    """Couriers' surroundings on one database."""

    database: Database
    journal: Journal = field(default_factory=Journal)
    platform: Platform = field(default_factory=Platform)
    finished: Bell = field(default_factory=Bell)

    def __post_init__(self) -> None:
        self.outbox = JournalOutbox(self.database, self.journal)

    def courier(self, terms: Terms = TERMS) -> Courier:
        return Courier(self.outbox, {"chat": self.platform}, self.finished, terms)

    async def answered(self, *numbers: int, address: Address = HERE) -> None:
        """Put answers into the outbox, in this order."""
        inbox = SqlInbox(self.database)
        for number in numbers:
            await inbox.accept(message(number, address))
            claim = await inbox.claim(60)
            assert claim is not None
            await inbox.finish(claim, reply(f"answer {number}"))

    @property
    def said(self) -> list[str]:
        return [text for _, text in self.platform.said]


@pytest.fixture
async def office(open_database: Callable[[str], Awaitable[Database]]) -> Office:
    return Office(await open_database("sqlite"))


async def test_replies_arrive_and_where_is_recorded(office: Office) -> None:
    await office.answered(1)
    async with in_background(office.courier().run()):
        await office.journal.has("sent")
    async with office.database.read() as connection:
        row = (await connection.exec_driver_sql("SELECT state, reference, attempts FROM outbox")).one()
    assert tuple(row) == ("sent", "ref-1", 1)


async def test_a_platform_in_a_hurry_is_left_alone_for_as_long_as_it_says_and_the_order_stays(office: Office) -> None:
    loop = asyncio.get_running_loop()
    calls: list[float] = []

    async def limited() -> None:
        calls.append(loop.time())
        raise RateLimitedError("429", 0.4)

    async def taken() -> None:
        calls.append(loop.time())

    office.platform.sends.extend([limited, taken])
    await office.answered(1, 2)
    async with in_background(office.courier().run()):
        await office.journal.has("sent", times=2)
    assert calls[1] - calls[0] >= 0.4
    assert office.said == ["answer 1", "answer 2"]
    assert "find" not in office.platform.calls  # a platform that said no certainly has nothing


async def test_a_platform_that_stays_in_a_hurry_is_never_given_up_on(office: Office) -> None:
    office.platform.sends.extend([raising(RateLimitedError("429", 0.0))] * 5)
    await office.answered(1)
    async with in_background(office.courier(replace(TERMS, max_attempts=2)).run()):
        await office.journal.has("sent")
    assert office.said == ["answer 1"]


async def test_a_reply_that_may_have_arrived_is_looked_for_before_it_is_sent_again(office: Office) -> None:
    office.platform.answers.append(raising(UncertainError("the connection broke")))
    await office.answered(1)
    async with in_background(office.courier().run()):
        await office.journal.has("sent")
    assert (office.platform.calls, office.said) == (["send", "find"], ["answer 1"])


async def test_a_reply_that_did_not_arrive_after_all_is_sent_again(office: Office) -> None:
    office.platform.sends.append(raising(UncertainError("the connection broke")))
    await office.answered(1)
    async with in_background(office.courier().run()):
        await office.journal.has("sent")
    assert (office.platform.calls, office.said) == (["send", "find", "send"], ["answer 1"])


@pytest.mark.parametrize("failure", [DeliveryError("cannot ask"), RateLimitedError("429", 0.0), RuntimeError("a bug")])
async def test_a_look_that_fails_is_repeated_until_it_is_known(office: Office, failure: Exception) -> None:
    office.platform.answers.append(raising(UncertainError("the connection broke")))
    office.platform.finds.extend([raising(failure), raising(failure)])
    await office.answered(1)
    async with in_background(office.courier().run()):
        await office.journal.has("sent")
    assert (office.platform.calls, office.said) == (["send", "find", "find", "find"], ["answer 1"])


async def test_a_limit_between_does_not_make_an_uncertain_reply_certain(office: Office) -> None:
    office.platform.sends.extend([raising(UncertainError("the connection broke")), raising(RateLimitedError("429", 0.0))])
    await office.answered(1)
    async with in_background(office.courier().run()):
        await office.journal.has("sent")
    assert office.platform.calls == ["send", "find", "send", "find", "send"]


async def test_a_platform_that_hangs_is_uncertain_after_the_call_limit(office: Office) -> None:
    office.platform.answers.append(forever)
    await office.answered(1)
    async with in_background(office.courier(replace(TERMS, call=0.05)).run()):
        await office.journal.has("sent")
    assert (office.platform.calls, office.said) == (["send", "find"], ["answer 1"])


async def test_a_refused_reply_is_buried_staff_see_it_and_the_next_one_goes(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.platform.sends.append(raising(RefusedError("the channel is archived")))
    await office.answered(1, 2)
    async with in_background(office.courier().run()):
        await office.journal.has("sent")
    assert office.said == ["answer 2"]
    assert [record.message.split(": ")[1] for record in caplog.records if record.levelno == logging.ERROR] == ["the channel is archived"]


async def test_a_reply_that_never_gets_through_is_buried_after_the_last_attempt_and_the_next_one_goes(office: Office) -> None:
    office.platform.sends.extend([raising(DeliveryError("away"))] * 3)
    await office.answered(1, 2)
    async with in_background(office.courier(replace(TERMS, max_attempts=3)).run()):
        await office.journal.has("sent")
    assert (office.platform.calls, office.said) == (["send"] * 4, ["answer 2"])


async def test_a_bug_of_an_adapter_loses_nothing_and_repeats_nothing(office: Office) -> None:
    office.platform.sends.append(raising(KeyError("ts")))
    office.platform.answers.append(raising(KeyError("ts")))
    await office.answered(1, 2)
    async with in_background(office.courier().run()):
        await office.journal.has("sent", times=2)
    assert office.said == ["answer 1", "answer 2"]


async def test_a_reply_whose_arrival_could_not_be_recorded_is_looked_for_and_not_repeated(office: Office) -> None:
    office.outbox.failing["sent"] = 1
    await office.answered(1)
    async with in_background(office.courier(replace(TERMS, lease=0.2)).run()):
        await office.journal.has("sent failed")
        await office.journal.has("sent")
    assert (office.platform.calls, office.said) == (["send", "find"], ["answer 1"])


async def test_cancelled_it_finishes_what_is_under_way_and_sends_no_more(office: Office) -> None:
    reached, go = asyncio.Event(), asyncio.Event()

    async def wait_for_go() -> None:
        reached.set()
        await go.wait()

    office.platform.sends.append(wait_for_go)
    await office.answered(1, 2)
    async with in_background(office.courier().run()) as running:
        await reached.wait()
        running.cancel()
        await asyncio.wait([running], timeout=0)
        go.set()
        await asyncio.wait([running])
    assert office.said == ["answer 1"]
    assert office.journal.entries == ["sent"]


async def test_a_send_cut_off_by_a_shutdown_is_looked_for_by_the_next_courier(office: Office) -> None:
    stored = asyncio.Event()

    async def hang() -> None:
        stored.set()
        await forever()

    office.platform.answers.append(hang)
    await office.answered(1)
    async with in_background(office.courier(replace(TERMS, lease=0.2, drain=0)).run()):
        await stored.wait()
    async with in_background(office.courier().run()):
        await office.journal.has("sent")
    assert (office.platform.calls, office.said) == (["send", "find"], ["answer 1"])


async def test_one_conversation_that_hangs_holds_up_no_other(office: Office) -> None:
    office.platform.sends.extend([forever, passing])
    await office.answered(1)
    await office.answered(2, address=replace(HERE, thread_id="t2"))
    async with in_background(office.courier(replace(TERMS, drain=0)).run()):
        await office.journal.has("sent")
    assert office.said == ["answer 2"]


async def test_eight_couriers_at_once_keep_the_order_of_every_conversation_and_repeat_nothing(office: Office) -> None:
    threads = [replace(HERE, thread_id=f"t{number}") for number in range(6)]
    for place, address in enumerate(threads):
        await office.answered(*range(place * 100, place * 100 + 6), address=address)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ChatServer(seed=3, reset=0.2, limit=0.1))
        for _ in range(8):
            adapter = await stack.enter_async_context(HttpChatAdapter(server.url))
            courier = Courier(office.outbox, {"chat": adapter}, Bell(), replace(TERMS, max_attempts=100))
            await stack.enter_async_context(in_background(courier.run()))
        await office.journal.has("sent", times=36)
    for place, address in enumerate(threads):
        said = [stored.text for stored in server.messages if stored.thread == address.thread_id]
        assert said == [f"answer {number}" for number in range(place * 100, place * 100 + 6)]
    assert server.requests > 36  # faults did happen
