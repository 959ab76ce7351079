"""The console in a real browser: by mouse and by keyboard, light, dark and on a phone; nothing for axe-core to complain of."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from core.members import EVERYWHERE, Role, Scope
from tests.bot.console.browsing import Window, window
from tests.bot.console.desk import Desk
from tests.bot.console.models import CHALLENGER, CHAMPION, RUN, stocked

pytestmark = pytest.mark.slow
PASSWORD = "correct horse battery"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 800}},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True},
    "phone-dark": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "is_mobile": True, "has_touch": True},
}


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_can_be_read_by_everybody(desk: Desk, url: str, chromium: Browser, look: str) -> None:
    await stocked(desk)
    await desk.member(Role.EDITOR, Scope(frozenset({("slack", "T0123456789"), ("discord", "2345678901")})), "bob@shop.example")
    await desk.member(Role.VIEWER, EVERYWHERE, "سارة 🌻 with a rather long name that somebody has really got")
    ann = await desk.member(Role.ADMIN, EVERYWHERE, "ann@shop.example")
    here = await window(chromium, url, **LOOKS[look])
    await here.go("/sign-in")
    await here.look(f"sign-in-{look}")
    await here.go(f"/sign-in/link?token={await desk.sign_in.link_for(ann)}")
    await here.look(f"link-{look}")
    await here.sign_in(desk, ann)
    promote = f"/models/order?name=promote&argument={CHALLENGER}"
    pages = {"models": "/models", "promote": promote, "audit": "/audit", "members": "/members", "account": "/account"}
    pages |= {"run": f"/models/runs/{RUN}", "running": f"/models/runs/{'a' * 32}"}
    pages["remove"] = f"/members/{ann.member_id}/remove"
    for name, path in pages.items():
        await here.go(path)
        await here.look(f"{name}-{look}")


async def test_somebody_signs_in_by_link_sets_a_password_signs_out_and_comes_back(desk: Desk, url: str, chromium: Browser) -> None:
    here = await window(chromium, url)
    await here.sign_in(desk, await desk.member(Role.ADMIN, name="Ann"))
    await here.tab.get_by_role("link", name="Ann").click()
    await here.tab.get_by_label("New password").fill(PASSWORD)
    await here.tab.get_by_role("button", name="Set it").click()
    await expect(here.tab.get_by_role("status")).to_contain_text("Your password is set.")
    await here.tab.get_by_role("button", name="Sign out").click()
    await expect(here.tab.get_by_role("heading", name="Sign in")).to_be_visible()
    await here.tab.go_back()
    assert "Your account" not in await here.tab.content(), "nothing of the session is kept by the browser"
    await here.go("/audit")
    await here.tab.get_by_label("Name").fill("ann")
    await here.tab.get_by_label("Password").fill(PASSWORD)
    await here.tab.get_by_role("button", name="Sign in").click()
    await expect(here.tab.get_by_role("heading", name="Audit")).to_be_visible()
    assert here.complaints == []


async def test_an_admin_adds_somebody_who_signs_in_and_is_removed(desk: Desk, url: str, chromium: Browser) -> None:
    here, there = await window(chromium, url), await window(chromium, url)
    await here.sign_in(desk, await desk.member(Role.ADMIN, name="Ann"))
    await here.go("/members")
    await here.tab.get_by_label("Name", exact=True).fill("Bob")
    await here.tab.locator("section").get_by_role("combobox").select_option("agent")
    await here.tab.get_by_role("button", name="Add").click()
    await here.look("member-link-light")
    await there.tab.goto(await here.tab.locator(".token").inner_text())
    await there.tab.get_by_role("button", name="Sign in").click()
    await expect(there.tab.get_by_role("navigation", name="Console")).not_to_contain_text("Audit")
    await here.go("/members")
    await here.tab.get_by_label("Role of Bob").select_option("admin")
    await here.tab.get_by_role("row", name="Bob").get_by_role("button", name="Save").click()
    await expect(here.tab.get_by_role("status")).to_have_text("Bob is admin from the next click on.")
    await there.tab.reload()
    await expect(there.tab.get_by_role("navigation", name="Console")).to_contain_text("Audit")
    await here.tab.get_by_role("link", name="Remove Bob").click()
    await here.tab.get_by_role("button", name="Remove").click()
    await there.tab.reload()
    await expect(there.tab.get_by_role("heading", name="Sign in")).to_be_visible()
    assert here.complaints == there.complaints == []


async def test_a_model_is_promoted_and_rolled_back_after_a_question(desk: Desk, url: str, chromium: Browser) -> None:
    await stocked(desk)
    await desk.graph.host_board.leave("web-1:4711")  # nobody has to follow
    here = await window(chromium, url)
    await here.sign_in(desk, await desk.member(Role.ADMIN, name="Ann"))
    await here.go("/models")
    await here.tab.get_by_role("link", name=f"Promote {CHALLENGER}").click()
    await expect(here.tab.get_by_role("heading")).to_have_text(f"Serve {CHALLENGER} from now on?")
    await here.tab.get_by_role("button", name="Do it").click()
    await expect(here.tab.get_by_role("status")).to_contain_text(f"{CHALLENGER} is champion from now on")
    await here.tab.get_by_role("link", name="Roll back").click()
    await here.tab.get_by_role("button", name="Do it").click()
    await expect(here.tab.get_by_role("status")).to_contain_text(f"{CHAMPION} is champion from now on")
    await here.go("/audit?action=models.")
    for action in ("models.promote", "models.rollback"):
        await expect(here.tab.get_by_role("row", name=action).first).to_contain_text("Ann")
    await here.tab.get_by_role("button", name="Check the chain").click()
    await expect(here.tab.get_by_role("status")).to_have_text("The chain holds: no entry was changed, taken out or put in.")
    assert here.complaints == []


async def test_the_keyboard_is_enough(desk: Desk, url: str, chromium: Browser) -> None:
    await stocked(desk)
    here = await window(chromium, url)
    await here.go(f"/sign-in/link?token={await desk.sign_in.link_for(await desk.member(Role.ADMIN, name='Ann'))}")
    await press_until(here, "Sign in")
    await here.tab.keyboard.press("Enter")
    await expect(here.tab.get_by_role("button", name="Sign out")).to_be_visible()
    await here.tab.keyboard.press("Tab")
    assert await focused(here) == "Skip to the content"
    await here.tab.keyboard.press("Enter")
    await here.tab.reload()
    await press_until(here, "Models")
    await here.tab.keyboard.press("Enter")
    await expect(here.tab.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    await press_until(here, f"Promote {CHALLENGER}")
    await here.tab.keyboard.press("Enter")
    await here.tab.wait_for_url("**/models/order?**")
    await press_until(here, "Leave it")
    await here.tab.keyboard.press("Enter")
    await here.tab.wait_for_url("**/models")
    await press_until(here, "Sign out")
    await here.tab.keyboard.press("Enter")
    await expect(here.tab.get_by_role("heading", name="Sign in")).to_be_visible()


async def press_until(here: Window, name: str) -> None:
    """Press Tab until what has this name has the focus, and shows it."""
    await here.tab.wait_for_load_state()
    for _ in range(80):
        await here.tab.keyboard.press("Tab")
        if await focused(here) == name:
            assert await here.tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            return
    pytest.fail(f"Tab does not lead to {name!r}")


async def focused(here: Window) -> str:
    found: str = await here.tab.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent.trim()")
    return found
