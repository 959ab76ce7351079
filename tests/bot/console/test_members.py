"""The page of the members: who is added gets a link, a change counts at once, and nobody locks everybody out."""

from __future__ import annotations

import re

import pytest

from core.members import EVERYWHERE, Role, Scope
from tests.bot.console.desk import HOST, Browser, Desk


async def said(browser: Browser) -> str:
    return (await browser.get("/members")).text.partition('role="status">')[2].partition("</p>")[0]


async def test_somebody_added_gets_a_link_that_is_shown_once(desk: Desk) -> None:
    browser = await desk.browser(Role.ADMIN)
    form = {"name": "ann@shop.example", "role": "editor", "workspaces": "slack:T1, discord:2"}
    shown = await browser.post("/members", form)
    link = re.search(rf"{re.escape(HOST)}/console(/sign-in/link\?token=([\w-]{{43}}))<", shown.text)
    assert link and link[2] not in (await browser.get("/members")).text
    assert (await desk.visitor().post("/sign-in/link", {"token": link[2]}, page=link[1])).status_code == 303
    added = await desk.sign_in.members.named("ann@shop.example")
    assert added and (added.role, added.scope) == (Role.EDITOR, Scope(frozenset({("slack", "T1"), ("discord", "2")})))


@pytest.mark.parametrize(("name", "workspaces", "told"), [
    ("Ann", "", "Ann is a member already."),
    ("ANN", "", "Ann is a member already."),
    ("Bob", "slack", "A workspace is written as PLATFORM:ID"),
    ("...", "", "A name has letters"),
    ("\u202e\u200b", "", "A name has letters"),
])  # fmt: skip
async def test_what_cannot_be_added_is_told_so(desk: Desk, name: str, workspaces: str, told: str) -> None:
    await desk.member(Role.VIEWER, name="Ann")
    browser = await desk.browser(Role.ADMIN)
    await browser.post("/members", {"name": name, "role": "admin", "workspaces": workspaces})
    assert told in await said(browser)
    assert len(await desk.sign_in.members.all()) == 2


async def test_a_role_that_there_is_not_is_refused(desk: Desk) -> None:
    browser = await desk.browser(Role.ADMIN)
    assert (await browser.post("/members", {"name": "Bob", "role": "owner"})).status_code == 422


async def test_the_last_admin_can_neither_step_down_nor_be_removed(desk: Desk) -> None:
    ann = await desk.member(Role.ADMIN, name="Ann")
    browser = await desk.signed_in(ann)
    for path, form in ((f"/members/{ann.member_id}", {"role": "viewer"}), (f"/members/{ann.member_id}/remove", {})):
        await browser.post(path, form)
        assert "This is the last admin" in await said(browser)
    assert await desk.sign_in.members.member(ann.member_id) == ann


async def test_somebody_who_is_signed_in_gets_another_link_from_an_admin(desk: Desk) -> None:
    bob = await desk.member(Role.AGENT, EVERYWHERE, "Bob")
    shown = await (await desk.browser(Role.ADMIN)).post(f"/members/{bob.member_id}/link")
    assert "Sign-in link for <bdi>Bob</bdi>" in shown.text
    (entry,) = await desk.graph.audit_log.entries(1)
    assert (entry.action, entry.target, "token" in str(entry.detail)) == ("members.invite", bob.actor, False)
