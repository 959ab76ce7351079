"""Bad inputs 36 to 40: buttons, windows and commands, pressed late, by others, or forged; more are in `test_buttons` and `test_slash`.

No command of admins exists outside the operator's own server, so none comes from a stranger's.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from bot.discord import windows
from core.domain import Actor, Address, Decision, InboundMessage, Reason, notice, utc_now
from core.storage.feedback import SqlFeedbackLog
from core.storage.staff_tables import channels
from core.storage.tables import turns
from tests.bot.discord.desk import Counter
from tests.bot.discord.office import PARCELS
from tests.servers.discord_state import ANN, BOB, GUILD, HELP, STAFF, Message


async def answered(desk: Counter) -> tuple[Message, str]:
    """An answer with its buttons, and its turn."""
    (answer,) = await desk.take(PARCELS)
    (turn_id,) = await desk.turn_ids()
    return answer, turn_id


async def press(desk: Counter, user: int, answer: Message, custom_id: str) -> None:
    """Somebody presses a button that they have put there themselves."""
    answer.components[0]["components"][0]["custom_id"] = custom_id
    await desk.discord.press(user, answer, custom_id)


async def test_bad_input_36_a_window_that_was_open_for_a_month_is_not_kept(desk: Counter) -> None:
    answer, turn_id = await answered(desk)
    opened = await desk.discord.press(ANN, answer, f"fd:feedback_bad:{turn_id}")
    await desk.discord.until(lambda: opened.modal)
    async with desk.graph.database.write() as connection:
        await connection.execute(update(turns).values(asked_at=utc_now() - timedelta(days=31)))
    await desk.discord.submit(ANN, f"fd-form:feedback:{turn_id}", {"reason": ["wrong"], "note": "late"})
    assert "older than I remember" in await desk.told()
    assert [one.comment for one in await SqlFeedbackLog(desk.graph.database).of(turn_id)] == [""]


@pytest.mark.parametrize(
    "there",
    [("discord", str(GUILD + 1), str(HELP)), ("discord", str(GUILD), "7"), ("discord", "dm", str(HELP)), ("slack", str(GUILD), str(HELP))],
)
async def test_bad_input_37_a_button_of_another_conversation_shows_and_changes_nothing(desk: Counter, there: tuple[str, str, str]) -> None:
    answer, _ = await answered(desk)
    theirs = InboundMessage("m1", Address(*there, "1"), Actor("7"), "our secret question")
    turn_id = await desk.graph.conversation_log.append(theirs, notice(Decision.DIRECT, Reason.CONFIDENT, "our secret answer"))
    acts = ("feedback_good", "person", "sources", "feedback_bad")
    for count, act in enumerate(acts, 1):
        await press(desk, BOB, answer, f"fd:{act}:{turn_id}")
        assert "does not belong" in await desk.told(count)
    assert [result for _, _, result in await desk.audited()] == ["forged"] * len(acts)
    assert await SqlFeedbackLog(desk.graph.database).of(turn_id) == ()
    assert desk.discord.modals == []
    assert "secret" not in str([one.content for one in [*desk.discord.ephemerals, *desk.discord.by_bot()]])


async def test_bad_input_38_a_window_that_discord_does_not_wait_for_costs_no_opinion_and_no_storm(desk: Counter) -> None:
    answer, turn_id = await answered(desk)
    desk.discord.first_seconds = -1.0
    before = len(desk.discord.calls)
    await desk.discord.press(ANN, answer, f"fd:feedback_bad:{turn_id}")
    await desk.discord.until(lambda: len(desk.discord.of("respond")) == 2)  # the window, and an apology; both come too late
    desk.discord.first_seconds = 30.0
    await desk.discord.press(BOB, answer, f"fd:feedback_good:{turn_id}")
    await desk.told()
    opinions = {one.actor_id: one.helpful for one in await SqlFeedbackLog(desk.graph.database).of(turn_id)}
    assert opinions == {str(ANN): False, str(BOB): True}
    assert len(desk.discord.calls) - before <= 4


async def test_bad_input_39_a_window_of_the_menu_that_comes_too_late_is_said_to_be_late(
    desk: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, _ = await answered(desk)
    monkeypatch.setattr(windows, "WINDOW_SECONDS", 0.2)
    async with desk.graph.database.write():  # somebody else writes, and the record of it waits
        await desk.discord.context(ANN, answer, "Correct this answer")
        assert "took too long" in await desk.told()
    assert desk.discord.modals == []


@pytest.mark.parametrize("who", ["customer", "guest", "pending"])
async def test_bad_input_40_admin_commands_of_others_are_denied_and_audited(desk: Counter, who: str) -> None:
    commands = {"mute": {}, "unmute": {}, "channel": {"mode": "off"}, "status": {}, "reload": {}, "rollback": {}, "knowledge": {}}
    commands |= {"promote": {"version": "b@2"}, "canary": {"share": "10%", "version": "b@2"}}
    if who != "customer":  # they have the role of admins, and are denied for what they are all the same
        desk.discord.guilds[GUILD].members[ANN] = [STAFF]
        desk.discord.people[ANN].is_guest, desk.discord.people[ANN].is_pending = who == "guest", who == "pending"
        commands = {"mute": {}, "status": {}}
    for count, (name, options) in enumerate(commands.items(), 1):
        await desk.discord.command(ANN, HELP, f"support-admin {name}", options)
        assert "Only admins" in await desk.told(count) or who != "customer"
    assert [(actor, result) for actor, _, result in await desk.audited()] == [(f"discord:{GUILD}:{ANN}", "denied")] * len(commands)
    async with desk.graph.database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(channels))).scalar_one() == 0


async def test_bad_input_40_an_admin_may_and_is_audited_before_and_after(desk: Counter) -> None:
    await desk.discord.command(BOB, HELP, "support-admin mute")
    await desk.told()
    assert [entry[1:] for entry in await desk.audited()] == [("channel.mute", "started"), ("channel.mute", "done")]


async def test_bad_input_40_windows_of_staff_are_denied_to_others_and_audited(desk: Counter) -> None:
    answer, turn_id = await answered(desk)
    for count, name in enumerate(("Correct this answer", "Teach Frontdesk"), 1):
        await desk.discord.context(ANN, answer, name)
        assert "Only staff may do this" in await desk.told(count)
    await press(desk, ANN, answer, f"fd:draft_edit:{turn_id}")
    assert "Only staff may do this" in await desk.told(3)
    assert desk.discord.modals == []
    assert [entry[1:] for entry in await desk.audited()] == [
        ("shortcut.correct", "denied"), ("shortcut.teach", "denied"), ("button.draft_edit", "denied")
    ]  # fmt: skip
