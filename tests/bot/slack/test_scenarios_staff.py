"""What staff teach, the App Home, and everything that must still work when the process is another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from core.domain import utc_now
from core.feedback import FeedbackReason
from core.storage.correction_store import SqlCorrectionStore
from core.storage.database import Database
from core.storage.feedback import SqlFeedbackLog
from core.storage.tables import inbox
from tests.bot.slack.conftest import OpenOffice
from tests.bot.slack.office import ANN, BOB, BOT, DIRECT, HELP, STAFF_ROOM, Office, office, said
from tests.servers.slack import SlackPlatform
from tests.servers.slack_state import Channel

REFUNDS, PARCELS = "how long does a refund take?", "how long does a parcel take?"


async def test_an_answer_is_corrected_and_a_conversation_is_taught_once_each(open_office: OpenOffice) -> None:
    desk = await open_office(staff=BOB)
    slack = desk.slack
    root = await slack.say(ANN, HELP, f"<@{BOT}> {PARCELS}")
    await desk.quiet()
    (answer,) = slack.by_bot(HELP)
    await slack.shortcut(BOB, HELP, answer.ts, "correct_answer")
    (window,) = slack.views.values()
    await slack.submit(BOB, window.id, {"answer": "A parcel takes 4 days.", "cause": "wrong_text"})
    await slack.submit(BOB, window.id, {"answer": "A parcel takes 4 days.", "cause": "wrong_text"})
    human = await slack.say(ANN, HELP, "It came after five.", thread_ts=root)
    await slack.shortcut(BOB, HELP, human, "teach_frontdesk")
    await slack.submit(BOB, list(slack.views)[-1], {"question": "How long?", "answer": "Five days."})
    pending = [one.draft for one in await SqlCorrectionStore(desk.graph.database).pending(10)]
    (turn, *_) = await desk.turns()
    assert [(one.turn_id, one.question, one.answer, one.cause) for one in pending] == [
        (turn["turn_id"], PARCELS, "A parcel takes 4 days.", "wrong_text"),
        (turn["turn_id"], "How long?", "Five days.", "missing_faq"),
    ]
    assert [one.own_words for one in pending] == [True, False]
    assert {one.author for one in pending} == {"slack:T0TEAM:U0BOB"}


async def test_what_is_no_answer_of_the_bot_cannot_be_corrected(open_office: OpenOffice) -> None:
    desk = await open_office(staff=BOB)
    human = await desk.slack.say(ANN, HELP, "hello everybody")
    await desk.slack.shortcut(BOB, HELP, human, "correct_answer")
    assert desk.slack.views == {}
    assert "an answer of mine" in desk.slack.ephemerals[-1].text


async def test_a_lesson_that_says_nothing_is_refused_in_its_window(open_office: OpenOffice) -> None:
    desk = await open_office(staff=BOB)
    human = await desk.slack.say(ANN, HELP, "hello everybody")
    await desk.slack.shortcut(BOB, HELP, human, "teach_frontdesk")
    (window,) = desk.slack.views.values()
    await desk.slack.submit(BOB, window.id, {"question": "  ", "answer": "Something."})
    assert window.open
    assert "both a question and an answer" in window.errors["answer"]
    assert await SqlCorrectionStore(desk.graph.database).pending(10) == ()


async def test_the_home_tells_what_may_be_asked_and_what_was(open_office: OpenOffice) -> None:
    desk = await open_office()
    await desk.slack.open_home(ANN)
    await desk.slack.until(lambda: ANN in desk.slack.homes)
    home = str(desk.slack.homes[ANN].content)
    assert "How long does a refund take?" in home
    assert "Nothing yet." in home
    await desk.slack.say(ANN, DIRECT, PARCELS)
    await desk.slack.say(BOB, HELP, f"<@{BOT}> {REFUNDS}")
    await desk.quiet()
    before = desk.slack.homes[ANN].hash
    await desk.slack.open_home(ANN)
    await desk.slack.until(lambda: desk.slack.homes[ANN].hash != before)
    home = str(desk.slack.homes[ANN].content)
    assert PARCELS in home
    assert f"> {REFUNDS}" not in home  # of another
    await desk.slack.open_home(ANN, "messages")
    await desk.slack.until(lambda: desk.slack.prompts)


async def test_an_example_of_the_home_is_asked_and_answered_in_the_private_conversation(open_office: OpenOffice) -> None:
    desk = await open_office()
    await desk.slack.open_home(ANN)
    await desk.slack.until(lambda: ANN in desk.slack.homes)
    await desk.slack.press_in_view(ANN, desk.slack.homes[ANN].id, "ask_example")
    await desk.answered(2)
    asked, answer = desk.slack.by_bot(DIRECT)
    assert "> How long does a refund take?" in asked.text
    assert answer.thread_ts == asked.ts
    assert "Refunds take 14 days." in said(answer)


async def test_somebody_gets_their_data_and_has_it_erased(open_office: OpenOffice) -> None:
    desk = await open_office()
    await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS} I am <!here> ```")
    await desk.quiet()
    await desk.slack.press(ANN, HELP, desk.slack.by_bot(HELP)[-1].ts, "person")
    await desk.quiet()
    told = await desk.slack.command(ANN, HELP, "/support", "privacy export")
    assert REFUNDS in told.json()["text"]
    assert "<!" not in told.json()["text"]
    await desk.slack.open_home(ANN)
    await desk.slack.until(lambda: ANN in desk.slack.homes)
    home = desk.slack.homes[ANN]
    assert (await desk.slack.press_in_view(ANN, home.id, "privacy_delete")).accepted
    assert [turn["question"] for turn in await desk.turns()] == ["", ""]
    async with desk.graph.database.read() as connection:
        assert ANN not in str((await connection.execute(inbox.select())).all())
    assert REFUNDS not in str(home.content)
    assert "is erased" in desk.slack.by_bot(DIRECT)[-1].text


async def test_staff_are_told_who_waits_where_they_cannot_answer_in_the_conversation(open_office: OpenOffice) -> None:
    desk = await open_office(staff=BOB, staff_channel=STAFF_ROOM)
    await desk.slack.say(ANN, HELP, f"<@{BOT}> I want a person")
    await desk.quiet()
    alone = (desk.slack.say(ANN, DIRECT, "I want a person"), desk.slack.command(ANN, HELP, "/support", "I want a person"))
    for asked in alone:  # one at a time: a customer has one hand-off
        await desk.slack.press(BOB, STAFF_ROOM, packets(desk)[-1].ts, "handoff_return")
        await asked
        await desk.quiet()
    assert [f"<@{ANN}>" in said(packet) for packet in packets(desk)] == [False, True, True]


def packets(desk: Office) -> list[Any]:
    """The messages that begin threads in the channel of staff."""
    return [one for one in desk.slack.by_bot(STAFF_ROOM) if one.thread_ts in (None, one.ts)]


async def test_a_comment_on_an_answer_that_was_erased_is_not_kept(open_office: OpenOffice) -> None:
    desk = await open_office()
    await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
    await desk.quiet()
    await desk.graph.privacy_desk.forget_before(utc_now() + timedelta(days=1), 100)
    await desk.slack.press(ANN, HELP, desk.slack.by_bot(HELP)[-1].ts, "feedback_bad")
    (window,) = desk.slack.views.values()
    await desk.slack.submit(ANN, window.id, {"reason": "wrong", "note": "I am Ann."})
    (turn,) = await desk.turns()
    (kept,) = await SqlFeedbackLog(desk.graph.database).of(turn["turn_id"])
    assert (kept.reason, kept.comment) == (FeedbackReason.WRONG, "")


@pytest.fixture
def restarted(open_database: Callable[[str], Awaitable[Database]]) -> Callable[[], object]:
    """Gives offices one after the other, on one database and one Slack."""

    @asynccontextmanager
    async def one_after_the_other() -> AsyncIterator[Callable[[], object]]:
        database = await open_database("sqlite")
        async with SlackPlatform(echo_own=True) as slack:
            slack.channels[STAFF_ROOM] = Channel(STAFF_ROOM, "staff", members={BOB, BOT})
            yield lambda: office(database, slack, staff=BOB, staff_channel=STAFF_ROOM, admins=BOB)

    return one_after_the_other


async def test_every_button_works_when_the_process_is_another(restarted: Callable[[], object]) -> None:
    async with restarted() as opened:  # type: ignore[attr-defined]
        async with opened() as desk:
            root = await desk.slack.say(ANN, HELP, f"<@{BOT}> {PARCELS}")
            await desk.slack.command(ANN, HELP, "/support", REFUNDS)
            await desk.slack.command(BOB, HELP, "/support-admin", "channel draft")
            drafted = await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
            await desk.quiet()
        slack = desk.slack
        (answer,) = [message for message in slack.thread(HELP, root) if message.user == BOT]
        (draft,) = slack.by_bot(STAFF_ROOM)
        private = slack.ephemerals[-1] if slack.ephemerals[-1].blocks else next(one for one in slack.ephemerals if one.blocks)
        async with opened() as desk:
            await slack.press(ANN, HELP, answer.ts, "feedback_bad")
            await slack.press(ANN, HELP, answer.ts, "sources")
            assert len(slack.views) == 2
            await slack.press(BOB, STAFF_ROOM, draft.ts, "draft_send")
            await slack.press(ANN, HELP, private.ts, "share")
            await slack.press(ANN, HELP, answer.ts, "person")
            await desk.quiet()
            assert "Refunds take 14 days." in desk.texts(HELP, drafted)[0]
            assert len(slack.by_bot(STAFF_ROOM)) >= 2
            turns = {turn["question"]: turn["turn_id"] for turn in await desk.turns()}
            (opinion,) = await SqlFeedbackLog(desk.graph.database).of(turns[PARCELS])
            assert not opinion.helpful
        async with opened() as desk:
            alert = next(message for message in slack.by_bot(STAFF_ROOM) if "waits for a person" in said(message))
            await slack.press(BOB, STAFF_ROOM, alert.ts, "handoff_return")
            await slack.say(BOB, HELP, "I answer this one.", thread_ts=root)  # takes it over
            await slack.until(lambda: slack.ephemerals and "silent" in slack.ephemerals[-1].text)
            await desk.quiet()
            before = len(desk.texts(HELP, root))
            await slack.say(ANN, HELP, REFUNDS, thread_ts=root)
            await desk.quiet()
            assert len(desk.texts(HELP, root)) == before
            await slack.press(BOB, HELP, slack.ephemerals[-1].ts, "hand_back")
            await desk.quiet()
            assert "I am back" in desk.texts(HELP, root)[-1]


async def test_what_was_accepted_before_a_stop_is_answered_after_it(restarted: Callable[[], object]) -> None:
    async with restarted() as opened:  # type: ignore[attr-defined]
        async with opened() as desk:
            root = await desk.slack.say(ANN, DIRECT, REFUNDS)  # waits for what follows it
            assert desk.texts(DIRECT, root) == []
        async with opened() as desk:
            await desk.quiet()
            assert len(desk.texts(DIRECT, root)) == 1


async def test_bad_input_42_a_conversation_with_a_person_is_theirs_until_it_is_given_back(open_office: OpenOffice) -> None:
    desk: Office = await open_office(staff=BOB, staff_channel=STAFF_ROOM)
    root = await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
    await desk.quiet()
    await desk.slack.say(BOB, HELP, "Hello, I am Bob.", thread_ts=root)
    await desk.slack.until(lambda: desk.slack.ephemerals)
    told = desk.slack.ephemerals[-1]
    assert (told.ephemeral_for, "stay silent" in told.text) == (BOB, True)
    await desk.slack.say(BOB, HELP, "How can I help?", thread_ts=root)
    for text in (PARCELS, f"<@{BOT}> {PARCELS}"):  # a mention does not bring it back either
        await desk.slack.say(ANN, HELP, text, thread_ts=root)
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 1
    assert desk.slack.ephemerals == [told]  # once, not below each word of theirs
    await desk.slack.press(BOB, HELP, told.ts, "hand_back")
    await desk.slack.say(ANN, HELP, PARCELS, thread_ts=root)
    await desk.quiet()
    assert [text.split(".")[0] for text in desk.texts(HELP, root)][1:] == ["I am back in this conversation", "A parcel takes 3 days"]


async def test_what_staff_said_before_they_gave_it_back_takes_nothing_over_when_slack_tells_it_again(open_office: OpenOffice) -> None:
    desk: Office = await open_office({"echo_own": False}, staff=BOB, staff_channel=STAFF_ROOM)
    root = await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
    await desk.quiet()
    await desk.slack.say(BOB, HELP, "Hello, I am Bob.", thread_ts=root)
    await desk.slack.until(lambda: desk.slack.ephemerals)
    word_of_staff = desk.slack.delivered[-1]
    await desk.slack.press(BOB, HELP, desk.slack.ephemerals[-1].ts, "hand_back")
    assert (await desk.slack.redeliver(word_of_staff)).accepted
    await desk.slack.say(ANN, HELP, PARCELS, thread_ts=root)
    await desk.quiet()
    assert desk.texts(HELP, root)[-1].startswith("A parcel takes 3 days")


async def test_a_word_of_staff_is_told_again_while_slack_does_not_say_who_they_are(open_office: OpenOffice) -> None:
    desk: Office = await open_office({"echo_own": False, "retries": 0}, staff=BOB)
    root = await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
    await desk.quiet()
    desk.slack.fail("users.info", kind="500_before")
    said_once = await desk.slack.say(BOB, HELP, "Hello, I am Bob.", thread_ts=root)
    assert [answer.accepted for answer in said_once.answers] == [False]
    assert (await desk.slack.redeliver(desk.slack.delivered[-1])).accepted
    await desk.slack.say(ANN, HELP, PARCELS, thread_ts=root)
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 1
