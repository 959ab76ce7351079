"""Installing the app: from the button to Slack and back, in one browser, once."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select, update

from bot.bootstrap import Frontdesk
from bot.lifecycle import serve
from bot.setting_groups import Slack
from bot.settings import Settings
from bot.slack.install_pages import INSTALL, REDIRECT, page
from bot.slack.install_states import InstallStates
from bot.slack.manifest import scopes
from core.domain import utc_now
from core.errors import SettingsError
from core.storage.database import Database
from core.storage.memory_records import MemoryVault
from core.storage.staff_tables import secrets
from tests.bot.slack.office import ANN, HELP, said
from tests.bot.slack.tenants import (
    HOME,
    Open,
    Visit,
    ask,
    open_for_all,
)
from tests.servers.slack import SlackPlatform

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture
async def slack() -> AsyncIterator[SlackPlatform]:
    async with SlackPlatform() as server:
        yield server


async def test_from_the_button_to_the_first_answer(database: Database, slack: SlackPlatform) -> None:
    async with open_for_all(database, slack) as desk:
        await ask(slack, HOME, "how long does a refund take?")
        assert desk.slack.count("chat.postMessage") == 0  # nobody has installed it yet
        visit = Visit(desk)
        there = await visit.start()
        assert str(there).startswith(f"{slack.url}/oauth/v2/authorize?")
        assert there.params["scope"].split(",") == list(scopes())
        assert there.params["redirect_uri"] == f"https://bot.example{REDIRECT}"
        done = await visit.get(await visit.allow(there))
        assert (done.status_code, "Frontdesk is installed" in done.text) == (200, True)
        assert "t0team" in done.text  # the name of the workspace
        await ask(slack, HOME, "how long does a refund take?")
        await desk.answered()
        assert "Refunds take 14 days." in said(slack.by_bot(HELP)[0])


async def test_the_cookie_is_for_this_host_and_the_pages_keep_to_the_policy_of_the_site(open_database: Open, slack: SlackPlatform) -> None:
    async with open_for_all(await open_database("sqlite"), slack) as desk:
        visit = Visit(desk)
        begun = await visit.get(INSTALL)
        name, _, attributes = begun.headers["set-cookie"].partition(";")
        assert name.startswith("__Host-")
        assert {part.strip().lower() for part in attributes.split(";")} == {"httponly", "secure", "samesite=lax", "path=/", "max-age=600"}
        refused = await visit.get(REDIRECT)
        style = await visit.get("/static/notice.css")
    assert "default-src 'none'" in refused.headers["content-security-policy"]
    assert refused.headers["cache-control"] == begun.headers["cache-control"] == "no-store"
    assert not re.search(r"<script|<style|style=| on\w+=", refused.text)
    assert (style.status_code, "prefers-color-scheme: dark" in style.text) == (200, True)


@pytest.mark.parametrize("spoil", ["wrong", "missing", "another browser", "no cookie", "reused", "endless"])
async def test_a_state_that_is_not_of_this_browser_or_used_installs_nothing(open_database: Open, slack: SlackPlatform, spoil: str) -> None:
    async with open_for_all(await open_database("sqlite"), slack) as desk:
        visit, other = Visit(desk), Visit(desk)
        back = await visit.allow(await visit.start())
        await other.start()
        state = httpx.URL("http://x" + back).params["state"]
        if spoil == "reused":
            assert (await visit.get(back)).status_code == 200
        spoiled = {
            "wrong": back.replace(state, "x" * len(state)), "missing": back.replace(f"state={state}", ""), "endless": back + "x" * 5000,
        }.get(spoil, back)  # fmt: skip
        before = slack.count("oauth.v2.access")
        answer = await visit.get(spoiled, cookie={"another browser": other.cookie, "no cookie": ""}.get(spoil))
        assert slack.count("oauth.v2.access") == before
    assert (answer.status_code, "must begin and end in the same browser" in answer.text) == (400, True)
    assert state not in answer.text


async def test_a_state_is_worth_nothing_after_ten_minutes(open_database: Open, slack: SlackPlatform) -> None:
    database = await open_database("sqlite")
    async with open_for_all(database, slack) as desk:
        visit = Visit(desk)
        back = await visit.allow(await visit.start())
        async with database.write() as connection:
            kept = (await connection.execute(select(secrets.c.expires_at))).scalar_one()
            assert 590 < (kept - utc_now()).total_seconds() <= 600
            await connection.execute(update(secrets).values(expires_at=kept - timedelta(minutes=10)))
        answer = await visit.get(back)
    assert answer.status_code == 400
    assert slack.count("oauth.v2.access") == 0


async def test_whoever_says_no_is_told_so_and_nothing_they_sent_is_shown(open_database: Open, slack: SlackPlatform) -> None:
    async with open_for_all(await open_database("sqlite"), slack) as desk:
        visit = Visit(desk)
        state = (await visit.start()).params["state"]
        denied = await visit.get(f"{REDIRECT}?error=access_denied&state={state}")
        state = (await visit.start()).params["state"]
        odd = await visit.get(f"{REDIRECT}?error=%3Cscript%3E&error_description=%3Cb%3Eevil&state={state}")
        state = (await visit.start()).params["state"]
        forged = await visit.get(f"{REDIRECT}?code=forged-code&state={state}")
    assert (denied.status_code, "You said no in Slack" in denied.text) == (403, True)
    assert (odd.status_code, "script" in odd.text, "evil" in odd.text) == (400, False, False)
    assert (forged.status_code, "forged-code" in forged.text) == (502, False)


def test_the_name_of_a_workspace_is_shown_and_not_run() -> None:
    shown = bytes(page(200, "<i>", "<script>alert(1)</script>", ('/"><b>', "<b>")).body).decode()
    assert "<script>" not in shown and "<b>" not in shown and "<i>" not in shown


async def test_nobody_fills_the_database_with_starts() -> None:
    states = InstallStates(MemoryVault(), clock=lambda: 0.0)
    started = [await states.start() for _ in range(100)]
    assert sum(one is not None for one in started) == 60


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"bot_token": "xoxb-1", "client_id": "1.2", "app_token": "xapp-1"}, ("slack.bot_token", "slack.client_id")),
        ({"client_id": "1.2", "app_token": "xapp-1"}, ("slack.client_id", "slack.client_secret")),
        ({"client_id": "1.2", "client_secret": "s"}, ("slack.app_token", "slack.signing_secret")),
        ({"bot_token": "xoxb-1"}, ("slack.app_token", "slack.signing_secret")),
    ],
)
async def test_what_is_half_set_up_is_named_before_anything_starts(
    open_database: Open, given: dict[str, str], named: tuple[str, str]
) -> None:
    graph = Frontdesk(Settings(slack=Slack(**given)), await open_database("sqlite"), lambda said: None)  # type: ignore[arg-type]
    with pytest.raises(SettingsError) as refused:
        await serve(graph)
    assert all(name in str(refused.value) for name in named)


@pytest.mark.slow
async def test_a_process_on_socket_mode_serves_the_pages_too(slack: SlackPlatform) -> None:
    own = {"client_id": slack.client_id, "client_secret": slack.client_secret, "app_token": slack.app_token}
    own |= {"api_url": f"{slack.url}/api/", "admins": ANN}
    environment = os.environ | {f"FRONTDESK_SLACK__{name.upper()}": value for name, value in own.items()}
    environment |= {"PYTHONPATH": str(ROOT), "FRONTDESK_MODEL": "extractive"}
    command = [sys.executable, "-m", "bot", "run", "--port", "0", "--only", "slack"]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    lines = [b""]
    try:
        async with asyncio.timeout(120):
            while b"is ready: " not in lines[-1]:
                lines.append(await process.stderr.readline())
                assert lines[-1], b"".join(lines)
        await slack.until(lambda: len(slack.links) >= 2)
        base = re.search(rb"http://\S+", lines[-1])
        assert base
        async with httpx.AsyncClient(base_url=base[0].decode(), trust_env=False) as browser:
            begun = await browser.get(INSTALL)
            refused, style, chat = await browser.get(REDIRECT), await browser.get("/static/notice.css"), await browser.get("/")
    finally:
        process.terminate()
        await process.communicate()
    assert begun.headers["location"].startswith(f"{slack.url}/oauth/v2/authorize?client_id={slack.client_id}&")
    assert [one.status_code for one in (begun, refused, style, chat)] == [302, 400, 200, 404]
    assert b"slack.home_workspace" in b"".join(lines)
