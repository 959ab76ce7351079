"""Bad inputs 36 to 40: buttons, windows and commands, pressed twice, late, by others, or forged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from core.domain import Actor, Address, Decision, InboundMessage, Reason, notice, utc_now
from core.feedback import Feedback
from core.storage.feedback import SqlFeedbackLog
from core.storage.staff_tables import channels
from core.storage.tables import inbox, turns
from tests.bot.slack.conftest import OpenOffice
from tests.bot.slack.office import ANN, BOB, BOT, HELP, Office
from tests.servers.slack_state import Message, User

REFUNDS = "how long does a refund take?"


async def answered(desk: Office) -> Message:
    """An answer with its buttons."""
    await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
    await desk.quiet()
    return desk.slack.by_bot(HELP)[-1]


async def opinions(desk: Office) -> list[Feedback]:
    (turn,) = await desk.turns()
    return list(await SqlFeedbackLog(desk.graph.database).of(turn["turn_id"]))


def told(desk: Office, user: str = ANN) -> list[str]:
    """What only one person saw."""
    return [message.text for message in desk.slack.ephemerals if message.ephemeral_for == user]


async def age(desk: Office, days: int) -> None:
    """Every turn was so long ago."""
    async with desk.graph.database.write() as connection:
        await connection.execute(update(turns).values(asked_at=utc_now() - timedelta(days=days)))


async def test_bad_input_36_the_last_opinion_of_each_person_counts(open_office: OpenOffice) -> None:
    desk = await open_office()
    answer = await answered(desk)
    for user, action in [
        (ANN, "feedback_good"),
        (ANN, "feedback_good"),
        (ANN, "feedback_bad"),
        (BOB, "feedback_bad"),
        (BOB, "feedback_good"),
    ]:
        assert (await desk.slack.press(user, HELP, answer.ts, action)).accepted
    assert [(one.actor_id, one.helpful) for one in await opinions(desk)] == [(ANN, False), (BOB, True)]
    window = next(view for view in desk.slack.views.values() if view.user == ANN)
    await desk.slack.submit(ANN, window.id, {"reason": "outdated", "note": "prices changed"})
    (mine,) = [one for one in await opinions(desk) if one.actor_id == ANN]
    assert (mine.helpful, mine.reason, mine.comment) == (False, "outdated", "prices changed")


async def test_bad_input_36_a_button_of_last_month_says_that_it_has_expired(open_office: OpenOffice) -> None:
    desk = await open_office()
    answer = await answered(desk)
    await age(desk, 31)
    for action in ("feedback_good", "feedback_bad", "person", "sources"):
        assert (await desk.slack.press(ANN, HELP, answer.ts, action)).accepted
    await desk.quiet()
    assert told(desk) == ["This button has expired. Please ask again."] * 4
    assert await opinions(desk) == []
    assert desk.slack.views == {}
    assert len(desk.slack.by_bot()) == 1


async def test_bad_input_36_a_window_that_was_open_for_a_month_is_not_kept(open_office: OpenOffice) -> None:
    desk = await open_office()
    answer = await answered(desk)
    await desk.slack.press(ANN, HELP, answer.ts, "feedback_bad")
    await age(desk, 31)
    await desk.slack.submit(ANN, next(iter(desk.slack.views)), {"reason": "wrong", "note": "late"})
    assert [one.comment for one in await opinions(desk)] == [""]


@pytest.mark.parametrize("there", [("slack", "T0OTHER", HELP), ("slack", "T0TEAM", "C0OTHER"), ("web", "T0TEAM", HELP)])
async def test_bad_input_37_a_button_of_another_conversation_is_refused_and_audited(
    open_office: OpenOffice, there: tuple[str, ...]
) -> None:
    desk = await open_office(staff=BOB)
    answer = await answered(desk)
    platform, workspace, channel = there
    theirs = InboundMessage("m1", Address(platform, workspace, channel, "1.2"), Actor("U0EVE"), "our secret question")
    turn_id = await desk.graph.conversation_log.append(theirs, notice(Decision.DIRECT, Reason.CONFIDENT, "our secret answer"))
    for action in ("feedback_good", "person", "sources"):
        assert (await desk.slack.press(ANN, HELP, answer.ts, action, turn_id)).accepted
    await desk.quiet()
    assert told(desk) == ["This button does not belong to this conversation."] * 3
    assert [(who, result) for who, _, result in await desk.audited()] == [("slack:T0TEAM:U0ANN", "forged")] * 3
    assert await SqlFeedbackLog(desk.graph.database).of(turn_id) == ()
    assert desk.slack.views == {}
    assert "secret" not in str([message.text for message in [*desk.slack.ephemerals, *desk.slack.by_bot()]])


async def test_bad_input_37_a_button_with_a_forged_turn_is_expired(open_office: OpenOffice) -> None:
    desk = await open_office()
    answer = await answered(desk)
    forged = ["", "no-such-turn", "x" * 2000, "'; drop table turns; --", "\0", "\ud800"]
    for value in forged:
        assert (await desk.slack.press(ANN, HELP, answer.ts, "person", value)).accepted
    assert told(desk) == ["This button has expired. Please ask again."] * len(forged)


WHYS = ["error:expired_trigger_id", "error:exchanged_trigger_id", "500_before", "reset_before", "html", "429"]


@pytest.mark.parametrize("why", WHYS)
async def test_bad_input_39_a_window_that_cannot_be_opened_asks_to_press_again(open_office: OpenOffice, why: str) -> None:
    desk = await open_office(staff=BOB)
    answer = await answered(desk)
    desk.slack.fail("views.open", times=2, kind=why, retry_after=0)
    assert (await desk.slack.press(ANN, HELP, answer.ts, "feedback_bad")).accepted
    assert told(desk) == ["That took too long for Slack to open a window. Please press again."]
    assert (await desk.slack.shortcut(BOB, HELP, answer.ts, "correct_answer")).accepted
    assert told(desk, BOB) == ["That took too long for Slack to open a window. Please try again."]
    assert desk.slack.count("views.open") == 2  # no storm
    assert (await desk.slack.press(ANN, HELP, answer.ts, "sources")).accepted
    assert len(desk.slack.views) == 1


async def test_bad_input_38_a_way_back_that_is_closed_harms_nobody(open_office: OpenOffice) -> None:
    desk = await open_office()
    answer = await answered(desk)
    at = {
        "container": {"type": "message", "message_ts": answer.ts, "channel_id": HELP, "is_ephemeral": False},
        "message": {"ts": answer.ts},
    }
    (turn,) = await desk.turns()
    press: dict[str, Any] = {"action_id": "feedback_good", "block_id": "b", "action_ts": "1.2", "type": "button", "value": turn["turn_id"]}
    payload = desk.slack.interaction("block_actions", ANN, actions=[press], channel={"id": HELP}, trigger_id="1.2.3", **at)
    gone = payload | {"response_url": f"{desk.slack.url}/response/gone"}
    assert (await desk.slack.interact(gone)).status == 200
    assert (await desk.slack.interact(payload)).status == 200  # no response_url at all
    assert [(one.actor_id, one.helpful) for one in await opinions(desk)] == [(ANN, True)]
    assert told(desk) == ["Thank you! Your feedback is kept with this answer."]


async def test_bad_input_38_a_wish_for_a_person_that_is_sent_twice_is_one_wish(open_office: OpenOffice) -> None:
    desk = await open_office()
    answer = await answered(desk)
    for _ in range(3):
        await desk.slack.press(ANN, HELP, answer.ts, "person")
    await desk.quiet()
    assert len(desk.slack.by_bot()) == 2
    async with desk.graph.database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(inbox))).scalar_one() == 2


OUTSIDERS = {
    "guest": User("U0OUT", "out", is_restricted=True),
    "guest of one channel": User("U0OUT", "out", is_ultra_restricted=True),
    "stranger": User("U0OUT", "out", team_id="T0OTHER", is_stranger=True),
    "bot": User("U0OUT", "out", is_bot=True),
    "not an admin": User("U0ANN", "ann"),
}


@pytest.mark.parametrize("who", OUTSIDERS.values(), ids=OUTSIDERS.keys())
async def test_bad_input_40_admin_commands_of_others_are_denied_and_audited(open_office: OpenOffice, who: User) -> None:
    desk = await open_office(admins="U0OUT,U0BOB", staff="U0OUT")  # on the list, and denied for what they are all the same
    desk.slack.users[who.id] = who
    desk.slack.channels[HELP].members.add(who.id)
    commands = [
        "mute",
        "unmute",
        "channel off",
        "status",
        "reload",
        "rollback",
        "promote b@2",
        "canary 10% b@2",
        "mute everywhere",
        "knowledge",
        "knowledge sample v1",
    ]
    for command in commands:
        answer = await desk.slack.command(who.id, HELP, "/support-admin", command)
        assert (answer.status, answer.json()["response_type"]) == (200, "ephemeral")
    entries = await desk.audited()
    assert [(actor.rpartition(":")[2], result) for actor, _, result in entries] == [(who.id, "denied")] * len(commands)
    async with desk.graph.database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(channels))).scalar_one() == 0


async def test_bad_input_40_an_admin_may_and_is_audited_before_and_after(open_office: OpenOffice) -> None:
    desk = await open_office(admins=BOB)
    await desk.slack.command(BOB, HELP, "/support-admin", "mute")
    assert [entry[1:] for entry in await desk.audited()] == [("channel.mute", "started"), ("channel.mute", "done")]


async def test_bad_input_40_nobody_is_an_admin_while_slack_does_not_say_who_they_are(open_office: OpenOffice) -> None:
    desk = await open_office(admins=BOB)
    desk.slack.fail("users.info", kind="500_before")
    answer = await desk.slack.command(BOB, HELP, "/support-admin", "mute")
    assert "did not say" in answer.json()["text"]
    assert [entry[1:] for entry in await desk.audited()] == [("channel.mute", "denied")]


async def test_bad_input_40_staff_buttons_and_windows_of_others_are_denied_and_audited(open_office: OpenOffice) -> None:
    desk = await open_office(staff=BOB)
    answer = await answered(desk)
    await desk.slack.shortcut(ANN, HELP, answer.ts, "correct_answer")
    await desk.slack.shortcut(ANN, HELP, answer.ts, "teach_frontdesk")
    assert desk.slack.views == {}
    assert [entry[1:] for entry in await desk.audited()] == [("shortcut.correct_answer", "denied"), ("shortcut.teach_frontdesk", "denied")]
    assert len(told(desk)) == 2
