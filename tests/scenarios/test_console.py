"""A day of support in the console, in a real browser, from first sign-in to last sign-out; then every main page with a month in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from bot.bootstrap import Frontdesk
from bot.bootstrap_console import console_of, demo_store, first_link, sign_in_of
from bot.bootstrap_corrections import library_of
from bot.bootstrap_models import generator_of
from bot.live import Line, LiveAdapter, Watch
from bot.settings import Settings
from bot.web.app import Surroundings, build
from core.domain import utc_now
from core.members import Member, Role
from core.staff.demo_month import DemoMonth
from core.storage.database import Database
from tests.bot.console.browsing import Window, chromium_browser, serving, window
from tests.bot.console.desk import Desk
from tests.bot.console.models import CHALLENGER, CHAMPION, stocked
from tests.bot.console.test_pages import LOOKS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("published")]
NORWAY, SHIPPED = "Do you ship parcels to Norway?", "Yes, parcels go to Norway for 9 euros."
DEMO_TURNS = 400
MAIN_PAGES = ("inbox", "handoffs", "corrections", "knowledge", "knowledge/unanswered", "models", "overview", "audit", "members", "search")


@dataclass
class Office:
    """A Frontdesk that answers on its chat page and shows its console, on one socket."""

    graph: Frontdesk
    desk: Desk
    url: str
    page: httpx.AsyncClient

    async def say(self, text: str, conversation_id: str | None = None) -> dict[str, Any]:
        """A visitor of the chat page says something; the reply."""
        answer = await self.page.post("/api/chat", json={"message": text, "conversation_id": conversation_id})
        (line,) = [one for one in answer.text.replace("\r", "").split("\n\n") if one.startswith("event: reply")]
        return dict(json.loads(line.split("data: ", 1)[1]))

    async def heard(self, conversation_id: str) -> list[str]:
        """What the visitor was told by people; waits for the first word."""
        found = await self.page.get("/api/updates", params={"conversation_id": conversation_id, "after": 0})
        return [one["text"] for one in found.json()["updates"]]

    async def until_heard(self, conversation_id: str, text: str) -> None:
        async with asyncio.timeout(30):
            while text not in await self.heard(conversation_id):  # noqa: ASYNC110  # as the page does
                await asyncio.sleep(0.1)


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with chromium_browser() as opened:
        yield opened


@pytest.fixture
async def office(chromium: Browser) -> AsyncIterator[Office]:
    async def health() -> dict[str, str]:
        return {}

    settings = Settings(model="extractive")
    database = Database(settings.database)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        await database.upgrade()
        graph = Frontdesk(settings, database, lambda line: None)
        retriever, adapter = graph.retriever("sample"), LiveAdapter("web")
        library, closing = library_of(graph, retriever), asyncio.Event()
        engine, adapters = await graph.engine(retriever, await generator_of(graph)), {"web": adapter}
        parts = [library.releases.run(), graph.worker(engine, adapters).run(), graph.courier(adapters).run()]
        tasks = [asyncio.create_task(part) for part in parts]
        line, watch = Line(graph.dispatch, graph.inbox, adapter), Watch(graph.updates, adapter, seconds=1.0)
        page = Surroundings(line, graph.conversation_log, retriever.passage, retriever.titles, lambda: "quoting", watch.updates)
        app = build(page, health, graph.metrics.exposition, console=console_of(graph, library, retriever.passage, closing))  # type: ignore[arg-type]
        url = await stack.enter_async_context(serving(app))
        stack.callback(closing.set)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60))
        yield Office(graph, Desk(graph, app, sign_in_of(graph), closing), url, client)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def enter(office: Office, chromium: Browser, member: Member, **look: Any) -> Window:
    """Somebody signed in."""
    here = await window(chromium, office.url, **look)
    await here.sign_in(office.desk, member)
    return here


async def press(tab: Page, name: str) -> None:
    """Use a button with the keyboard alone."""
    await tab.get_by_role("button", name=name, exact=True).focus()
    await tab.keyboard.press("Enter")


def badge(tab: Page, name: str) -> Any:
    """The number in the navigation."""
    return tab.locator(f'nav[aria-label="Console"] [data-count="{name}"]')


async def test_a_day_in_the_console(office: Office, chromium: Browser) -> None:
    await stocked(office.desk)
    here = await window(chromium, office.url)
    await here.tab.goto(await first_link(office.graph, office.url))
    await here.look("day-1-link")
    await press(here.tab, "Sign in")
    await expect(here.tab.get_by_role("heading", name="Inbox")).to_be_visible()

    # Without a reload: a customer asks what nobody has written down, and waits for a person.
    await expect(badge(here.tab, "inbox")).to_be_hidden()
    asked = await office.say(NORWAY)
    assert SHIPPED not in asked["text"]
    await expect(badge(here.tab, "inbox")).to_have_text("1")
    await expect(here.tab.locator("#queue .question")).to_have_text([NORWAY])
    await expect(here.tab.get_by_role("button", name="Review the next one")).to_be_visible()
    await here.look("day-2-inbox")

    await correct_by_keyboard(here)
    await expect(badge(here.tab, "corrections")).to_have_text("1")
    editor = await enter(office, chromium, await office.desk.member(Role.EDITOR, name="Bea"))
    await approve_and_publish(editor)
    assert SHIPPED in (await office.say(NORWAY))["text"]
    await expect(badge(here.tab, "corrections")).to_be_hidden()

    await change_models(here)
    await take_over(office, here)
    await here.tab.get_by_role("button", name="Sign out").click()
    await expect(here.tab.get_by_role("heading", name="Sign in")).to_be_visible()
    await here.look("day-9-signed-out")
    await here.go("/inbox")
    await expect(here.tab.get_by_role("heading", name="Sign in")).to_be_visible()


async def correct_by_keyboard(here: Window) -> None:
    """Review the only item, and write what should have been said."""
    tab = here.tab
    await tab.keyboard.press("j")
    await tab.keyboard.press("Enter")
    await expect(tab.get_by_text("Is this reply right?")).to_be_visible()
    await here.look("day-3-conversation")
    await press(tab, "Needs correction")
    await expect(tab.get_by_role("heading", name="Correct an answer")).to_be_visible()
    question = tab.get_by_label("Question", exact=True)
    await question.focus()
    await tab.keyboard.press("Control+a")
    await tab.keyboard.type("How do I connect Slack?")
    await expect(tab.locator("#preview")).to_contain_text("manifest", timeout=30_000)  # the real embedder looks
    await tab.keyboard.press("Control+a")
    await tab.keyboard.type("Are parcels sent to Norway?")
    await tab.get_by_label("What should be answered").focus()
    await tab.keyboard.type(SHIPPED)
    await expect(tab.locator("#preview")).not_to_contain_text("manifest")
    await here.look("day-4-correct")
    await press(tab, "Propose")
    await expect(tab.get_by_role("status")).to_contain_text("Proposed.")


async def approve_and_publish(here: Window) -> None:
    """Somebody else approves, and follows the version until it is there."""
    tab = here.tab
    await tab.get_by_role("link", name="Corrections").click()
    await tab.get_by_role("link", name="Are parcels sent to Norway?").click()
    await expect(tab.get_by_role("heading", name="What changes")).to_have_count(0)  # nothing was answered
    await here.look("day-5-approve")
    await press(tab, "Approve")
    await press(tab, "Publish now")
    await expect(tab.get_by_text("is published and served")).to_be_visible(timeout=120_000)
    await here.look("day-6-published")


async def change_models(here: Window) -> None:
    """Promote a model, and take that back."""
    tab = here.tab
    champion = tab.locator(".card", has=tab.locator(".tag.good")).first
    await tab.get_by_role("link", name="Models").click()
    await tab.get_by_role("link", name="Promote", exact=True).first.click()
    await here.look("day-7-promote")
    await press(tab, "Do it")
    await expect(champion).to_contain_text(CHALLENGER)
    await tab.get_by_role("link", name="Roll back").click()
    await press(tab, "Do it")
    await expect(champion).to_contain_text(CHAMPION)
    await here.look("day-7-models")


async def take_over(office: Office, here: Window) -> None:
    """A customer asks for a person, is helped, and is with the bot again; the conversation tells it."""
    tab = here.tab
    await tab.get_by_role("link", name="Hand-offs").click()
    asked = await office.say("human please")
    conversation_id = asked["conversation_id"]
    row = tab.locator("tbody tr", has_text="human please")
    await expect(row).to_be_visible(timeout=15_000)  # without a reload
    await here.look("day-8-handoffs")
    await row.get_by_role("link").click()
    await press(tab, "Claim")
    await expect(tab.get_by_role("status")).to_have_text("This customer is yours.")
    await tab.get_by_label("Answer").fill("Hello! How can I help?")
    await press(tab, "Send")
    await office.until_heard(conversation_id, "Hello! How can I help?")
    assert (await office.say("My parcel is lost", conversation_id))["text"] == ""
    await expect(tab.get_by_text("My parcel is lost")).to_be_visible(timeout=15_000)
    await here.look("day-8-handoff")
    await press(tab, "Return to the bot")
    await expect(tab.get_by_role("status")).to_contain_text("with the bot again")
    await here.go("/search?q=human")
    await tab.locator(".question a").first.click()
    told = tab.locator(".thread > li")
    await expect(told.filter(has_text="Hello! How can I help?")).to_be_visible()
    await expect(told.filter(has_text="My parcel is lost")).to_be_visible()
    await expect(tab.get_by_role("link", name="Handed over to a person")).to_be_visible()
    await here.look("day-8-conversation")


@pytest.mark.parametrize("look", LOOKS)
async def test_the_main_pages_can_be_read_with_a_month_of_made_up_work(office: Office, chromium: Browser, look: str) -> None:
    await stocked(office.desk)
    graph = office.graph
    await demo_store(graph).fill(DemoMonth(graph.sample(), utc_now()).conversations(DEMO_TURNS), lambda _done: None)
    await graph.figure_book.refresh_all()
    here = await enter(office, chromium, await office.desk.member(Role.ADMIN, name="Ann"), **LOOKS[look])
    for name in (
        "inbox",
        "handoffs",
        "corrections",
        "knowledge",
        "knowledge/unanswered",
        "models",
        "overview",
        "audit",
        "members",
        "search",
    ):
        await here.go(f"/{name}")
        await here.look(f"month-{name.replace('/', '-')}-{look}")
    for name in ("handoffs", "corrections"):
        await here.go(f"/{name}")
        await here.tab.locator("tbody a, .list .headline").first.click()
        await here.look(f"month-one-of-{name}-{look}")
    await here.go("/inbox")
    await here.tab.get_by_role("button", name="Review the next one").click()
    await expect(here.tab.get_by_text("Is this reply right?")).to_be_visible()
    await here.look(f"month-conversation-{look}")
