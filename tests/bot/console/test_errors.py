"""What people and scripts are told when something is not there or breaks: never what an exception says."""

from __future__ import annotations

import logging

import pytest

from bot import bootstrap_console
from core.errors import OutOfReachError
from core.members import Role
from core.storage.database import Database
from tests.bot.console.desk import Desk, desk_on

SECRET = "secret-in-an-exception"


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/members/nobody/remove", 404), ("/audit?before=x", 422)])
async def test_a_mistake_is_a_page_for_people_and_json_for_scripts(desk: Desk, path: str, status: int) -> None:
    browser = await desk.browser(Role.ADMIN)
    page, script = await browser.get(path), await browser.get(path, headers={"accept": "application/json"})
    assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert "To the console" in page.text
    assert (script.status_code, set(script.json()["error"])) == (status, {"code", "message"})


async def test_what_breaks_is_in_the_log_and_not_on_the_page(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    browser = await desk.browser(Role.VIEWER)

    async def broken(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(type(desk.sign_in.members), "password", broken)
    with caplog.at_level(logging.ERROR):
        page, script = await browser.get("/account"), await browser.get("/account", headers={"accept": "application/json"})
    assert (page.status_code, script.status_code) == (500, 500)
    assert SECRET not in page.text + script.text and SECRET in caplog.text
    assert "Something went wrong on our side." in page.text and script.json()["error"]["code"] == "error"
    assert page.headers["cache-control"] == "no-store"


async def test_a_database_that_is_away_is_said_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = await desk.browser(Role.VIEWER)

    async def away(*_: object) -> None:
        raise OutOfReachError(SECRET)

    monkeypatch.setattr(type(desk.sign_in.members), "password", away)
    page = await browser.get("/account")
    assert (page.status_code, "The database does not answer" in page.text, SECRET in page.text) == (503, True, False)
    monkeypatch.setattr(type(desk.sign_in.sessions), "member", away)
    assert (await browser.get("/account")).status_code == 503


async def test_without_its_libraries_the_console_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap_console, "_LIBRARIES", ("no_such_library",))
    desk = desk_on(Database("sqlite://"))
    answer = await desk.visitor().get("/")
    assert (answer.status_code, "pip install 'frontdesk[console]'" in answer.text) == (503, True)
    for client in desk.clients:
        await client.aclose()


@pytest.mark.parametrize("host", ["[::1", "a b", "", "\xff", "127.0.0.1:x", "evil.example"])
async def test_a_host_that_is_none_breaks_nothing_and_lets_nobody_in(desk: Desk, host: str) -> None:
    browser = desk.visitor("http://127.0.0.1")
    for path in ("/sign-in", "/nothing", "/account", "/static/console.css"):
        answer = await browser.get(path, headers={"host": host.encode("latin-1")})
        assert answer.status_code in (200, 303, 403, 404), path
    assert "no" in answer.headers["cache-control"]
