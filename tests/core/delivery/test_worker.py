"""A worker answers every message once, whatever fails: the dialogue, the database, the lease, or the customer's patience."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

import pytest

from core.delivery.crew import Bell
from core.delivery.worker import Terms, Worker
from core.domain import Address, Cue, Deleted, Edited, Exchange, InboundMessage
from core.metering import Event, NoMeter
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.outbox import SqlOutbox
from tests.core.delivery.scripted import (
    HERE,
    PATIENCE_SECONDS,
    Dialogue,
    Journal,
    JournalInbox,
    fail,
    forever,
    in_background,
    let_leases_run_out,
    message,
    reply,
)

LEASE = 60.0
TERMS = Terms(first_delay=0.01, longest_delay=0.01)
QUICK_TO_RENEW = Terms(first_delay=0.01, longest_delay=0.01, renew=0.01)


@dataclass
class Desk(NoMeter):
    """A worker's surroundings on one database."""

    database: Database
    journal: Journal = field(default_factory=Journal)
    counted: Counter[Event] = field(default_factory=Counter)
    accepted: Bell = field(default_factory=Bell)
    finished: Bell = field(default_factory=Bell)
    shown: list[tuple[Address, str | None]] = field(default_factory=list)
    preview_error: Exception | None = None

    def __post_init__(self) -> None:
        self.inbox = JournalInbox(self.database, self.journal)
        self.dialogue = Dialogue(self.journal)
        self.numbers = count(1)

    def count(self, event: Event) -> None:
        self.counted[event] += 1
        self.journal.note(event.value)

    async def preview(self, message: InboundMessage, attempt: str, piece: str | Cue) -> None:
        self.shown.append((message.address, piece))
        if self.preview_error:
            raise self.preview_error

    async def told(self, address: Address = HERE) -> None:
        """A customer writes the next message."""
        await self.inbox.accept(message(next(self.numbers), address))
        self.accepted.ring()

    def worker(self, terms: Terms = TERMS) -> Worker:
        log = SqlConversationLog(self.database)
        return Worker(self.inbox, log, self.dialogue, self.preview, self.accepted, self.finished, terms, self)

    async def turns(self, address: Address = HERE) -> list[tuple[str, str]]:
        return [(turn.question, turn.reply.text) for turn in await SqlConversationLog(self.database).turns(address)]


@pytest.fixture
async def desk(open_database: Callable[[str], Awaitable[Database]]) -> Desk:
    return Desk(await open_database("sqlite"))


async def test_a_message_is_answered_with_what_was_said_before_and_the_courier_is_woken(desk: Desk) -> None:
    async with in_background(desk.worker().run()):
        for number in (1, 2):
            await desk.told()
            await desk.journal.has("finish", times=number)
        await desk.finished.wait(PATIENCE_SECONDS)
    assert await desk.turns() == [("text 1", "TEXT 1"), ("text 2", "TEXT 2")]
    assert desk.dialogue.histories == [(), (Exchange("text 1", "TEXT 1"),)]


async def test_a_dialogue_that_fails_three_times_ends_in_an_apology_and_the_conversation_goes_on(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.dialogue.script.extend([fail, fail, fail])
    await desk.told()
    async with in_background(desk.worker().run()):
        await desk.journal.has("bury")
        await desk.told()
        await desk.journal.has("finish")
    assert desk.dialogue.asked == ["text 1"] * 3 + ["text 2"]
    assert await desk.turns() == [("text 1", "Sorry, a person will answer."), ("text 2", "TEXT 2")]
    assert (await desk.inbox.backlog()).dead == desk.counted[Event.DEAD] == 1
    told = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert "3 attempts failed, the customer was handed over: RuntimeError('the model is on fire')" in told
    assert sum("attempt" in line for line in told) == 4  # each failure with its traceback, then the hand-over


async def test_a_dialogue_that_fails_once_is_asked_again_and_answers(desk: Desk) -> None:
    desk.dialogue.script.append(fail)
    await desk.told()
    async with in_background(desk.worker().run()):
        await desk.journal.has("finish")
    assert await desk.turns() == [("text 1", "TEXT 1")]
    assert desk.counted[Event.DEAD] == 0


async def test_a_message_whose_workers_died_three_times_is_buried_without_running_the_dialogue_again(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.told()
    for _ in range(3):
        assert await desk.inbox.claim(LEASE)
        await let_leases_run_out(desk.database)
    async with in_background(desk.worker().run()):
        await desk.journal.has("bury")
    assert desk.dialogue.asked == []
    assert await desk.turns() == [("text 1", "Sorry, a person will answer.")]
    assert "its workers died" in caplog.text


async def test_a_message_whose_workers_died_twice_is_answered(desk: Desk) -> None:
    await desk.told()
    for _ in range(2):
        assert await desk.inbox.claim(LEASE)
        await let_leases_run_out(desk.database)
    async with in_background(desk.worker().run()):
        await desk.journal.has("finish")
    assert await desk.turns() == [("text 1", "TEXT 1")]
    assert desk.counted[Event.TAKEOVER] == 1


async def test_a_lost_lease_stops_the_dialogue_at_once_and_nothing_of_it_is_written(desk: Desk) -> None:
    desk.dialogue.script.append(forever)
    await desk.told()
    async with in_background(desk.worker(QUICK_TO_RENEW).run()):
        await desk.journal.has("asked")
        await let_leases_run_out(desk.database)
        other = SqlInbox(desk.database)
        while (claim := await other.claim(LEASE)) is None:  # a renewal came in between
            await let_leases_run_out(desk.database)
        await desk.journal.has("stopped")
        await desk.journal.has("lease_lost")
        await other.finish(claim, reply("by the other"))
    assert await desk.turns() == [("text 1", "by the other")]


async def test_bad_input_29_an_edit_while_the_dialogue_runs_stops_it_and_the_new_text_is_answered(desk: Desk) -> None:
    desk.dialogue.script.append(forever)
    await desk.told()
    async with in_background(desk.worker(QUICK_TO_RENEW).run()):
        await desk.journal.has("asked")
        assert await desk.inbox.amend(Edited(HERE, "m1", "better"))
        await desk.journal.has("finish")
    assert desk.dialogue.asked == ["text 1", "better"]
    assert await desk.turns() == [("better", "BETTER")]


async def test_bad_input_31_a_deletion_while_the_dialogue_runs_stops_it_and_nothing_is_said(desk: Desk) -> None:
    desk.dialogue.script.append(forever)
    await desk.told()
    async with in_background(desk.worker(QUICK_TO_RENEW).run()):
        await desk.journal.has("asked")
        assert await desk.inbox.erase(Deleted(HERE, "m1"))
        await desk.journal.has("lease_lost")
    assert desk.dialogue.asked == ["text 1"]
    assert await desk.turns() == []
    assert await desk.inbox.backlog() == (0, 0.0, 0, 0)
    assert await SqlOutbox(desk.database).claim(["chat"], LEASE) is None


async def test_edits_never_use_up_the_attempts_of_a_message_that_waits_beside(desk: Desk) -> None:
    desk.dialogue.script.extend([forever] * 4)
    await desk.told()
    await desk.told()
    async with in_background(desk.worker(QUICK_TO_RENEW).run()):
        for edits in range(1, 5):
            await desk.journal.has("asked", times=edits)
            assert await desk.inbox.amend(Edited(HERE, "m2", f"edit {edits}"))
        await desk.journal.has("finish")
    assert await desk.turns() == [("text 1\nedit 4", "TEXT 1\nEDIT 4")]


async def test_while_the_database_is_away_a_written_answer_is_kept_and_the_dialogue_not_asked_again(desk: Desk) -> None:
    desk.inbox.failing["finish"] = 3
    await desk.told()
    async with in_background(desk.worker().run()):
        await desk.journal.has("finish")
    assert desk.journal.entries.count("finish failed") == 3
    assert desk.dialogue.asked == ["text 1"]
    assert await desk.turns() == [("text 1", "TEXT 1")]


async def test_an_answer_whose_confirmation_was_lost_is_not_written_twice(desk: Desk) -> None:
    desk.inbox.unheard["finish"] = 1
    await desk.told()
    async with in_background(desk.worker().run()):
        await desk.journal.has("lease_lost")
    assert await desk.turns() == [("text 1", "TEXT 1")]
    assert (await desk.inbox.backlog()).waiting == 0


async def test_an_answer_that_cannot_be_written_for_a_whole_lease_is_worked_out_again(desk: Desk) -> None:
    desk.inbox.failing["finish"] = 1_000_000
    await desk.told()
    async with in_background(desk.worker(Terms(lease=0.1, first_delay=0.01, longest_delay=0.01)).run()):
        await desk.journal.has("asked", times=2)
        desk.inbox.failing.clear()
        await desk.journal.has("finish")
    assert await desk.turns() == [("text 1", "TEXT 1")]


async def test_renewals_that_fail_do_not_disturb_the_dialogue(desk: Desk) -> None:
    desk.inbox.failing["renew"] = 2

    async def until_renewed() -> None:
        await desk.journal.has("renew", times=2)

    desk.dialogue.script.append(until_renewed)
    await desk.told()
    async with in_background(desk.worker(QUICK_TO_RENEW).run()):
        await desk.journal.has("finish")
    assert desk.journal.entries.count("renew failed") == 2
    assert desk.dialogue.asked == ["text 1"]


async def test_previews_reach_the_conversation_and_end_before_the_answer_is_written_down(desk: Desk) -> None:
    desk.dialogue.previews = ("te", "xt")
    await desk.told()
    async with in_background(desk.worker().run()):
        await desk.journal.has("finish")
    assert desk.shown == [(HERE, "te"), (HERE, "xt"), (HERE, Cue.WRITTEN)]


async def test_a_platform_that_cannot_show_previews_gets_the_answer_all_the_same(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.dialogue.previews = ("te", "xt")
    desk.preview_error = ConnectionResetError("the platform is away")
    await desk.told()
    async with in_background(desk.worker().run()):
        await desk.journal.has("finish")
    assert desk.dialogue.asked == ["text 1"]
    assert await desk.turns() == [("text 1", "TEXT 1")]
    assert len(desk.shown) == 1  # best effort: it is asked no more for this answer
    assert "the platform is away" in caplog.text


async def test_a_dialogue_that_hangs_is_a_failed_attempt(desk: Desk) -> None:
    desk.dialogue.script.append(forever)
    await desk.told()
    async with in_background(desk.worker(Terms(answer=1.0, first_delay=0.01)).run()):
        await desk.journal.has("finish")
    assert desk.journal.entries == ["claimed", "asked", "stopped", "retry", "claimed", "asked", "finish"]


async def test_a_dialogue_that_cancels_itself_is_a_failed_attempt_and_not_a_shutdown(desk: Desk) -> None:
    async def cancel_itself() -> None:
        raise asyncio.CancelledError

    desk.dialogue.script.extend([cancel_itself] * 3)
    await desk.told()
    async with in_background(desk.worker().run()):
        await desk.journal.has("bury")
    assert desk.dialogue.asked == ["text 1"] * 3
    assert "release" not in desk.journal.entries
