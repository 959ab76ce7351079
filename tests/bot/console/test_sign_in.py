"""Who comes into the console, and how they leave it."""

from __future__ import annotations

from core.members import Role
from tests.bot.console.desk import Desk


async def test_a_link_signs_in_once(desk: Desk) -> None:
    member = await desk.member(Role.AGENT, name="Ann")
    link, first, second = await desk.sign_in.link_for(member), desk.visitor(), desk.visitor()
    shown = await first.get(f"/sign-in/link?token={link}")
    assert (shown.status_code, "Sign in as <bdi>Ann</bdi>" in shown.text) == (200, True)
    assert (await first.post("/sign-in/link", {"token": link}, page="/sign-in")).status_code == 303
    refused = await second.post("/sign-in/link", {"token": link}, page="/sign-in")
    assert (refused.status_code, "This link is over" in refused.text) == (403, True)


async def test_nobody_sees_a_page_without_a_session(desk: Desk) -> None:
    answer = await desk.visitor().get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")


async def test_a_form_of_this_session_is_taken_and_its_page_says_so_once(desk: Desk) -> None:
    browser = await desk.browser(Role.VIEWER)
    answer = await browser.post("/account/password", {"password": "a long enough password"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/account")
    assert "Your password is set." in (await browser.get("/account")).text
    assert "Your password is set." not in (await browser.get("/account")).text
