"""Whoever waits for more than a minute is told so once, before the answer, by however many processes look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from core.delivery.courier import Courier
from core.delivery.crew import Bell
from core.delivery.sweeper import Sweeper
from core.dialogue import wording
from core.domain import Deleted, Owner, Reason
from core.metering import NoMeter
from core.storage.database import Database
from core.storage.outbox import SqlOutbox
from tests.core.delivery.desk import CURATED, HERE, LEASE, Desk, Screen


def sweeper(desk: Desk) -> Sweeper:
    return Sweeper(desk.outbox, wording.DELAYED, Bell())


async def said(desk: Desk) -> list[str]:
    return [delivery.reply.text for delivery in await desk.deliver_all()]


async def test_a_customer_who_waits_for_more_than_a_minute_is_told_once_and_before_the_answer(database: Database) -> None:
    desk = Desk(database)
    await desk.accept()
    assert await sweeper(desk).sweep() == 0
    await desk.let_pass(61)
    assert [await sweeper(desk).sweep() for _ in range(3)] == [1, 0, 0]
    assert await said(desk) == [wording.DELAYED]
    await desk.answer_all()
    assert await said(desk) == [CURATED]
    assert await sweeper(desk).sweep() == 0


async def test_a_notice_that_is_not_out_yet_when_the_answer_comes_is_dropped(database: Database) -> None:
    desk = Desk(database)
    await desk.accept()
    await desk.let_pass(61)
    await sweeper(desk).sweep()
    await desk.answer_all()
    assert await said(desk) == [CURATED]


async def test_the_notice_goes_out_with_the_first_answer_when_somebody_else_still_waits(database: Database) -> None:
    desk = Desk(database)
    for actor in ("ann", "bob"):
        await desk.accept(actor=actor)
    await desk.let_pass(61)
    await sweeper(desk).sweep()
    claim = await desk.inbox.claim(LEASE)
    assert claim is not None
    await desk.inbox.finish(claim, await desk.engine.reply(claim.message))
    assert await said(desk) == [wording.DELAYED, CURATED]


async def test_the_notice_holds_back_the_answer_until_it_is_delivered(database: Database) -> None:
    desk = Desk(database)
    await desk.accept()
    await desk.let_pass(61)
    await sweeper(desk).sweep()
    notice = await desk.outbox.claim(["test"], LEASE)
    assert notice is not None
    await desk.answer_all()
    assert (notice.reply.reason, notice.turn_id, notice.address, notice.key.startswith("late-")) == (Reason.DELAYED, "", HERE, True)
    assert await desk.outbox.claim(["test"], LEASE) is None
    await desk.outbox.sent(notice, "reference")
    assert await said(desk) == [CURATED]


async def test_ten_sweepers_at_once_tell_each_customer_once(database: Database) -> None:
    desk = Desk(database)
    for number in range(12):
        await desk.accept(address=replace(HERE, thread_id=f"t{number}"))
    await desk.let_pass(61)
    await asyncio.gather(*(sweeper(desk).sweep() for _ in range(10)))
    await sweeper(desk).sweep()  # a sweeper skips what another one holds
    assert await said(desk) == [wording.DELAYED] * 12


async def test_many_messages_of_one_conversation_get_one_notice(database: Database) -> None:
    desk = Desk(database)
    for actor in ("ann", "bob", "ann"):
        await desk.accept(actor=actor)
    await desk.let_pass(61)
    assert await sweeper(desk).sweep() == 1
    claim = await desk.inbox.claim(LEASE)
    assert claim is not None
    await desk.inbox.finish(claim, await desk.engine.reply(claim.message))
    assert await sweeper(desk).sweep() == 0  # the others waited already when it was told


async def test_a_later_message_that_waits_too_is_told_again(database: Database) -> None:
    desk = Desk(database)
    for _ in range(2):
        await desk.accept()
        await desk.let_pass(61)
        assert await sweeper(desk).sweep() == 1
        assert await said(desk) == [wording.DELAYED]
        await desk.answer_all()
        assert await said(desk) == [CURATED]


async def test_a_message_that_is_being_answered_for_more_than_a_minute_is_late_too(database: Database) -> None:
    desk = Desk(database)
    await desk.accept()
    claim = await desk.inbox.claim(LEASE)
    assert claim is not None
    await desk.let_pass(61)
    assert await sweeper(desk).sweep() == 1
    assert await said(desk) == [wording.DELAYED]
    await desk.inbox.finish(claim, await desk.engine.reply(claim.message))
    assert await said(desk) == [CURATED]


async def test_nobody_is_told_who_expects_no_answer_of_the_bot(database: Database) -> None:
    desk = Desk(database)
    await desk.accept(for_bot=False)
    taken_back = await desk.accept(address=replace(HERE, thread_id="t2"))
    await desk.inbox.erase(Deleted(taken_back.address, taken_back.message_id))
    of_staff = replace(HERE, thread_id="t3")
    await desk.accept(address=of_staff)
    await desk.log.set_owner(of_staff, Owner.STAFF)
    await desk.let_pass(61)
    assert await sweeper(desk).sweep() == 0


async def test_a_running_sweeper_wakes_the_courier_and_outlives_a_database_that_is_away(
    new_database_url: Callable[[str], str],
) -> None:
    database, finished, looked = Database(new_database_url("sqlite")), Bell(), asyncio.Event()

    class Looked(SqlOutbox):
        async def tell_late(self, text: str, seconds: float) -> int:
            looked.set()
            return await super().tell_late(text, seconds)

    running = asyncio.create_task(Sweeper(Looked(database), wording.DELAYED, finished, every=0.01).run())
    await looked.wait()  # there are no tables yet
    await database.upgrade()
    desk = Desk(database)
    await desk.accept()
    await desk.let_pass(61)
    async with asyncio.timeout(20):
        await finished.wait(20)
        assert not running.done()
        while not (told := await said(desk)):
            await finished.wait(0.1)
    running.cancel()
    await asyncio.wait([running])
    await database.close()
    assert told == [wording.DELAYED]


async def test_a_notice_is_not_counted_as_an_answer(open_database: Callable[[str], Awaitable[Database]]) -> None:
    class Counting(NoMeter):
        answers = 0

        def answered(self, decision: object, seconds: float) -> None:
            self.answers += 1

    desk, meter, screen = Desk(await open_database("sqlite")), Counting(), Screen()
    await desk.accept()
    await desk.let_pass(61)
    await sweeper(desk).sweep()
    bell = Bell()
    courier = asyncio.create_task(Courier(desk.outbox, {"test": screen}, bell, meter=meter).run())
    shown = [await screen.shown.get()]
    await desk.answer_all()
    bell.ring()
    shown.append(await screen.shown.get())
    courier.cancel()
    await asyncio.wait([courier])
    assert (shown, meter.answers) == ([wording.DELAYED, CURATED], 1)
