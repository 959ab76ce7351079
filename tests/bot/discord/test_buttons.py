"""What is pressed in Discord is checked, done once, and answered to whoever pressed it, in any process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from bot import forms
from bot.discord import buttons
from bot.discord.modals import modal_of
from bot.parting import size
from core.domain import utc_now
from core.feedback import FeedbackReason
from core.storage.correction_store import SqlCorrectionStore
from core.storage.database import Database
from core.storage.feedback import SqlFeedbackLog
from core.storage.tables import turns
from tests.bot.discord.desk import STAFF_ROOM, Counter, buttons_of, counter
from tests.servers.discord import DiscordPlatform
from tests.servers.discord_state import ANN, ANSWERED, BOB, FORUM, GUILD, HELP, NEEDS_HUMAN, OLIVE, SOLVED, Can

REFUNDS, PARCELS = "how long does a refund take?", "how long does a parcel take?"


async def test_an_answer_is_judged_with_a_reason(desk: Counter) -> None:
    (answer,) = await desk.take(PARCELS)
    (turn_id,) = await desk.turn_ids()
    assert buttons_of(answer) == ["feedback_good", "feedback_bad", "person", "sources"]
    await desk.discord.press(ANN, answer, f"fd:feedback_good:{turn_id}")
    assert "Thank you" in await desk.told()
    opened = await desk.discord.press(ANN, answer, f"fd:feedback_bad:{turn_id}")
    await desk.discord.until(lambda: opened.modal)
    await desk.discord.submit(ANN, f"fd-form:feedback:{turn_id}", {"reason": ["wrong"], "note": "It was five."})
    await desk.told(2)
    (opinion,) = await SqlFeedbackLog(desk.graph.database).of(turn_id)
    assert (opinion.helpful, opinion.reason, opinion.comment) == (False, FeedbackReason.WRONG, "It was five.")


async def test_sources_are_shown_to_whoever_asks_for_them(desk: Counter) -> None:
    (answer,) = await desk.take(REFUNDS)
    await desk.discord.press(BOB, answer, f"fd:sources:{(await desk.turn_ids())[0]}")
    assert "**[How long does a refund take?](<https://shop.example/refunds>)**" in await desk.told()
    assert desk.discord.ephemerals[-1].ephemeral_for == BOB


async def test_a_person_is_asked_for_once_and_the_conversation_is_given_back(desk: Counter) -> None:
    (answer,) = await desk.take(PARCELS)
    (turn_id,) = await desk.turn_ids()
    for _ in range(2):
        await desk.discord.press(ANN, answer, f"fd:person:{turn_id}")
    await desk.discord.until(lambda: desk.discord.by_bot(STAFF_ROOM))
    await desk.quiet()
    (alert,) = desk.discord.by_bot(STAFF_ROOM)
    assert "They asked for a person." in alert.content
    back = alert.components[0]["components"][-1]["custom_id"]
    await desk.discord.press(ANN, alert, back)
    assert "Only staff may do this" in await desk.told()
    await desk.discord.press(BOB, alert, back)
    assert "with the bot again" in await desk.told(2)
    assert [one for one in await desk.audited() if "handoff" in one[1]] == [
        (f"discord:{GUILD}:{ANN}", "handoff.return", "denied"),
        (f"discord:{GUILD}:{BOB}", "handoff.return", "done"),
    ]


async def test_a_draft_is_edited_by_staff_and_sent_once(desk: Counter) -> None:
    await desk.take(REFUNDS, draft=True)
    (draft,) = desk.discord.by_bot(STAFF_ROOM)
    (turn_id,) = await desk.turn_ids()
    assert buttons_of(draft) == ["draft_send", "draft_edit", "draft_discard"]
    await desk.discord.press(ANN, draft, f"fd:draft_send:{turn_id}")
    assert "Only staff may do this" in await desk.told()
    opened = await desk.discord.press(BOB, draft, f"fd:draft_edit:{turn_id}")
    await desk.discord.until(lambda: opened.modal)
    await desk.discord.submit(BOB, f"fd-form:edit_draft:{turn_id}", {"text": "It takes 12 days."})
    assert await desk.told(2) == "Sent to the customer."
    await desk.discord.press(BOB, draft, f"fd:draft_discard:{turn_id}")
    assert "Somebody decided" in await desk.told(3)
    await desk.quiet()
    assert [one.content.split("\n")[0] for one in desk.discord.by_bot(HELP)] == ["It takes 12 days."]


@pytest.mark.parametrize("custom_id", ["fd:person:nobody", "fd:dance:1", "rate:1", "fd:person:x y", "x" * 100])
async def test_bad_input_36_a_button_that_is_old_or_unknown_says_that_it_expired(desk: Counter, custom_id: str) -> None:
    (answer,) = await desk.take(PARCELS)
    answer.components[0]["components"][0]["custom_id"] = custom_id
    await desk.discord.press(ANN, answer, custom_id)
    assert "expired" in await desk.told()


async def test_bad_input_37_a_button_of_another_conversation_is_refused_and_noted(desk: Counter) -> None:
    (answer,) = await desk.take(PARCELS)
    (turn_id,) = await desk.turn_ids()
    elsewhere = await desk.client.get_partial_messageable(STAFF_ROOM).send("x")
    desk.discord.standing(elsewhere.id).components = answer.components
    await desk.discord.press(BOB, elsewhere.id, f"fd:person:{turn_id}")
    assert "does not belong" in await desk.told()
    assert (f"discord:{GUILD}:{BOB}", "button.person", "forged") in await desk.audited()


async def test_a_post_is_solved_by_its_asker_or_by_staff_and_put_away(desk: Counter) -> None:
    post = await desk.discord.post(ANN, FORUM, "Refund", "How long?", tags=[NEEDS_HUMAN])
    desk.discord.person(OLIVE, "olive")
    (answer,) = await desk.take(REFUNDS, FORUM, post.id)
    (turn_id,) = await desk.turn_ids()
    assert buttons_of(answer)[-1] == "solved"
    await desk.discord.press(OLIVE, answer, f"fd:solved:{turn_id}")
    assert "Only staff" in await desk.told()
    place = desk.discord.channels[post.id]
    assert place.applied == [ANSWERED]
    await desk.discord.press(ANN, answer, f"fd:solved:{turn_id}")
    await desk.discord.until(lambda: place.archived)
    assert (place.applied, place.locked) == ([SOLVED], False)


async def test_a_post_that_may_not_be_changed_says_what_is_missing(desk: Counter) -> None:
    post = await desk.discord.post(ANN, FORUM, "Refund", "How long?")
    (answer,) = await desk.take(REFUNDS, FORUM, post.id)
    await desk.discord.deny(FORUM, Can.MANAGE_THREADS)
    await desk.discord.press(ANN, answer, f"fd:solved:{(await desk.turn_ids())[0]}")
    assert "Manage Threads" in await desk.told(2)


async def test_an_answer_is_corrected_and_a_message_is_taught_by_staff_only(desk: Counter) -> None:
    (answer,) = await desk.take(PARCELS)
    (turn_id,) = await desk.turn_ids()
    await desk.discord.context(ANN, answer, "Correct this answer")
    assert "Only staff may do this" in await desk.told()
    opened = await desk.discord.context(BOB, answer, "Correct this answer")
    await desk.discord.until(lambda: opened.modal)
    values = {"answer": "A parcel takes 4 days.", "cause": ["wrong_text"]}
    await desk.discord.submit(BOB, f"fd-form:correct:{turn_id}", values)
    assert "waits for an admin" in await desk.told(2)
    human = await desk.discord.say(BOB, HELP, "Five days.")
    opened = await desk.discord.context(BOB, human, "Teach Frontdesk")
    await desk.discord.until(lambda: opened.modal)
    await desk.discord.submit(BOB, f"fd-form:teach:{turn_id}", {"question": "How long?"})
    await desk.told(3)
    await desk.discord.context(BOB, human, "Correct this answer")
    assert "this message is none" in await desk.told(4)
    pending = [one.draft for one in await SqlCorrectionStore(desk.graph.database).pending(10)]
    assert [(one.turn_id, one.question, one.answer, one.cause) for one in pending] == [
        (turn_id, PARCELS, "A parcel takes 4 days.", "wrong_text"),
        (turn_id, "How long?", "Five days.", "missing_faq"),
    ]


async def test_a_window_that_says_nothing_is_refused(desk: Counter) -> None:
    human = await desk.discord.say(BOB, HELP, "hello")
    opened = await desk.discord.context(BOB, human, "Teach Frontdesk")
    await desk.discord.until(lambda: opened.modal)
    await desk.discord.submit(BOB, "fd-form:teach:", {"question": "  "})
    assert "both a question and an answer" in await desk.told()


async def test_bad_input_36_every_button_and_window_works_when_the_process_is_another(
    server: DiscordPlatform, open_database: Callable[[str], Awaitable[Database]]
) -> None:
    database = await open_database("sqlite")
    async with counter(database, server) as desk:
        (answer,) = await desk.take(PARCELS)
        (turn_id,) = await desk.turn_ids()
        opened = await server.press(ANN, answer, f"fd:feedback_bad:{turn_id}")
        await server.until(lambda: opened.modal)
        remembered = desk.client._connection._view_store
        assert (len(remembered._views), len(remembered._modals)) == (0, 0)
    async with counter(database, server) as desk:
        await server.submit(ANN, f"fd-form:feedback:{turn_id}", {"reason": ["rude"]})
        assert "Thank you" in await desk.told()
        (opinion,) = await SqlFeedbackLog(database).of(turn_id)
        assert opinion.reason is FeedbackReason.RUDE
        await server.press(ANN, answer, f"fd:sources:{turn_id}")
        assert "How long does a parcel take?" in await desk.told(2)


async def test_tags_of_a_post_are_kept_in_step_and_those_of_others_stay(desk: Counter) -> None:
    desk.discord.channels[FORUM].tags.append({"id": "77", "name": "billing", "moderated": False, "emoji_id": None, "emoji_name": None})
    await desk.discord.change(FORUM)
    post = await desk.discord.post(ANN, FORUM, "Refund", "How long?", tags=[77])
    await desk.take(REFUNDS, FORUM, post.id)
    assert desk.discord.channels[post.id].applied == [77, ANSWERED]
    await desk.take("a person, please", FORUM, post.id)
    await desk.discord.until(lambda: desk.discord.channels[post.id].applied == [77, NEEDS_HUMAN])


async def test_buttons_work_in_a_direct_conversation(desk: Counter) -> None:
    (answer,) = await desk.take(PARCELS, desk.discord.direct_with(ANN).id)
    await desk.discord.press(ANN, answer, f"fd:sources:{(await desk.turn_ids())[0]}")
    assert "How long does a parcel take?" in await desk.told()


async def test_bad_input_39_a_window_that_comes_too_late_is_said_to_be_late(desk: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    (answer,) = await desk.take(PARCELS)
    (turn_id,) = await desk.turn_ids()
    monkeypatch.setattr(buttons, "WINDOW_SECONDS", 0.2)
    async with desk.graph.database.write():  # somebody else writes, and feedback waits
        await desk.discord.press(ANN, answer, f"fd:feedback_bad:{turn_id}")
        assert "took too long" in await desk.told()


@pytest.mark.parametrize("text", ["", "x" * 20_000, "😀" * 5000, "\ud800\x00"])
async def test_windows_are_within_the_limits_of_discord_whatever_they_show(text: str) -> None:
    for form in (forms.feedback(), forms.correction(text, text), forms.lesson(text, text), forms.edited_draft(text)):
        made = modal_of(form, "t" * 64).to_dict()
        assert len(made["title"]) <= 45 and len(made["custom_id"]) <= 100 and len(made["components"]) <= 5
        for label in made["components"]:
            inner = label["component"]
            assert len(label["label"]) <= 45 and len(label.get("description") or "") <= 100
            assert size(inner.get("value") or "") <= inner.get("max_length", 4000) <= 4000


async def test_bad_input_36_the_last_opinion_of_each_person_counts_until_the_button_expires(desk: Counter) -> None:
    (answer,) = await desk.take(PARCELS)
    (turn_id,) = await desk.turn_ids()
    for count, (user, act) in enumerate([(ANN, "good"), (ANN, "good"), (BOB, "good")], 1):
        await desk.discord.press(user, answer, f"fd:feedback_{act}:{turn_id}")
        await desk.told(count)
    opened = await desk.discord.press(ANN, answer, f"fd:feedback_bad:{turn_id}")
    await desk.discord.until(lambda: opened.modal)
    opinions = {one.actor_id: one.helpful for one in await SqlFeedbackLog(desk.graph.database).of(turn_id)}
    assert opinions == {str(ANN): False, str(BOB): True}
    async with desk.graph.database.write() as connection:
        await connection.execute(turns.update().values(asked_at=utc_now() - timedelta(days=31)))
    await desk.discord.press(ANN, answer, f"fd:feedback_good:{turn_id}")
    assert "expired" in await desk.told(4)


@pytest.mark.parametrize("first_seconds", [30.0, -1.0])
async def test_bad_input_38_what_is_acknowledged_too_late_is_done_once_all_the_same(desk: Counter, first_seconds: float) -> None:
    (answer,) = await desk.take(PARCELS)
    desk.discord.first_seconds = first_seconds
    pressed = [await desk.discord.press(ANN, answer, f"fd:person:{(await desk.turn_ids())[0]}") for _ in range(2)]
    await desk.discord.until(lambda: desk.discord.by_bot(STAFF_ROOM))
    await desk.quiet()
    assert len(desk.discord.by_bot(STAFF_ROOM)) == 1
    assert [one.response is None for one in pressed] == [first_seconds < 0] * 2
