"""Where the bot speaks: each mode as an admin sets it, silence, drafts, and private answers."""

from __future__ import annotations

import pytest

from tests.bot.slack.conftest import OpenOffice
from tests.bot.slack.office import ANN, BOB, BOT, DIRECT, HELP, STAFF_ROOM, Office, said
from tests.servers.slack_state import Message

REFUNDS, PARCELS = "how long does a refund take?", "how long does a parcel take?"


async def admin(desk: Office, text: str) -> str:
    answer = await desk.slack.command(BOB, HELP, "/support-admin", text)
    return str(answer.json()["text"])


async def say(desk: Office, text: str, thread: str | None = None, user: str = ANN) -> str:
    """Write, and wait for what comes of it; the thread."""
    root = await desk.slack.say(user, HELP, text, thread_ts=thread)
    assert all(answer.accepted for answer in root.answers)
    await desk.quiet()
    return thread or root


async def count(desk: Office, *messages: str) -> list[int]:
    """How many answers each message gets: a mention, somebody's follow-up, another's, a sure and an unsure question of nobody."""
    root = await say(desk, f"<@{BOT}> {REFUNDS}")
    counts = [len(desk.texts(HELP, root))]
    for user in (ANN, BOB):
        await say(desk, REFUNDS, root, user)
        counts.append(len(desk.texts(HELP, root)) - sum(counts))
    for text in (REFUNDS, PARCELS):
        counts.append(len(desk.texts(HELP, await say(desk, text))))
    return counts


@pytest.mark.parametrize(
    ("mode", "answers"),
    [("off", [0, 0, 0, 0, 0]), ("mention", [1, 0, 0, 0, 0]), ("thread", [1, 1, 0, 0, 0]), ("confident", [1, 1, 0, 1, 0])],
)
async def test_the_bot_speaks_where_an_admin_lets_it(open_office: OpenOffice, mode: str, answers: list[int]) -> None:
    desk = await open_office(admins=BOB)
    assert f"is now {mode}" in await admin(desk, f"channel {mode}")
    assert await count(desk) == answers
    direct = await desk.slack.say(ANN, DIRECT, REFUNDS)
    await desk.quiet()
    assert len(desk.texts(DIRECT, direct)) == 1  # whatever a channel is set to


async def test_a_muted_channel_is_silent_until_it_is_given_back_as_it_was(open_office: OpenOffice) -> None:
    desk = await open_office(admins=BOB)
    await admin(desk, "channel confident")
    await admin(desk, "mute")
    assert await count(desk) == [0, 0, 0, 0, 0]
    await admin(desk, "unmute")
    assert len(desk.texts(HELP, await say(desk, REFUNDS))) == 1  # confident again


async def test_a_mode_that_does_not_exist_changes_nothing_and_names_those_that_do(open_office: OpenOffice) -> None:
    desk = await open_office(admins=BOB)
    assert "confident, draft" in await admin(desk, "channel loud")
    assert "/support-admin status" in await admin(desk, "make me 'a sandwich")
    assert len(desk.texts(HELP, await say(desk, f"<@{BOT}> {REFUNDS}"))) == 1


async def drafted(desk: Office, text: str = f"<@{BOT}> {PARCELS}") -> tuple[str, Message]:
    """A thread, and the draft for it that staff see."""
    await admin(desk, "channel draft")
    root = await say(desk, text)
    assert desk.texts(HELP, root) == []
    assert desk.slack.statuses == {}
    return root, desk.slack.by_bot(STAFF_ROOM)[-1]


@pytest.fixture
async def desk(open_office: OpenOffice) -> Office:
    return await open_office(admins=BOB, staff=BOB, staff_channel=STAFF_ROOM)


async def test_a_draft_that_is_sent_is_sent_once(desk: Office) -> None:
    root, draft = await drafted(desk)
    assert "A parcel takes 3 days." in said(draft)
    assert PARCELS in said(draft)
    for _ in range(2):
        await desk.slack.press(BOB, STAFF_ROOM, draft.ts, "draft_send")
    await desk.slack.press(BOB, STAFF_ROOM, draft.ts, "draft_discard")
    await desk.quiet()
    (answer,) = desk.texts(HELP, root)
    assert "A parcel takes 3 days." in answer
    assert [message.text for message in desk.slack.ephemerals][-3:] == [
        "Sent to the customer.",
        "Somebody decided about this draft before.",
        "Somebody decided about this draft before.",
    ]
    results = [(action, result) for _, action, result in await desk.audited() if action.startswith("button.")]
    assert results == [("button.draft_send", "done"), ("button.draft_send", "too_late"), ("button.draft_discard", "too_late")]


async def test_a_draft_that_is_changed_goes_out_in_the_words_of_staff(desk: Office) -> None:
    root, draft = await drafted(desk)
    await desk.slack.press(BOB, STAFF_ROOM, draft.ts, "draft_edit")
    (window,) = desk.slack.views.values()
    await desk.slack.submit(BOB, window.id, {"text": "Four days, <!channel>, see https://evil.example"})
    await desk.quiet()
    (answer,) = desk.texts(HELP, root)
    assert answer.startswith("Four days, &lt;!channel&gt;")
    assert not window.open
    await desk.slack.submit(BOB, window.id, {"text": "Five days."})
    assert "decided about this draft before" in window.errors["text"]
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 1


async def test_a_draft_that_is_discarded_is_never_sent(desk: Office) -> None:
    root, draft = await drafted(desk)
    await desk.slack.press(BOB, STAFF_ROOM, draft.ts, "draft_discard")
    await desk.slack.press(BOB, STAFF_ROOM, draft.ts, "draft_send")
    await desk.quiet()
    assert desk.texts(HELP, root) == []


async def test_a_draft_is_no_business_of_others(desk: Office) -> None:
    root, draft = await drafted(desk)
    desk.slack.channels[STAFF_ROOM].members.add(ANN)
    for action in ("draft_send", "draft_edit", "draft_discard", "hand_back"):
        forged = next(block for block in draft.blocks if block["type"] == "actions")["elements"][0] | {"action_id": action}
        payload = desk.slack.interaction("block_actions", ANN, actions=[forged | {"block_id": "b"}], **desk.slack.on_message(draft))
        payload |= {"trigger_id": desk.slack.new_trigger(ANN), "response_url": desk.slack.new_hook(ANN, STAFF_ROOM, draft)}
        assert (await desk.slack.interact(payload)).accepted
    await desk.quiet()
    assert desk.texts(HELP, root) == []
    assert desk.slack.views == {}
    assert [result for _, action, result in await desk.audited() if action.startswith("button.")] == ["denied"] * 4
    await desk.slack.press(BOB, STAFF_ROOM, draft.ts, "draft_send")
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 1  # nobody had decided


async def test_in_draft_mode_an_unasked_question_is_drafted_when_there_is_an_answer(desk: Office) -> None:
    await drafted(desk, PARCELS)
    await say(desk, "what is the weather like?")
    assert len(desk.slack.by_bot(STAFF_ROOM)) == 1


async def test_a_private_answer_is_seen_by_one_and_shared_with_all(desk: Office) -> None:
    asked = await desk.slack.command(ANN, HELP, "/support", REFUNDS)
    assert asked.json()["response_type"] == "ephemeral"
    await desk.quiet()
    assert desk.slack.by_bot() == []
    answer = desk.slack.ephemerals[-1]
    assert answer.ephemeral_for == ANN
    assert "Refunds take 14 days." in said(answer)
    await desk.slack.press(ANN, HELP, answer.ts, "share")
    (shared,) = desk.slack.by_bot(HELP)
    assert REFUNDS in said(shared)
    assert "Refunds take 14 days." in said(shared)
    assert answer not in desk.slack.ephemerals
    assert "share" not in str(shared.blocks[-1]["elements"])
    assert (shared.arguments["unfurl_links"], shared.arguments["parse"]) == (False, "none")
    await desk.slack.press(BOB, HELP, shared.ts, "feedback_good")
    assert desk.slack.ephemerals[-1].text.startswith("Thank you")


async def test_a_private_answer_of_another_cannot_be_shared(desk: Office) -> None:
    await desk.slack.command(ANN, HELP, "/support", REFUNDS)
    await desk.quiet()
    await desk.slack.press(BOB, HELP, desk.slack.ephemerals[-1].ts, "share")
    await desk.quiet()
    assert desk.slack.by_bot() == []


async def test_a_command_without_a_question_says_how_to_ask(desk: Office) -> None:
    for text in ("", "  ", "help"):
        assert "/support QUESTION" in (await desk.slack.command(ANN, HELP, "/support", text)).json()["text"]
    assert await desk.turns() == []
