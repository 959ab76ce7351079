"""`frontdesk doctor` on the local Slack: what is wrong is named with what stops working and where to click; no token is ever shown."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from typing import Any

import pytest
from click.testing import CliRunner

from bot.check import Check
from bot.cli import cli
from bot.commands import doctor
from bot.setting_groups import Slack as Asked
from bot.settings import Settings
from bot.slack.checkup import clock_check, examine
from bot.slack.manifest import scopes
from tests.servers.slack import SlackPlatform
from tests.servers.slack_state import Channel

STAFF_ROOM = "C0STAFF"
NAMES = ["slack token", "slack scopes", "slack transport", "slack staff channel", "slack staff", "slack clock"]


@pytest.fixture
async def slack() -> AsyncIterator[SlackPlatform]:
    async with SlackPlatform(scopes=",".join(scopes())) as server:
        server.channels[STAFF_ROOM] = Channel(STAFF_ROOM, "staff", members={"U0BOB", "U0BOT"})
        server.usergroups["S0STAFF"] = ["U0ANN", "U0BOB"]
        yield server


def asked(server: SlackPlatform, **more: Any) -> Asked:
    given = {"bot_token": server.bot_token, "app_token": server.app_token, "api_url": f"{server.url}/api/"}
    return Asked(**(given | {"staff_channel": STAFF_ROOM, "staff_group": "S0STAFF", "admins": "U0BOB"} | more))


async def found(settings: Asked, clock: Callable[[], float] | None = None) -> dict[str, Check]:
    checks = await (examine(settings, clock) if clock else examine(settings))
    assert len({check.name for check in checks}) == len(checks)
    told = " ".join(check.detail for check in checks)
    for secret in (settings.bot_token, settings.app_token, settings.signing_secret):
        assert not secret or secret not in told
    return {check.name: check for check in checks}


async def test_a_good_set_up_is_fine_in_every_point(slack: SlackPlatform) -> None:
    checks = await found(asked(slack))
    assert list(checks) == NAMES
    assert all(check.ok and not check.warns for check in checks.values()), checks
    assert "#staff" in checks["slack staff channel"].detail
    assert "2 members" in checks["slack staff"].detail
    assert slack.links == []  # it takes no event from a process that is connected


async def test_without_slack_nothing_of_slack_is_checked() -> None:
    assert await examine(Asked()) == []


async def test_each_missing_scope_is_named_with_what_does_not_work_and_where_to_add_it(slack: SlackPlatform) -> None:
    slack.scopes = ",".join(scope for scope in scopes() if scope not in ("chat:write", "im:write"))
    check = (await found(asked(slack)))["slack scopes"]
    assert not check.ok
    assert "without chat:write nothing can be answered" in check.detail
    assert "OAuth & Permissions > Bot Token Scopes > add chat:write, im:write, then Reinstall to Workspace" in check.detail
    assert "users:read" not in check.detail


@pytest.mark.parametrize(("mode", "ok"), [("mention", True), ("off", True), ("thread", False), ("confident", False), ("draft", False)])
async def test_the_minimal_scopes_are_enough_for_mentions_only(slack: SlackPlatform, mode: str, ok: bool) -> None:
    slack.scopes = ",".join(scopes(minimal=True))
    check = (await found(asked(slack, mode=mode)))["slack scopes"]
    assert (check.ok, "mentions" in check.detail) == (ok, True)


async def test_a_wrong_bot_token_is_told_and_the_transport_is_checked_all_the_same(slack: SlackPlatform) -> None:
    checks = await found(asked(slack, bot_token="xoxb-nobody"))
    assert list(checks) == ["slack token", "slack transport"]
    assert not checks["slack token"].ok
    assert "OAuth & Permissions > copy the Bot User OAuth Token" in checks["slack token"].detail
    assert checks["slack transport"].ok


@pytest.mark.parametrize(("code", "told"), [("account_inactive", "Install to Workspace"), ("token_expired", "rotation")])
async def test_a_token_that_was_good_once_is_told_from_a_wrong_one(slack: SlackPlatform, code: str, told: str) -> None:
    slack.fail("auth.test", kind=f"error:{code}")
    check = (await found(asked(slack)))["slack token"]
    assert (check.ok, code in check.detail, told in check.detail) == (False, True, True)


async def test_no_token_at_all_is_told(slack: SlackPlatform) -> None:
    checks = await found(asked(slack, bot_token=""))
    assert "SLACK_BOT_TOKEN" in checks["slack token"].detail
    assert (checks["slack token"].ok, slack.count("auth.test")) == (False, 0)


@pytest.mark.parametrize("token", ["xapp-nobody", "xoxb-frontdesk"])
async def test_a_wrong_app_token_is_told_with_the_permission_it_needs(slack: SlackPlatform, token: str) -> None:
    checks = await found(asked(slack, app_token=token))
    assert not checks["slack transport"].ok
    assert "Generate Token and Scopes > add connections:write" in checks["slack transport"].detail
    assert checks["slack token"].ok


@pytest.mark.parametrize(
    ("url", "ok", "warns", "told"),
    [
        ("https://bot.example.com/", True, False, "https://bot.example.com/slack/events"),
        ("http://bot.example.com", False, False, "https only"),
        ("", True, True, "slack.public_url"),
    ],
)
async def test_over_http_slack_needs_an_https_address(slack: SlackPlatform, url: str, ok: bool, warns: bool, told: str) -> None:
    check = (await found(asked(slack, app_token="", signing_secret="signing-secret", public_url=url)))["slack transport"]
    assert (check.ok, check.warns, told in check.detail) == (ok, warns, True)
    assert slack.count("apps.connections.open") == 0


async def test_a_bot_token_without_a_way_in_is_told(slack: SlackPlatform) -> None:
    check = (await found(asked(slack, app_token="")))["slack transport"]
    assert (check.ok, "SLACK_APP_TOKEN" in check.detail, "SLACK_SIGNING_SECRET" in check.detail) == (False, True, True)


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        (Channel(STAFF_ROOM, "staff", members={"U0BOB"}), "not in #staff. Write there: /invite @Frontdesk"),
        (Channel(STAFF_ROOM, "staff", kind="private", members={"U0BOB"}), "/invite @Frontdesk"),
        (Channel(STAFF_ROOM, "staff", members={"U0BOT"}, archived=True), "archived"),
        (Channel("C0OTHER", "other"), "no such channel"),
    ],
)
async def test_a_staff_channel_that_the_bot_cannot_write_to_is_told(slack: SlackPlatform, channel: Channel, told: str) -> None:
    del slack.channels[STAFF_ROOM]
    slack.channels[channel.id] = channel
    check = (await found(asked(slack)))["slack staff channel"]
    assert (check.ok, told in check.detail) == (False, True), check


@pytest.mark.parametrize(("mode", "ok"), [("thread", True), ("draft", False)])
async def test_drafts_need_a_staff_channel_and_the_rest_only_misses_it(slack: SlackPlatform, mode: str, ok: bool) -> None:
    check = (await found(asked(slack, staff_channel="", mode=mode)))["slack staff channel"]
    assert (check.ok, check.warns, "slack.staff_channel" in check.detail) == (ok, True, True)


async def test_a_user_group_that_slack_does_not_show_is_told_and_nobody_named_is_worth_a_look(slack: SlackPlatform) -> None:
    check = (await found(asked(slack, admin_group="S0NONE")))["slack staff"]
    assert (check.ok, "S0NONE" in check.detail, "S0STAFF" in check.detail) == (False, True, False)
    check = (await found(asked(slack, staff_group="", admins="")))["slack staff"]
    assert (check.ok, check.warns, "slack.admins" in check.detail) == (True, True, True)


async def test_a_question_that_lacks_a_scope_leads_to_the_scopes(slack: SlackPlatform) -> None:
    for method in ("conversations.info", "usergroups.users.list"):
        slack.fail(method, kind="error:missing_scope")
    checks = await found(asked(slack))
    for name in ("slack staff channel", "slack staff"):
        assert (checks[name].ok, "Bot Token Scopes" in checks[name].detail) == (False, True)


async def test_slack_out_of_reach_is_one_finding_not_six_that_each_wait(slack: SlackPlatform) -> None:
    settings = asked(slack)
    slack.fail("*", kind="reset_before", times=9)
    assert list(await found(settings)) == ["slack token"]
    checks = await found(settings.model_copy(update={"api_url": "http://127.0.0.1:1/api/"}))
    assert list(checks) == ["slack token"]
    assert (checks["slack token"].ok, "must reach http://127.0.0.1:1/api/" in checks["slack token"].detail) == (False, True)


@pytest.mark.parametrize(
    ("host", "ok", "warns", "told"),
    [
        (1000.0, True, False, "within 2 s"),
        (1002.9, True, False, "within 2 s"),  # Slack's header has whole seconds
        (1013.0, True, True, "12 s ahead"),
        (988.0, True, True, "12 s behind"),
        (1400.0, False, False, "refused"),
        (600.0, False, False, "400 s behind"),
    ],
)
def test_a_clock_that_is_off_is_told_before_slack_is_refused(host: float, ok: bool, warns: bool, told: str) -> None:
    check = clock_check(formatdate(1000, usegmt=True), host, host)
    assert (check.ok, check.warns, told in check.detail) == (ok, warns, True), check


async def test_the_clock_is_compared_with_what_slack_answers(slack: SlackPlatform) -> None:
    checks = await found(asked(slack), lambda: 1_000_000.0)
    assert (checks["slack clock"].ok, "behind" in checks["slack clock"].detail) == (False, True)
    assert clock_check("", 0, 0).warns


def test_doctor_shows_what_it_found_of_slack_and_fails_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_DATABASE_URL", "postgresql://user:pass@127.0.0.1:1/none")  # the rest of doctor is checked elsewhere
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-very-secret")
    monkeypatch.setenv("FRONTDESK_SLACK__API_URL", "http://127.0.0.1:1/api/")
    done = CliRunner().invoke(cli, ["doctor", "--json"], catch_exceptions=False)
    document = json.loads(done.stdout)
    (check,) = (check for check in document["checks"] if check["name"] == "slack token")
    assert (done.exit_code, document["ok"], check["ok"], check["warns"]) == (1, False, False, False)
    shown = CliRunner().invoke(cli, ["doctor"], catch_exceptions=False).output
    assert "slack token" in shown
    assert "xoxb-very-secret" not in done.output + shown


async def test_doctor_has_the_findings_of_slack_even_when_its_database_fails(slack: SlackPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_DATABASE_URL", "postgresql://user:pass@127.0.0.1:1/none")
    checks = await doctor._checks(Settings(slack=asked(slack)))
    assert [check.name for check in checks if not check.ok] == ["database"]
    assert [check.name for check in checks if check.name in NAMES] == NAMES
