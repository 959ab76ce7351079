"""What holds for every route of the console, whoever has written it: the routes are those of its router, none is listed here by hand."""

from __future__ import annotations

import re

import httpx
import pytest

from core.members import EVERYWHERE, Role, Scope
from tests.bot.console.desk import Browser, Desk
from tests.bot.console.foreign import OTHERS, SECRET, planted
from tests.bot.console.routes import ROUTES, Route

PUBLIC = {"/sign-in", "/sign-in/link", "/sign-in/elsewhere", "/sign-in/callback", "/sign-out"}
WITH_SESSION = [route for route in ROUTES if not route.is_public]
RESTRICTED = [route for route in WITH_SESSION if route.asks and (route.asks.role > Role.VIEWER or route.asks.everywhere)]
UNSAFE = [route for route in ROUTES if route.is_unsafe]
NAMING = [route for route in WITH_SESSION if route.parameters]
OWN = Scope(frozenset({("slack", "T-OWN")}))


async def send(browser: Browser, route: Route, csrf: str = "", ids: dict[str, str] | None = None, **headers: str) -> httpx.Response:
    form = dict(route.form) | ({"csrf": csrf} if csrf else {})
    options = {"data": form} if route.is_unsafe else {"params": form}
    return await browser.client.request(route.method, f"/console{route.filled(ids or {})}", headers=headers, **options)  # type: ignore[arg-type]


async def enough(desk: Desk, route: Route) -> Browser:
    """Somebody who may use a route."""
    return await desk.browser(route.asks.role if route.asks else Role.VIEWER, EVERYWHERE)


def test_only_the_pages_of_signing_in_need_no_session() -> None:
    assert {route.path for route in ROUTES if route.is_public} == PUBLIC
    assert len(WITH_SESSION) > 5, "the routes are not found any more"


@pytest.mark.parametrize("route", WITH_SESSION, ids=str)
async def test_nobody_gets_in_without_a_session(desk: Desk, route: Route) -> None:
    page = await send(desk.visitor(), route, csrf="x" * 64)
    assert (page.status_code, page.headers["location"].partition("?")[0]) == (303, "/console/sign-in")
    script = await send(desk.visitor(), route, csrf="x" * 64, accept="application/json")
    assert (script.status_code, script.json()["error"]["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("route", RESTRICTED, ids=str)
async def test_a_lower_role_is_refused_and_recorded(desk: Desk, route: Route) -> None:
    assert route.asks
    lower = [(role, EVERYWHERE) for role in Role if role < route.asks.role]
    lower += [(route.asks.role, OWN)] if route.asks.everywhere else []
    for role, scope in lower:
        browser = await desk.browser(role, scope)
        answer = await send(browser, route, csrf=await browser.csrf())
        assert answer.status_code == 403, role
        (entry,) = await desk.graph.audit_log.entries(1)
        assert (entry.action, entry.result) == ("console.access", "denied")


@pytest.mark.parametrize("route", UNSAFE, ids=str)
async def test_bad_input_46_a_form_without_the_token_of_this_session_changes_nothing(desk: Desk, route: Route) -> None:
    browser, other = await enough(desk, route), await desk.browser(Role.ADMIN)
    for token in ("", "0" * 64, "é" * 64, await other.csrf()):
        answer = await send(browser, route, csrf=token)
        assert (answer.status_code, "This form does not belong to your session" in answer.text) == (403, True)
        (entry,) = await desk.graph.audit_log.entries(1)
        assert (entry.action, entry.detail["reason"]) == ("console.form", "csrf")


@pytest.mark.parametrize("route", UNSAFE, ids=str)
async def test_bad_input_46_another_site_sends_no_form_even_with_the_token(desk: Desk, route: Route) -> None:
    browser = await enough(desk, route)
    token = await browser.csrf()
    for headers in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}):
        assert (await send(browser, route, token, **headers)).status_code == 403
    del browser.client.headers["sec-fetch-site"]
    for origin in ("https://evil.example", "null", "https://console.example.evil.example", "http://[::1"):
        assert (await send(browser, route, token, origin=origin)).status_code == 403


@pytest.mark.parametrize("route", NAMING, ids=str)
async def test_bad_input_48_what_belongs_to_another_workspace_is_not_there_and_the_look_is_recorded(desk: Desk, route: Route) -> None:
    ids = dict(await planted(desk.graph.database))
    browser = await desk.browser(route.asks.role if route.asks else Role.VIEWER, OWN)
    token = await browser.csrf()
    before = await desk.graph.audit_log.entries(1)
    answer = await send(browser, route, token, ids)
    expected = 403 if route.asks and route.asks.everywhere else 404
    assert (answer.status_code, SECRET in answer.text, OTHERS.workspace_id in answer.text) == (expected, False, False)
    (entry,) = await desk.graph.audit_log.entries(1)
    assert entry.audit_id > before[0].audit_id and entry.result == "denied"


@pytest.mark.parametrize("route", [route for route in WITH_SESSION if route.method == "GET" and not route.parameters], ids=str)
async def test_bad_input_48_no_page_shows_anything_of_another_workspace(desk: Desk, route: Route) -> None:
    await planted(desk.graph.database)
    browser = await desk.browser(Role.ADMIN, OWN)
    answer = await send(browser, route)
    assert answer.status_code in (200, 303, 403) and SECRET not in answer.text


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_every_answer_is_kept_by_nobody_and_runs_nothing_inline(desk: Desk, route: Route) -> None:
    browser = await enough(desk, route)
    answer = await send(browser, route)
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", answer.text)
