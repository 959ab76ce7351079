"""`frontdesk doctor` on the local Discord: what is wrong is named with what stops working and where to click; no token is ever shown."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from typing import Any

import pytest
from click.testing import CliRunner

from bot.check import Check
from bot.cli import cli
from bot.commands import doctor
from bot.discord.checkup import MOST_SURVEYED, clock_check, examine, gateway_check, permissions_check
from bot.discord.permissions import Survey
from bot.setting_groups import Discord as Asked
from bot.settings import Settings
from tests.bot.discord.office import STAFF_ROOM, staff_room
from tests.servers.discord import DiscordPlatform, pointed_at
from tests.servers.discord_state import ANN, BOT, BOT_ROLE, FORUM, GUILD, HELP, OLIVE, STAFF, TEXT, Can, Channel

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.Gx8jQ2.never-to-be-shown"
NAMES = [
    "discord token", "discord message content", "discord commands", "discord gateway", "discord servers", "discord permissions",
    "discord staff channel", "discord staff", "discord clock",
]  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[DiscordPlatform]:
    async with DiscordPlatform(token=TOKEN) as started:
        staff_room(started)
        with pointed_at(started):
            yield started


def asked(**more: Any) -> Asked:
    given = {"bot_token": TOKEN, "message_content": True, "staff_channel": str(STAFF_ROOM), "staff_role": str(STAFF)}
    return Asked(**(given | {"admins": str(OLIVE), "home_guild": str(GUILD)} | more))


async def found(settings: Asked, clock: Callable[[], float] = time.time) -> dict[str, Check]:
    checks = await examine(settings, clock)
    assert len({check.name for check in checks}) == len(checks)
    assert "never-to-be-shown" not in " ".join(check.detail for check in checks)
    assert all(check.detail.isprintable() for check in checks)
    return {check.name: check for check in checks}


async def one(name: str, **more: Any) -> Check:
    return (await found(asked(**more)))[f"discord {name}"]


async def test_a_good_set_up_is_fine_in_every_point(server: DiscordPlatform) -> None:
    checks = await found(asked())
    assert list(checks) == NAMES
    assert all(check.ok and not check.warns for check in checks.values()), checks
    assert "@frontdesk" in checks["discord token"].detail
    assert "the bot is in 1: Shop" in checks["discord servers"].detail
    assert "#staff of Shop" in checks["discord staff channel"].detail
    assert "Shop: 3 of 3 channels are seen" in checks["discord permissions"].detail
    assert server.identifies == []  # it takes none of the day's sessions
    assert {call.outcome for call in server.calls} == {200}


async def test_without_discord_nothing_of_discord_is_checked_and_settings_without_a_token_are_told() -> None:
    assert await examine(Asked()) == []
    (check,) = await examine(asked(bot_token=""))
    assert (check.name, check.ok, "DISCORD_BOT_TOKEN" in check.detail) == ("discord token", False, True)


@pytest.mark.parametrize("token", ["MTIz.Gx8jQ2.another", "two words", "a\nb", "tokén"])
async def test_a_wrong_token_is_the_one_finding(server: DiscordPlatform, token: str) -> None:
    checks = await found(asked(bot_token=token))
    assert list(checks) == ["discord token"]
    assert not checks["discord token"].ok
    assert "Bot > Reset Token" in checks["discord token"].detail
    assert token not in checks["discord token"].detail


async def test_a_token_with_a_line_end_is_the_token(server: DiscordPlatform) -> None:
    assert (await one("token", bot_token=f" {TOKEN}\n")).ok


async def test_discord_out_of_reach_is_one_finding_not_nine_that_each_wait(server: DiscordPlatform) -> None:
    server.fail("*", kind="reset_before", times=99)
    assert list(await found(asked())) == ["discord"]
    with pointed_at("http://127.0.0.1:1"):
        check = (await found(asked()))["discord"]
    assert (check.ok, "must reach https://discord.com" in check.detail) == (False, True)


async def test_a_connection_that_breaks_later_leaves_what_was_found_before(server: DiscordPlatform) -> None:
    server.fail("gateway_bot", kind="reset_before", times=9)
    checks = await found(asked())
    assert list(checks) == [*NAMES[:3], "discord"]
    assert not checks["discord"].ok


@pytest.mark.parametrize(
    ("granted", "more", "ok", "warns", "told"),
    [
        (True, {}, True, False, "is granted"),
        (False, {}, False, False, "Privileged Gateway Intents > Message Content Intent"),
        (False, {"message_content": False}, True, False, "mentions, direct messages and replies"),
        (False, {"message_content": False, "mode": "confident"}, True, True, "Message Content Intent"),
        (True, {"message_content": False, "mode": "draft"}, True, True, "Set it to true"),
    ],
)
async def test_the_intent_is_needed_where_the_settings_ask_for_it(
    server: DiscordPlatform, granted: bool, more: dict[str, Any], ok: bool, warns: bool, told: str
) -> None:
    server.privileged_content = granted
    check = await one("message content", **more)
    assert (check.ok, check.warns, told in check.detail) == (ok, warns, True), check


async def test_commands_that_are_sent_elsewhere_are_told(server: DiscordPlatform) -> None:
    server.interactions_url = "https://elsewhere.example/"
    check = await one("commands")
    assert (check.ok, "Interactions Endpoint URL" in check.detail, "elsewhere" in check.detail) == (False, True, False)


@pytest.mark.parametrize(("used", "ok", "warns"), [(0, True, False), (799, True, False), (800, True, True), (1000, False, False)])
async def test_sessions_that_run_out_are_told_before_there_are_none(server: DiscordPlatform, used: int, ok: bool, warns: bool) -> None:
    server.identifies.extend({} for _ in range(used))
    check = await one("gateway")
    assert (check.ok, check.warns, f"{1000 - used} of 1000" in check.detail) == (ok, warns, True)


def test_every_shard_needs_a_session() -> None:
    told = {"shards": 4, "session_start_limit": {"total": 1000, "remaining": 3, "reset_after": 7_200_000}}
    check = gateway_check(told)
    assert (check.ok, "new ones in 2.0 h" in check.detail) == (False, True)


async def test_a_bot_that_is_nowhere_or_not_at_home_needs_an_invitation(server: DiscordPlatform) -> None:
    check = await one("servers", home_guild=str(GUILD + 5000))
    assert (check.ok, "frontdesk discord invite" in check.detail, "discord.home_guild" in check.detail) == (False, True, True)
    await server.leave(GUILD)
    checks = await found(asked())
    assert (checks["discord servers"].ok, "in none" in checks["discord servers"].detail) == (False, True)
    assert list(checks) == NAMES
    assert not checks["discord staff channel"].ok


async def test_names_of_servers_are_shown_as_text(server: DiscordPlatform) -> None:
    server.guilds[GUILD].name = "\x1b[31mShop\x07"
    assert "the bot is in 1: Shop" in (await one("servers")).detail


async def test_a_channel_in_which_the_bot_cannot_answer_is_named_with_the_click(server: DiscordPlatform) -> None:
    await server.deny(HELP, Can.SEND_MESSAGES)
    check = await one("permissions")
    assert not check.ok
    assert "without Send Messages nothing is answered: #help" in check.detail
    assert "Edit Channel > Permissions > + > Frontdesk > Send Messages" in check.detail
    assert "#questions" not in check.detail


async def test_what_the_bots_role_lacks_is_told_as_a_matter_of_roles(server: DiscordPlatform) -> None:
    for role in (GUILD, BOT_ROLE):
        server.guilds[GUILD].roles[role].permissions &= ~Can.SEND_MESSAGES_IN_THREADS
    check = await one("permissions")
    assert (check.ok, "#help, #questions" in check.detail) == (False, True)
    assert "Server Settings > Roles > Frontdesk > Permissions > Send Messages in Threads" in check.detail


async def test_threads_that_cannot_be_made_and_tags_that_cannot_be_set_are_worth_a_look(server: DiscordPlatform) -> None:
    await server.deny(HELP, Can.CREATE_PUBLIC_THREADS)
    await server.deny(FORUM, Can.MANAGE_THREADS)
    check = await one("permissions")
    assert (check.ok, check.warns) == (True, True)
    assert "answers stand in the channel, not in a thread: #help" in check.detail
    assert "posts get no tags: #questions" in check.detail
    check = await one("permissions", answered_tag="other", needs_human_tag="other", solved_tag="other")
    assert "tags" not in check.detail


async def test_a_channel_for_announcements_is_no_fault(server: DiscordPlatform) -> None:
    await server.change(HELP, denied={GUILD: int(Can.SEND_MESSAGES)})
    check = await one("permissions")
    assert (check.ok, check.warns, "closed to @everyone and the bot alike: #help" in check.detail) == (True, False, True)


async def test_ones_own_server_is_looked_at_first_and_only_so_many_are(server: DiscordPlatform) -> None:
    for number in range(MOST_SURVEYED):
        await server.join(1000 + 10 * number, f"Other {number}")
    check = await one("permissions")
    assert ["Shop: 3 of 3" in check.detail, "1 more servers were not looked at" in check.detail] == [True, True]
    assert len(server.of("get_channels")) == MOST_SURVEYED
    assert "and 6 more" in (await one("servers")).detail


def test_what_is_broken_comes_first_and_alone_decides() -> None:
    check = permissions_check([Survey((), ("weak",), ("a",)), Survey(("broken",), (), ("b",))], 2)
    assert check == Check("discord permissions", False, "broken; weak; 2 more servers were not looked at")


@pytest.mark.parametrize(
    ("denied", "told"),
    [
        ([Can.VIEW_CHANNEL], "no such channel"),
        ([Can.SEND_MESSAGES], "lacks Send Messages in #staff"),
        ([Can.READ_MESSAGE_HISTORY], "lacks Read Message History in #staff"),
    ],
)
async def test_a_staff_channel_that_the_bot_cannot_write_to_is_told(server: DiscordPlatform, denied: list[Can], told: str) -> None:
    await server.deny(STAFF_ROOM, *denied)
    checks = await found(asked())
    check = checks["discord staff channel"]
    assert (check.ok, told in check.detail, "Edit Channel > Permissions" in check.detail) == (False, True, True), check
    assert checks["discord permissions"].ok  # it is told once


async def test_a_staff_channel_that_is_none_is_told(server: DiscordPlatform) -> None:
    assert "Copy Channel ID" in (await one("staff channel", staff_channel="123456789012345678")).detail
    for wrong in (FORUM, server.direct_with(ANN).id):
        check = await one("staff channel", staff_channel=str(wrong))
        assert (check.ok, "takes no messages" in check.detail) == (False, True)


async def test_a_staff_channel_in_another_server_is_told_for_nobody_there_is_staff(server: DiscordPlatform) -> None:
    other = await server.join(GUILD + 5000)
    elsewhere = str(other.id + 1)
    check = await one("staff channel", staff_channel=elsewhere)
    assert (check.ok, "not in discord.home_guild" in check.detail) == (False, True)
    assert (await one("staff channel", staff_channel=elsewhere, home_guild="")).ok


async def test_a_thread_may_be_the_staff_channel(server: DiscordPlatform) -> None:
    begun = await server.say(OLIVE, STAFF_ROOM, "alerts go here")
    thread = str((await server.start_thread(OLIVE, begun.id, "alerts")).id)
    assert (await one("staff channel", staff_channel=thread)).ok
    await server.deny(STAFF_ROOM, Can.SEND_MESSAGES_IN_THREADS)
    assert "Send Messages in Threads" in (await one("staff channel", staff_channel=thread)).detail


@pytest.mark.parametrize(("mode", "ok"), [("thread", True), ("draft", False)])
async def test_drafts_need_a_staff_channel_and_the_rest_only_misses_it(server: DiscordPlatform, mode: str, ok: bool) -> None:
    check = await one("staff channel", staff_channel="", mode=mode)
    assert (check.ok, check.warns, "discord.staff_channel" in check.detail) == (ok, True, True)


@pytest.mark.parametrize("lost", [str(BOT_ROLE + 7000), str(GUILD)])
async def test_a_role_of_staff_that_is_none_is_told(server: DiscordPlatform, lost: str) -> None:
    for setting in ("staff_role", "admin_role"):
        for more in ({}, {"home_guild": ""}):
            check = await one("staff", **{setting: f"{STAFF}, {lost}", **more})
            assert (check.ok, f"no such roles in Shop: {lost}." in check.detail) == (False, True), check
            assert "Server Settings > Roles" in check.detail


@pytest.mark.parametrize(
    ("more", "ok", "warns", "told"),
    [
        ({"staff_role": "", "admins": ""}, True, True, "nobody is named"),
        ({"staff": "bob"}, False, False, "no ids of Discord: bob"),
        ({"staff_role": "@Staff"}, False, False, "no ids of Discord: @Staff"),
        ({"home_guild": ""}, True, True, "/support-admin is there in your own server only"),
        ({"home_guild": str(GUILD + 5000)}, False, False, "no such roles in discord.home_guild"),
    ],
)
async def test_staff_that_are_nobody_are_told(server: DiscordPlatform, more: dict[str, Any], ok: bool, warns: bool, told: str) -> None:
    check = await one("staff", **more)
    assert (check.ok, check.warns, told in check.detail) == (ok, warns, True), check


@pytest.mark.parametrize(
    ("host", "ok", "warns", "told"),
    [
        (1000.0, True, False, "within 2 s"),
        (1002.9, True, False, "within 2 s"),  # the header has whole seconds
        (1013.0, True, True, "12 s ahead"),
        (988.0, True, True, "12 s behind"),
        (2900.0, False, False, "1899 s ahead"),
        (-900.0, True, True, "1900 s behind"),
    ],
)
def test_a_clock_that_is_off_is_told(host: float, ok: bool, warns: bool, told: str) -> None:
    check = clock_check(formatdate(1000, usegmt=True), host, host)
    assert (check.ok, check.warns, told in check.detail) == (ok, warns, True), check


async def test_the_clock_is_compared_with_what_discord_answers_and_the_token_is_not_sent_for_it(server: DiscordPlatform) -> None:
    checks = await found(asked(), lambda: time.time() + 7200)
    assert (checks["discord clock"].ok, "ahead" in checks["discord clock"].detail) == (False, True)
    assert clock_check("", 0, 0).warns
    server.fail("gateway", kind="reset_before", times=9)
    assert (await one("clock")).warns


def test_doctor_shows_what_it_found_of_discord_and_fails_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_DATABASE_URL", "postgresql://user:pass@127.0.0.1:1/none")  # the rest of doctor is checked elsewhere
    monkeypatch.setenv("DISCORD_BOT_TOKEN", TOKEN)
    with pointed_at("http://127.0.0.1:1"):
        done = CliRunner().invoke(cli, ["doctor", "--json"], catch_exceptions=False)
        shown = CliRunner().invoke(cli, ["doctor"], catch_exceptions=False).output
    document = json.loads(done.stdout)
    (check,) = (check for check in document["checks"] if check["name"] == "discord")
    assert (done.exit_code, document["ok"], check["ok"], check["warns"]) == (1, False, False, False)
    assert "must reach" in shown
    assert "never-to-be-shown" not in done.output + shown


async def test_doctor_has_the_findings_of_discord_even_when_its_database_fails(
    server: DiscordPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRONTDESK_DATABASE_URL", "postgresql://user:pass@127.0.0.1:1/none")
    checks = await doctor._checks(Settings(discord=asked()))
    assert [check.name for check in checks if not check.ok] == ["database"]
    assert [check.name for check in checks if check.name in NAMES] == NAMES


async def test_a_channel_of_a_kind_that_is_not_known_is_passed_over(server: DiscordPlatform) -> None:
    server.channels[HELP + 9000] = Channel(HELP + 9000, 99, "new", GUILD)
    server.channels[HELP + 9001] = Channel(HELP + 9001, TEXT, "more", GUILD, denied={BOT: int(Can.SEND_MESSAGES)})
    check = await one("permissions")
    assert ["#more" in check.detail, "#new" in check.detail] == [True, False]
