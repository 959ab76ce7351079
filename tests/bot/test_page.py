"""The chat page in a real browser: keyboard, phone, dark, hostile content, sources and persons."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright, expect
from playwright.async_api import Page as Tab

from core.handoff import Helper
from core.members import EVERYWHERE
from core.storage.handoff_book import SqlHandoffBook
from core.storage.handoffs import SqlHandoffs
from tests.bot.conftest import Page

pytestmark = pytest.mark.slow

HOSTILE = (
    "<script>window.hacked = 1</script> <img src=x onerror='window.hacked = 2'> [click](javascript:window.hacked=3) "
    "![pixel](https://evil.example/p.png) [here](https://evil.example/steal) refund"
)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    expect.set_options(timeout=30_000)  # not 5 s: four processes of tests share two cores
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield opened
        await opened.close()


# [selector, its colour, the background behind it] of what a customer reads.
COLOURS = """
['.message.mine', '.message.bot .text', 'summary', '#send', '#person', '#notice', '.who'].map((selector) => {
  const node = document.querySelector(selector);
  let behind = node;
  while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)' && behind.parentElement) behind = behind.parentElement;
  return [selector, getComputedStyle(node).color, getComputedStyle(behind).backgroundColor];
})
"""


class Visit:
    """One tab on the chat page; it collects what the browser complains of."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab
        self.complaints: list[str] = []
        tab.on("console", lambda line: self.complaints.append(line.text) if line.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def ask(self, text: str) -> None:
        """Type and press Enter, then wait until the answer is there."""
        await self.tab.fill("#question", text)
        await self.tab.press("#question", "Enter")
        await self.answered()

    async def answered(self) -> None:
        """Wait until the answer is complete: the page accepts the next question."""
        await expect(self.tab.locator("#log")).to_have_attribute("aria-busy", "false")

    async def evaluate(self, script: str) -> Any:
        return await self.tab.evaluate(script)


async def visit(browser: Browser, page: Page, **context: Any) -> Visit:
    tab = await (await browser.new_context(**context)).new_page()
    arrived = Visit(tab)
    await tab.goto(page.url)
    await expect(tab.locator("#suggestions button")).to_have_count(4)
    return arrived


async def test_a_question_typed_and_entered_is_answered_with_a_source_that_opens(browser: Browser, page: Page) -> None:
    here = await visit(browser, page)
    await here.ask("How long does a refund take?")
    await expect(here.tab.locator(".message.bot strong")).to_have_text("14 days")
    source = here.tab.locator("details")
    await source.locator("summary").press("Enter")
    await expect(source.locator("a")).to_have_attribute("href", "https://shop.example/refunds")
    assert here.complaints == []


async def test_the_citation_in_the_text_opens_its_source(browser: Browser, page: Page) -> None:
    here = await visit(browser, page)
    await here.ask("parcel?")
    await here.tab.get_by_role("button", name="Source 1").press("Enter")
    await expect(here.tab.locator("details .text")).to_have_text("A parcel takes 3 days. It is tracked.")


async def test_asked_back_the_customer_presses_what_was_meant(browser: Browser, page: Page) -> None:
    page.knowledge.add("my bill", "Bills are sent by post.", 0.99, "Where is my bill?")
    here = await visit(browser, page)
    await here.ask("invoice bill")
    await here.tab.get_by_role("button", name="Where is my bill?").last.click()
    await here.answered()
    await expect(here.tab.locator(".message.bot > .text").last).to_have_text("Bills are sent by post.")


async def test_a_person_is_one_button_away(browser: Browser, page: Page) -> None:
    here = await visit(browser, page)
    await here.tab.get_by_role("button", name="Talk to a person").click()
    await here.answered()
    await expect(here.tab.locator(".message.handoff")).to_contain_text("person on our team")


async def test_what_a_person_says_appears_by_itself_and_once(browser: Browser, page: Page) -> None:
    here = await visit(browser, page)
    await here.tab.get_by_role("button", name="Talk to a person").click()
    await here.answered()
    handoffs = SqlHandoffs(page.database)
    (handoff,) = await SqlHandoffBook(page.database).page(EVERYWHERE, 10)
    await handoffs.claim(handoff.handoff_id, Helper("console:bob", "Bob"), "A person is with you now.", "")
    await handoffs.say(handoff.handoff_id, Helper("console:bob", "Bob"), "Hello, <b>how</b> can I help?", "word-1")
    for _ in range(2):
        await expect(here.tab.locator(".message.person .text")).to_have_text(["Hello, <b>how</b> can I help?"])
        await expect(here.tab.locator(".message.person .who")).to_have_text("A person on our team")
        await expect(here.tab.get_by_text("A person is with you now.")).to_have_count(1)
        await here.tab.reload()
    await handoffs.say(handoff.handoff_id, Helper("console:bob", "Bob"), "Still there?", "word-2")
    await expect(here.tab.locator(".message.person .text")).to_have_count(2)
    assert here.complaints == []


async def test_a_message_that_cannot_be_stored_is_an_apology_with_a_way_to_try_again(browser: Browser, page: Page) -> None:
    here = await visit(browser, page)
    await page.lose_the_inbox()
    await here.ask("refund")
    await expect(here.tab.locator(".message.handoff")).to_contain_text("Sorry, something went wrong")
    await expect(here.tab.get_by_role("button", name="Try again")).to_be_visible()


async def test_a_reload_keeps_the_conversation_and_a_new_chat_forgets_it(browser: Browser, page: Page) -> None:
    here = await visit(browser, page)
    await here.ask("refund?")
    await here.tab.reload()
    await expect(here.tab.locator(".message.mine")).to_have_text("refund?")
    await here.tab.get_by_role("button", name="New chat").click()
    await expect(here.tab.locator(".message.mine")).to_have_count(0)


async def test_bad_input_13_hostile_text_in_question_answer_and_title_is_inert(browser: Browser, page: Page) -> None:
    page.knowledge.add("refund", HOSTILE, 0.95, HOSTILE)
    asked: list[str] = []
    here = await visit(browser, page)
    here.tab.on("request", lambda request: asked.append(request.url))
    await here.ask(HOSTILE)
    await here.tab.locator("details summary").click()
    await expect(here.tab.locator("details .text")).to_contain_text("window.hacked")
    assert await here.evaluate("window.hacked") is None
    assert await here.evaluate("document.querySelectorAll('#log script, #log img, #log a[href^=javascript]').length") == 0
    assert [url for url in asked if "evil.example" in url] == []
    assert here.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_at_360_pixels_nothing_scrolls_sideways_and_text_has_contrast(browser: Browser, page: Page, scheme: Any) -> None:
    page.knowledge.add("wide", "`" + "x" * 300 + "`\n\n```\n" + "y" * 300 + "\n```", 0.95, "W" * 120)
    here = await visit(browser, page, viewport={"width": 360, "height": 700}, color_scheme=scheme)
    await here.ask("wide " + "z" * 200)
    await here.tab.locator("details summary").click()
    assert await here.evaluate("document.documentElement.scrollWidth") <= 360
    colours = await here.evaluate(COLOURS)
    poor = [(name, contrast(ink, paper)) for name, ink, paper in colours if contrast(ink, paper) < 4.5]
    assert poor == []


def contrast(ink: str, paper: str) -> float:
    """WCAG 2 contrast ratio of two `rgb(...)` colours."""
    light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


async def test_everything_is_reached_with_the_keyboard_and_named_for_a_screen_reader(browser: Browser, page: Page) -> None:
    here = await visit(browser, page)
    await here.ask("refund?")
    await here.evaluate("document.body.focus(), document.activeElement.blur()")
    reached = []
    for _ in range(8):
        await here.tab.keyboard.press("Tab")
        reached.append(await here.evaluate("document.activeElement.textContent.trim() || document.activeElement.id"))
    assert {"Talk to a person", "New chat", "[1] How long does a refund take?", "question", "Send"} <= set(reached)
    await expect(here.tab.get_by_role("log", name="Conversation")).to_have_attribute("aria-live", "polite")
    await expect(here.tab.get_by_label("Your question")).to_be_visible()
