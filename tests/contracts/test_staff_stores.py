"""Channels, turns, feedback, drafts and previews keep what they are given, in memory and on every database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event

from core.domain import Action, Decision
from core.feedback import MAX_COMMENT_CHARS, Feedback, FeedbackReason
from core.presence import Channel, Mode
from core.previews import Preview
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.memory_staff import Queued
from core.storage.outbox import SqlOutbox
from tests.contracts.counter import HERE, REPLY, Counter, SqlCounter

ELSEWHERE = replace(HERE, thread_id="t2")
SILENT = replace(REPLY, decision=Decision.SILENT, text="")
FORGED = ["", "no-such-turn", "x" * 500, "a\x00b", "\ud800", "' OR 1=1 --"]
CHANNEL = ("test", "w", "c")


async def test_a_channel_that_nobody_set_has_no_mode_and_is_not_muted(counter: Counter) -> None:
    await counter.channels.set_mode("test", "w", "other", Mode.OFF)
    await counter.channels.set_mode("test", "other", "c", Mode.OFF)
    assert await counter.channels.channel(*CHANNEL) == Channel()


async def test_mode_and_silence_are_set_apart_from_one_another(counter: Counter) -> None:
    await counter.channels.set_muted(*CHANNEL, True)
    assert await counter.channels.channel(*CHANNEL) == Channel(None, muted=True)
    await counter.channels.set_mode(*CHANNEL, Mode.DRAFT)
    assert await counter.channels.channel(*CHANNEL) == Channel(Mode.DRAFT, muted=True)
    await counter.channels.set_muted(*CHANNEL, False)
    assert await counter.channels.channel(*CHANNEL) == Channel(Mode.DRAFT, muted=False)


async def test_admins_who_set_a_new_channel_at_once_all_get_through(counter: Counter) -> None:
    await asyncio.gather(*(counter.channels.set_mode(*CHANNEL, Mode.OFF) for _ in range(10)), counter.channels.set_muted(*CHANNEL, True))
    assert await counter.channels.channel(*CHANNEL) == Channel(Mode.OFF, muted=True)


async def test_only_whoever_asked_in_this_conversation_has_asked(counter: Counter) -> None:
    await counter.ask(actor="ann")
    await counter.ask(actor="bob", address=ELSEWHERE)
    asked = {actor: await counter.channels.has_asked(HERE, actor) for actor in ("ann", "bob", "cy")}
    assert asked == {"ann": True, "bob": False, "cy": False}


async def test_whoever_was_only_overheard_has_asked_once_the_bot_answered(counter: Counter) -> None:
    await counter.ask(for_bot=False, reply=SILENT)
    assert not await counter.channels.has_asked(HERE, "ann")
    await counter.ask(for_bot=False, reply=REPLY)
    assert await counter.channels.has_asked(HERE, "ann")


async def test_a_turn_is_found_by_its_id_with_all_that_a_button_needs(counter: Counter) -> None:
    turn_id = await counter.ask("How do I pay?", ELSEWHERE, "bob")
    found = await counter.book.turn(turn_id)
    assert found is not None
    assert found[:5] == (turn_id, ELSEWHERE, "bob", "How do I pay?", REPLY)
    assert found.asked_at.tzinfo is not None


@pytest.mark.parametrize("forged", FORGED)
async def test_bad_input_37_a_forged_id_is_a_turn_that_does_not_exist(forged: str, counter: Counter) -> None:
    await counter.ask()
    assert await counter.book.turn(forged) is None
    assert await counter.book.turn_by_reference("test", forged) is None
    assert await counter.feedback.give(Feedback(forged, "ann", helpful=True)) is False
    assert await counter.feedback.of(forged) == ()
    assert not await counter.drafts.send(forged, None)
    assert not await counter.drafts.discard(forged)


async def test_recent_turns_are_those_in_which_this_person_was_told_something_newest_first(counter: Counter) -> None:
    for text, address, actor, reply in (
        ("first", HERE, "ann", REPLY),
        ("second", ELSEWHERE, "ann", REPLY),
        ("not answered", HERE, "ann", SILENT),
        ("of bob", HERE, "bob", REPLY),
        ("of another workspace", replace(HERE, workspace_id="w2"), "ann", REPLY),
    ):
        await counter.ask(text, address, actor, reply)
    assert [one.question for one in await counter.book.recent("test", "w", "ann", 10)] == ["second", "first"]
    assert [one.question for one in await counter.book.recent("test", "w", "ann", 1)] == ["second"]
    assert await counter.book.recent("slack", "w", "ann", 10) == ()


async def test_the_last_turns_of_a_conversation_are_of_everybody_in_it(counter: Counter) -> None:
    for text, address, actor in (("first", HERE, "ann"), ("second", HERE, "bob"), ("elsewhere", ELSEWHERE, "ann"), ("third", HERE, "ann")):
        await counter.ask(text, address, actor)
    assert [one.question for one in await counter.book.conversation_at(HERE, 2)] == ["third", "second"]
    assert await counter.book.conversation_at(replace(HERE, thread_id="t3")) == ()


async def test_a_message_of_the_platform_leads_to_the_turn_it_brought(counter: Counter) -> None:
    first, second = await counter.ask("first"), await counter.ask("second", ELSEWHERE)
    await counter.bring(first, "message-1")
    found = await counter.book.turn_by_reference("test", "message-1")
    assert found is not None
    assert (found.turn_id, found.question) == (first, "first")
    assert await counter.book.turn_by_reference("slack", "message-1") is None
    assert second != first


async def test_bad_input_36_the_last_value_of_each_person_counts(counter: Counter) -> None:
    turn_id, other = await counter.ask(), await counter.ask()
    for helpful in (True, True, False):
        assert await counter.feedback.give(Feedback(turn_id, "ann", helpful))
    worse = Feedback(turn_id, "bob", helpful=False, reason=FeedbackReason.OUTDATED, comment="It is 30 days now.")
    assert await counter.feedback.give(worse)
    assert [(one.actor_id, one.helpful) for one in await counter.feedback.of(turn_id)] == [("ann", False), ("bob", False)]
    assert (await counter.feedback.of(turn_id))[1] == worse
    assert await counter.feedback.of(other) == ()


async def test_feedback_that_is_changed_forgets_the_reason_and_comment_of_before(counter: Counter) -> None:
    turn_id = await counter.ask()
    await counter.feedback.give(Feedback(turn_id, "ann", helpful=False, reason=FeedbackReason.RUDE, comment="rude"))
    better = Feedback(turn_id, "ann", helpful=True)
    await counter.feedback.give(better)
    assert await counter.feedback.of(turn_id) == (better,)


async def test_a_comment_is_kept_clean_and_cut(counter: Counter) -> None:
    turn_id = await counter.ask()
    await counter.feedback.give(Feedback(turn_id, "ann", helpful=False, comment="\u202ea\x00\ud800" + "b" * 5000))
    (kept,) = await counter.feedback.of(turn_id)
    assert (kept.comment[:2], len(kept.comment)) == ("ab", MAX_COMMENT_CHARS)


async def test_a_draft_is_sent_once_however_many_press_the_button(counter: Counter) -> None:
    turn_id = await counter.ask(draft=True)
    assert await counter.queued() == []
    assert sum(await asyncio.gather(*(counter.drafts.send(turn_id, None) for _ in range(10)))) == 1
    assert await counter.queued() == [Queued(HERE, Action.REPLY, "By card.")]
    assert not await counter.drafts.send(turn_id, "again")
    assert not await counter.drafts.discard(turn_id)
    assert await counter.queued() == []


async def test_a_draft_goes_out_in_the_words_that_staff_gave_it(counter: Counter) -> None:
    turn_id = await counter.ask(draft=True)
    assert await counter.drafts.send(turn_id, "  Only by card.\x00 ")
    assert await counter.queued() == [Queued(HERE, Action.REPLY, "Only by card.")]


@pytest.mark.parametrize("nothing", ["", "  \n", "\x00\u202e"])
async def test_words_that_say_nothing_send_nothing_and_leave_the_draft_to_be_decided(nothing: str, counter: Counter) -> None:
    turn_id = await counter.ask(draft=True)
    assert not await counter.drafts.send(turn_id, nothing)
    assert not await counter.drafts.notify(HERE, nothing, "key")
    assert await counter.queued() == []
    assert await counter.drafts.send(turn_id, None)


async def test_a_discarded_draft_can_never_be_sent(counter: Counter) -> None:
    turn_id = await counter.ask(draft=True)
    assert await counter.drafts.discard(turn_id)
    assert not await counter.drafts.discard(turn_id)
    assert not await counter.drafts.send(turn_id, None)
    assert await counter.queued() == []


async def test_a_reply_that_the_customer_already_has_is_no_draft(counter: Counter) -> None:
    turn_id = await counter.ask()
    assert not await counter.drafts.send(turn_id, None)
    assert not await counter.drafts.discard(turn_id)
    assert await counter.queued() == []


async def test_a_notice_is_said_once_for_each_key_even_where_nobody_has_written(counter: Counter) -> None:
    new, key = replace(HERE, thread_id="new"), "a person has come " * 10
    assert sum(await asyncio.gather(*(counter.drafts.notify(new, "Bea is with you.", key) for _ in range(5)))) == 1
    assert await counter.drafts.notify(new, "Bea has left.", "gone")
    assert await counter.queued() == [Queued(new, Action.NOTICE, "Bea is with you."), Queued(new, Action.NOTICE, "Bea has left.")]


async def test_a_preview_is_known_from_before_it_is_posted_until_it_ends(counter: Counter) -> None:
    assert await counter.previews.of(HERE) is None
    attempt = await counter.attempt()
    assert await counter.previews.begin(HERE, attempt)
    assert await counter.previews.of(HERE) == Preview(attempt, None)
    assert await counter.previews.shown(HERE, "message-1")
    assert await counter.previews.of(HERE) == Preview(attempt, "message-1")
    assert await counter.previews.of(ELSEWHERE) is None
    await counter.previews.end(HERE)
    assert await counter.previews.of(HERE) is None


async def test_the_next_attempt_shows_nothing_beside_the_message_that_the_one_before_left(counter: Counter) -> None:
    first = await counter.attempt()
    await counter.previews.begin(HERE, first)
    await counter.previews.shown(HERE, "message-1")
    assert not await counter.previews.begin(HERE, await counter.attempt())
    assert await counter.previews.of(HERE) == Preview(first, "message-1")


async def test_a_preview_that_leaves_is_remembered_until_it_has_left(counter: Counter) -> None:
    attempt = await counter.attempt()
    assert not await counter.previews.leave(HERE)
    await counter.previews.begin(HERE, attempt)
    assert await counter.previews.leave(HERE)
    assert await counter.previews.of(HERE) == Preview(attempt, None, leaving=True)
    assert not await counter.previews.shown(HERE, "message-1")  # it appears after it was looked for
    assert await counter.previews.leave(HERE)
    await counter.previews.end(HERE)
    assert not await counter.previews.leave(HERE)


async def test_a_preview_that_is_not_found_is_forgotten_unless_it_appears_meanwhile(counter: Counter) -> None:
    attempt = await counter.attempt()
    await counter.previews.begin(HERE, attempt)
    await counter.previews.shown(HERE, "message-1")
    assert await counter.previews.missing(HERE) == "message-1"
    assert await counter.previews.of(HERE) == Preview(attempt, "message-1")
    await counter.previews.end(HERE)
    await counter.previews.begin(HERE, attempt)
    assert await counter.previews.missing(HERE) is None
    assert await counter.previews.of(HERE) is None


async def test_a_preview_whose_reply_is_on_its_way_does_not_leave(database: Database) -> None:
    """Whoever takes it away would take the reply, which may stand in its place by then."""
    counter, inbox, outbox = SqlCounter(database), SqlInbox(database), SqlOutbox(database)
    claim = await counter.claim()
    await counter.previews.begin(HERE, claim.lease)
    await inbox.finish(claim, REPLY)
    assert not await counter.previews.leave(HERE)
    delivery = await outbox.claim(["test"], 60)
    assert delivery is not None
    assert not await counter.previews.leave(HERE)
    await outbox.bury(delivery, "refused")
    assert await counter.previews.leave(HERE)


async def test_an_attempt_that_is_over_begins_no_preview(counter: Counter) -> None:
    first = await counter.attempt()
    await counter.attempt()
    assert not await counter.previews.begin(HERE, first)
    assert await counter.previews.of(HERE) is None


async def test_a_preview_is_for_its_own_reply_and_ends_with_it(database: Database) -> None:
    """Another courier may send a reply while the next one is written, and die before or after Slack has taken it."""
    counter, inbox, outbox = SqlCounter(database), SqlInbox(database), SqlOutbox(database)
    first = await counter.claim()
    assert await counter.previews.begin(HERE, first.lease)
    await inbox.finish(first, REPLY)
    second = await counter.claim()
    assert not await counter.previews.begin(HERE, second.lease)  # the first reply would take it for its own
    delivery = await outbox.claim(["test"], 60)
    assert delivery is not None
    await outbox.sent(delivery, "message-1")
    assert await counter.previews.of(HERE) is None  # whether it replaced the preview or was found there
    assert await counter.previews.begin(HERE, second.lease)
    await inbox.finish(second, REPLY)
    delivery = await outbox.claim(["test"], 60)
    assert delivery is not None
    assert await outbox.received("test", delivery.key, "message-2")
    assert await counter.previews.of(HERE) is None


async def test_a_preview_that_appears_after_its_end_is_told_to_go(counter: Counter) -> None:
    await counter.previews.begin(HERE, await counter.attempt())
    await counter.previews.end(HERE)
    await counter.previews.end(HERE)
    assert not await counter.previews.shown(HERE, "message-1")
    assert await counter.previews.of(HERE) is None


async def test_no_look_of_staff_reads_a_table_as_a_whole(open_database: Callable[[str], Awaitable[Database]]) -> None:
    """A million turns cost what none cost; SQLite names a whole table `SCAN turns` without an index."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and "strftime" not in statement:  # the clock
            asked.append((statement, parameters))

    database = await open_database("sqlite")
    counter = SqlCounter(database)
    turn_id = await counter.ask(draft=True)
    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await counter.channels.channel(*CHANNEL)
    await counter.channels.has_asked(HERE, "ann")
    await counter.book.turn(turn_id)
    await counter.book.recent("test", "w", "ann", 3)
    await counter.book.conversation_at(HERE)
    await counter.book.turn_by_reference("test", "message-1")
    await counter.feedback.give(Feedback(turn_id, "ann", helpful=True))
    await counter.feedback.of(turn_id)
    await counter.drafts.send(turn_id, None)
    await counter.previews.shown(HERE, "message-1")
    await counter.previews.end(HERE)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    async with database.read() as connection:
        for statement, parameters in asked:
            plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)).all()
            assert not [step for *_, step in plan if re.fullmatch(r"SCAN \w+", step) and step != "SCAN CONSTANT ROW"], (statement, plan)
    assert len(asked) >= 11
