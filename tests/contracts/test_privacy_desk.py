"""Every privacy desk shows one person all that is kept of them and nothing of others, and erases it so that nothing of it comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from core.corrections import Cause, CorrectionDraft
from core.domain import Action, Actor, Address, Citation, Hit, InboundMessage, Passage, utc_now
from core.errors import LeaseLostError
from core.feedback import Feedback, FeedbackReason
from core.staff.retention import Retention
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.outbox import SqlOutbox
from core.storage.privacy import SqlPrivacyDesk
from core.storage.staff_tables import metadata
from tests.contracts.counter import HERE, REPLY, Counter, SqlCounter

ANN = ("test", "w", "ann")
CITATION, HIT = Citation("p", "canary-title", None, 0.9), Hit(Passage("p", "d", "canary-title", "text"), 0.9)
SAID = replace(REPLY, text="canary-answer", citations=(CITATION,), hits=(HIT,))


async def talk(counter: Counter) -> tuple[str, str]:
    """Ann and Bob ask, think, and are corrected; return Ann's turn and Bob's."""
    ann, bob = await counter.ask("canary-question", reply=SAID), await counter.ask("of bob", actor="bob")
    await counter.feedback.give(Feedback(ann, "ann", helpful=False, reason=FeedbackReason.WRONG, comment="canary-comment"))
    await counter.feedback.give(Feedback(ann, "bob", helpful=True, comment="canary-quoted"))
    await counter.feedback.give(Feedback(bob, "bob", helpful=True, comment="bob likes it"))
    await counter.corrections.propose(CorrectionDraft(ann, "canary-question", "staff say so", Cause.WRONG_TEXT, "staff", "slack"))
    return ann, bob


async def test_an_export_holds_all_of_one_person_and_nothing_of_another(counter: Counter) -> None:
    turn_id, _ = await talk(counter)
    document = await counter.privacy.export(*ANN)
    assert json.loads(json.dumps(document)) == document
    assert document["user"] == {"platform": "test", "workspace_id": "w", "user_id": "ann"}
    assert [one["text"] for one in document["messages"]] == ["canary-question"]
    assert [(one["turn_id"], one["question"], one["text"]) for one in document["turns"]] == [(turn_id, "canary-question", "canary-answer")]
    assert [(one["turn_id"], one["comment"]) for one in document["feedback"]] == [(turn_id, "canary-comment")]
    assert "bob" not in json.dumps(document)


@pytest.mark.parametrize("other", [("test", "w", "eve"), ("slack", "w", "ann"), ("test", "w2", "ann")], ids=str)
async def test_an_id_of_another_platform_or_workspace_is_another_person(other: tuple[str, str, str], counter: Counter) -> None:
    await talk(counter)
    document = await counter.privacy.export(*other)
    assert (document["messages"], document["turns"], document["feedback"]) == ([], [], [])
    assert sum(await counter.privacy.erase(*other)) == 0
    assert len((await counter.privacy.export(*ANN))["turns"]) == 1


async def test_what_was_erased_is_nowhere_and_others_keep_theirs(counter: Counter) -> None:
    ann, bob = await talk(counter)
    report = await counter.privacy.erase(*ANN)
    assert (report.messages, report.turns, report.feedback, report.corrections) == (1, 1, 1, 1)
    left = await counter.book.turn(ann)
    assert left is not None
    assert (left.question, left.reply.text, left.reply.citations, left.reply.hits) == ("", "", (), ())
    assert left.actor_id.startswith("erased-")
    kept = {one.actor_id: (one.helpful, one.reason, one.comment) for one in await counter.feedback.of(ann)}
    assert kept == {left.actor_id: (False, FeedbackReason.WRONG, ""), "bob": (True, None, "")}
    assert [(one.draft.question, one.draft.answer) for one in await counter.corrections.pending(5)] == [("", "staff say so")]
    assert "canary" not in json.dumps(await counter.privacy.export(*ANN))
    theirs = await counter.book.turn(bob)
    assert theirs is not None
    assert (theirs.question, theirs.actor_id) == ("of bob", "bob")
    assert [one.comment for one in await counter.feedback.of(bob)] == ["bob likes it"]


async def test_whoever_was_erased_and_comes_back_is_new(counter: Counter) -> None:
    await talk(counter)
    await counter.privacy.erase(*ANN)
    assert not await counter.channels.has_asked(HERE, "ann")
    assert sum(await counter.privacy.erase(*ANN)) == 0
    await counter.ask("hello again")
    assert [one["text"] for one in (await counter.privacy.export(*ANN))["messages"]] == ["hello again"]
    assert (await counter.privacy.erase(*ANN)).messages == 1


async def test_the_text_of_what_is_too_old_goes_and_who_asked_stays_counted(counter: Counter) -> None:
    ann, bob = await talk(counter)
    assert await counter.privacy.forget_before(utc_now() - timedelta(days=1), 100) == 0
    assert await counter.privacy.forget_before(utc_now() + timedelta(minutes=1), 1) == 1  # no more at once than allowed
    while await counter.privacy.forget_before(utc_now() + timedelta(minutes=1), 1):
        pass
    for turn_id, actor in ((ann, "ann"), (bob, "bob")):
        left = await counter.book.turn(turn_id)
        assert left is not None
        assert (left.question, left.reply.text, left.reply.hits, left.actor_id) == ("", "", (), actor)
        assert [one.comment for one in await counter.feedback.of(turn_id) if one.comment] == []
    assert "canary" not in json.dumps(await counter.privacy.export(*ANN))


async def test_what_still_waits_for_an_answer_is_not_erased_however_old(database: Database) -> None:
    inbox = SqlInbox(database)
    old = InboundMessage("m", HERE, Actor("ann"), "still waiting", utc_now() - timedelta(days=90))
    await inbox.accept(old)
    assert await SqlPrivacyDesk(database).forget_before(utc_now(), 100) == 0
    claim = await inbox.claim(60)
    assert claim is not None
    assert claim.message.text == "still waiting"


async def test_retention_erases_in_batches_until_nothing_is_over_time_and_0_days_keep_all(database: Database) -> None:
    inbox, desk = SqlInbox(database), SqlPrivacyDesk(database)
    for number in range(7):
        await inbox.accept(InboundMessage(f"m{number}", HERE, Actor("ann"), "old", utc_now() - timedelta(days=31)))
    claim = await inbox.claim(60)
    assert claim is not None
    await inbox.finish(claim, REPLY)
    assert await Retention(desk, 0).erase_old() == 0
    assert await Retention(desk, 32).erase_old() == 0
    assert await Retention(desk, 30).erase_old() == 7
    assert await Retention(desk, 30).erase_old() == 0


async def test_a_draft_for_somebody_who_was_erased_can_no_longer_be_sent(counter: Counter) -> None:
    turn_id = await counter.ask(draft=True)
    await counter.privacy.erase(*ANN)
    assert not await counter.drafts.send(turn_id, None)
    assert not await counter.drafts.send(turn_id, "in other words")
    assert await counter.queued() == []


async def everything(database: Database) -> str:
    """All rows of all tables, as text."""
    async with database.read() as connection:
        return "\n".join([str((await connection.execute(select(table))).all()) for table in metadata.sorted_tables])


def message(number: int, text: str = "canary", actor: str = "ann", address: Address = HERE) -> InboundMessage:
    return InboundMessage(f"m{number}", address, Actor(actor, "Canary Ann"), text)


async def test_no_table_holds_a_word_of_an_erased_person(database: Database) -> None:
    counter, inbox = SqlCounter(database), SqlInbox(database)
    await talk(counter)
    changed = await counter.ask("canary", draft=True)
    await counter.drafts.send(changed, "canary of staff")
    await counter.drafts.notify(HERE, "canary notice", "key")
    await counter.queued()
    await inbox.accept(message(100))
    claim = await inbox.claim(60)
    assert claim is not None
    await inbox.retry(claim, "canary-error", 60)
    document = await counter.privacy.export(*ANN)
    assert [one["text_by_staff"] for one in document["turns"]] == [None, "canary of staff"]
    assert "canary" in await everything(database)
    await counter.privacy.erase(*ANN)
    left = await everything(database)
    assert "canary" not in left.replace("Bob Canary", "").lower()
    assert "'ann'" not in left and "Ann" not in left


async def test_an_erased_message_that_is_delivered_again_is_known_and_not_stored(database: Database) -> None:
    inbox = SqlInbox(database)
    await inbox.accept(message(1))
    await SqlPrivacyDesk(database).erase(*ANN)
    assert not await inbox.accept(message(1))
    assert "canary" not in (await everything(database)).lower()


async def test_what_waited_is_not_answered_and_the_others_of_the_conversation_are(database: Database) -> None:
    inbox, desk = SqlInbox(database), SqlPrivacyDesk(database)
    for number, actor in ((1, "ann"), (2, "bob")):
        await inbox.accept(message(number, f"of {actor}", actor))
    await inbox.accept(message(3, address=replace(HERE, thread_id="t2")))
    report = await desk.erase(*ANN)
    assert (report.messages, report.cancelled) == (2, 2)
    claim = await inbox.claim(60) or await inbox.claim(60)  # the first look may only find that nothing waits in ann's own conversation
    assert claim is not None
    assert [one.text for one in claim.messages] == ["of bob"]
    await inbox.finish(claim, REPLY)
    assert await inbox.claim(60) is None
    assert (await inbox.backlog()).waiting == 0


async def test_an_answer_that_is_being_written_is_thrown_away(database: Database) -> None:
    inbox = SqlInbox(database)
    await inbox.accept(message(1))
    claim = await inbox.claim(60)
    assert claim is not None
    assert (await SqlPrivacyDesk(database).erase(*ANN)).cancelled == 1
    with pytest.raises(LeaseLostError):
        await inbox.finish(claim, SAID)
    assert await SqlConversationLog(database).turns(HERE) == ()


async def test_replies_on_their_way_are_stopped_those_of_others_are_not(database: Database) -> None:
    counter, outbox = SqlCounter(database), SqlOutbox(database)
    await counter.ask(reply=SAID)
    delivery = await outbox.claim(["test"], 60)
    assert delivery is not None
    bob = await counter.ask(actor="bob", address=replace(HERE, thread_id="t2"))
    await counter.ask(draft=True, address=replace(HERE, thread_id="t3"))
    assert (await counter.privacy.erase(*ANN)).dropped == 2
    with pytest.raises(LeaseLostError):
        await outbox.sent(delivery, "reference")
    left = await outbox.claim(["test"], 60)
    assert left is not None
    assert (left.turn_id, left.action) == (bob, Action.REPLY)
    await outbox.sent(left, "reference")
    assert await outbox.claim(["test"], 60) is None
