"""The pages of review in a real browser: light, dark, phone, keyboard only, hostile words, live rows, and nobody kept out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from core.domain import Decision, Reason
from core.members import Role
from tests.bot.console.browsing import Window, window
from tests.bot.console.desk import Desk
from tests.bot.console.made_up import fill
from tests.contracts.counter import REPLY, SqlCounter

pytestmark = pytest.mark.slow

UNSURE = replace(REPLY, decision=Decision.ANSWER, reason=Reason.COMPOSED, confidence=0.7)
HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'> [x](javascript:window.hacked=3) \u202e \u2066 evil"
PAGES = ("/inbox", "/overview", "/overview?days=365&price=1", "/search", "/search?q=password&decision=direct")


@pytest.fixture(autouse=True)
def streams(desk: Desk, url: str) -> Iterator[None]:
    """Let streams go on until the test ends."""
    desk.closing.clear()
    yield
    desk.closing.set()


async def visit(chromium: Browser, desk: Desk, url: str, role: Role = Role.AGENT, **context: Any) -> Window:
    """Somebody signed in."""
    here = await window(chromium, url, **context)
    await here.sign_in(desk, await desk.member(role))
    return here


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
async def test_every_page_keeps_nobody_out_in_light_and_dark_wide_and_on_a_phone(
    width: int, scheme: Any, chromium: Browser, desk: Desk, url: str
) -> None:
    await fill(desk.graph, 300)
    here = await visit(chromium, desk, url, Role.EDITOR, color_scheme=scheme, viewport={"width": width, "height": 740})
    for path in PAGES:
        await here.go(path)
        for details in await here.tab.locator("main details").all():
            await details.evaluate("node => { node.open = true }")
        await here.look(f"{path.strip('/').replace('?', '-')}-{scheme}-{width}")
    await here.go("/inbox")
    await here.tab.get_by_role("button", name="Review the next one").click()
    await expect(here.tab.get_by_role("button", name="Good")).to_be_visible()
    await here.look(f"review-{scheme}-{width}")


async def test_a_queue_is_worked_through_with_j_k_and_enter_only(chromium: Browser, desk: Desk, url: str) -> None:
    counter = SqlCounter(desk.graph.database)
    for text in ("third", "second", "first"):
        await counter.ask(text, reply=UNSURE)
    here = await visit(chromium, desk, url)
    await here.go("/inbox")
    keyboard = here.tab.keyboard
    for key in ("j", "j", "j", "j", "k", "Enter"):  # there are three: the last stays the last
        await keyboard.press(key)

    async def comes(text: str) -> None:
        await expect(here.tab.locator(".turn.chosen .asked .words")).to_have_text(text)
        await here.tab.wait_for_load_state()  # the script comes after the page

    await comes("second")
    await keyboard.press("j")
    await comes("third")
    await keyboard.press("k")
    await comes("second")
    await here.tab.get_by_role("button", name="Good").focus()
    await keyboard.press("Enter")
    await comes("third")
    assert here.complaints == []


async def test_j_and_k_are_letters_while_somebody_types(chromium: Browser, desk: Desk, url: str) -> None:
    await SqlCounter(desk.graph.database).ask("jk", reply=UNSURE)
    here = await visit(chromium, desk, url)
    await here.go("/search")
    field = here.tab.get_by_role("searchbox")
    await field.press_sequentially("jk")
    await expect(field).to_have_value("jk")
    await expect(field).to_be_focused()


async def test_what_is_new_appears_at_its_place_without_reloading_and_is_said(chromium: Browser, desk: Desk, url: str) -> None:
    counter = SqlCounter(desk.graph.database)
    await counter.ask("sure of little", reply=UNSURE)
    here = await visit(chromium, desk, url)
    await here.go("/inbox")
    await counter.ask("handed", reply=replace(REPLY, decision=Decision.HANDOFF, reason=Reason.ASKED_FOR_PERSON))
    await counter.ask(HOSTILE, reply=UNSURE)
    questions = here.tab.locator("#queue .question")
    await expect(questions).to_have_count(3, timeout=15_000)
    assert [text.strip()[:8] for text in await questions.all_inner_texts()] == ["<script>", "sure of ", "handed"]
    await expect(here.tab.locator('[data-count="inbox"]')).to_have_text(["3", "3"])
    await expect(here.tab.get_by_role("status")).to_contain_text("more turns wait")
    assert await here.tab.evaluate("window.hacked") is None
    await here.tab.locator("#queue .item.new button").first.click()
    await expect(here.tab.get_by_role("button", name="Good")).to_be_visible()
    assert here.complaints == []


async def test_bad_input_06_13_hostile_words_run_nothing_load_nothing_and_turn_nothing_around(
    chromium: Browser, desk: Desk, url: str
) -> None:
    counter = SqlCounter(desk.graph.database)
    await counter.ask(HOSTILE, actor=HOSTILE, reply=replace(UNSURE, text=HOSTILE))
    here = await visit(chromium, desk, url, Role.EDITOR)
    asked: list[str] = []
    here.tab.on("request", lambda request: asked.append(request.url))
    for path in ("/inbox", "/search", "/search?q=window+hacked"):
        await here.go(path)
        await expect(here.tab.locator(".question").first).to_contain_text("window.hacked")
    await here.tab.locator(".question a").first.click()
    await expect(here.tab.locator(".words").first).to_have_css("unicode-bidi", "isolate")
    assert await here.tab.evaluate("window.hacked") is None
    assert await here.tab.evaluate("document.querySelectorAll('main script, main img, main a[href^=javascript]').length") == 0
    assert [one for one in asked if not one.startswith(url)] == []
    assert here.complaints == []
