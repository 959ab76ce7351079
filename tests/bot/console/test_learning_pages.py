"""Corrections and knowledge in a real browser: by mouse and by keyboard, with and without scripts, light, dark and on a phone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from core.corrections import Cause
from core.domain import Address, Decision
from core.members import Role
from core.storage.database import Database
from retrieval import documents
from tests.bot.console.browsing import serving, window
from tests.bot.console.desk import Desk
from tests.bot.console.kit import KNOWLEDGE, NO_ANSWER, PARCEL, REPLY, Press, ask, fill, learning_desk, propose
from tests.bot.console.test_pages import LOOKS, press_until

pytestmark = pytest.mark.slow
SAMPLE = Path(documents.__file__).parent / "sample" / "frontdesk.jsonl"
LONG = "Parcels within the country take three days. " * 12 + "\n\nAbroad: ask us."
ASKED = [
    "Do you ship to Norway?", "can you ship parcels to norway", "shipping to Norway possible?", "Is there a gift card?", "gift card?",
    "Who won the match yesterday?", "هل تشحنون إلى النرويج؟", "<script>alert(1)</script> where is my order",
]  # fmt: skip


@pytest.fixture
async def both(open_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[tuple[Desk, Press]]:
    async with learning_desk(await open_database("sqlite")) as opened:
        yield opened
        for client in opened[0].clients:
            await client.aclose()


@pytest.fixture
def desk(both: tuple[Desk, Press]) -> Desk:
    return both[0]


@pytest.fixture
def press(both: tuple[Desk, Press]) -> Press:
    return both[1]


@pytest.fixture
async def url(desk: Desk) -> AsyncIterator[str]:
    async with serving(desk.app) as address:
        yield address


async def stocked(desk: Desk) -> dict[str, str]:
    """Fill the console with what a week brings; return places to look at."""
    await fill(desk, *documents.read(SAMPLE, "frontdesk.jsonl", strict=True).passages(), PARCEL)
    for version in ("1a2b3c4d5e6f", "6f5e4d3c2b1a"):
        await desk.graph.knowledge_store.add_release(KNOWLEDGE, version, 68, "sentence-transformers/all-MiniLM-L6-v2@53aa51172d14", "ann")
    for number, text in enumerate(ASKED):
        turn = await ask(desk, text, NO_ANSWER, Address("slack" if number % 2 else "discord", "T1", "C1", str(number)))
    answered = await ask(desk, "how long does a parcel take to arrive, I am ann@example.com", replace(REPLY, decision=Decision.ANSWER))
    wrong = await propose(desk, answered, question="How long does a parcel take?", answer="A parcel takes 4 days, abroad 9.")
    await propose(
        desk,
        turn,
        question="Where do I see where my order is?",
        answer=LONG,
        cause=Cause.MISSING_FAQ,
        alternatives=("Track my order", "Order status"),
    )
    silent = await propose(
        desk, None, question="Who won the match?", answer="", cause=Cause.SHOULD_HAVE_ABSTAINED, author="discord:7:42", origin="discord"
    )
    await propose(desk, None, question="<img src=x onerror=alert(1)> price?", answer="<b>9 €</b> " + "x" * 300, cause=Cause.WRONG_PASSAGE)
    return {
        "corrections": "/corrections", "correction": f"/corrections/{wrong.correction_id}",
        "abstain": f"/corrections/{silent.correction_id}", "form": f"/corrections/new?turn={answered}",
        "edit": f"/corrections/{wrong.correction_id}/edit", "nothing": "/corrections?state=approved", "knowledge": "/knowledge",
        "search": "/knowledge/search?q=how+do+I+import+my+FAQ", "passage": "/knowledge/passage?id=parcel",
        "new-passage": "/knowledge/passages/new", "versions": "/knowledge/versions", "unanswered": "/knowledge/unanswered",
    }  # fmt: skip


@pytest.mark.parametrize("look", LOOKS)
async def test_every_page_can_be_read_by_everybody(desk: Desk, url: str, chromium: Browser, look: str) -> None:
    places = await stocked(desk)
    here = await window(chromium, url, **LOOKS[look])
    await here.sign_in(desk, await desk.member(Role.EDITOR, name="Bea"))
    for name, path in places.items():
        await here.go(path)
        await here.look(f"{name}-{look}")


async def test_an_answer_is_corrected_approved_and_published(desk: Desk, press: Press, url: str, chromium: Browser) -> None:
    await fill(desk)
    turn_id = await ask(desk)
    agent, editor = await window(chromium, url), await window(chromium, url)
    await agent.sign_in(desk, await desk.member(Role.AGENT, name="Ann"))
    await editor.sign_in(desk, await desk.member(Role.EDITOR, name="Bea"))
    await agent.go(f"/corrections/new?turn={turn_id}")
    question = agent.tab.get_by_label("Question", exact=True)
    await question.fill("parcel")
    await expect(agent.tab.locator("#preview")).to_contain_text("How long does a parcel take?")
    await question.fill("zebra")
    await expect(agent.tab.locator("#preview")).to_have_text("Nothing is found.")
    await question.fill("How many days is a parcel on its way?")
    await agent.tab.get_by_label("What should be answered").fill("A parcel takes 4 days.")
    await agent.tab.get_by_role("button", name="Propose").click()
    await expect(agent.tab.get_by_role("status")).to_contain_text("Proposed.")
    await expect(agent.tab.get_by_role("button", name="Approve")).to_have_count(0)

    await editor.go("/corrections")
    await editor.tab.get_by_role("link", name="How many days is a parcel on its way?").click()
    await expect(editor.tab.locator(".diff ins")).to_contain_text("4")
    await editor.tab.get_by_role("button", name="Approve").click()
    await expect(editor.tab.get_by_role("status")).to_contain_text("Approved.")
    await editor.tab.get_by_role("button", name="Publish now").click()
    await expect(editor.tab.get_by_role("heading", name="A version is being published")).to_be_visible()
    await expect(editor.tab.locator("#step")).to_have_text("Embedding …")
    await editor.look("publishing-light")
    press.go_on.set()
    await expect(editor.tab.get_by_role("status")).to_contain_text("is published and served.")
    await editor.go("/knowledge")
    await expect(editor.tab.get_by_text("customers do not see yet")).to_have_count(0)
    assert agent.complaints == editor.complaints == []


async def test_a_version_is_served_again(desk: Desk, url: str, chromium: Browser) -> None:
    await stocked(desk)
    here = await window(chromium, url)
    await here.sign_in(desk, await desk.member(Role.EDITOR))
    await here.go("/knowledge/versions")
    await here.tab.get_by_role("button", name="Serve version 1a2b3c4d5e6f again").click()
    await expect(here.tab.get_by_role("status")).to_contain_text("Version 1a2b3c4d5e6f is served")
    await expect(here.tab.get_by_role("row", name="1a2b3c4d5e6f")).to_contain_text("served")
    assert await desk.graph.knowledge_store.active(KNOWLEDGE) == "1a2b3c4d5e6f"
    assert here.complaints == []


async def test_without_scripts_everything_works_through_buttons(desk: Desk, press: Press, url: str, chromium: Browser) -> None:
    await fill(desk)
    here = await window(chromium, url, java_script_enabled=False)
    await here.sign_in(desk, await desk.member(Role.ADMIN, name="Ann"))
    await here.go("/corrections/new")
    await here.tab.get_by_label("Question", exact=True).fill("When comes a parcel?")
    await here.tab.get_by_label("What should be answered").fill("In 4 days.")
    await here.tab.get_by_role("button", name="See what is found").click()
    await expect(here.tab.locator("#preview")).to_contain_text("How long does a parcel take?")
    await expect(here.tab.get_by_label("What should be answered")).to_have_value("In 4 days.")
    await here.tab.get_by_role("button", name="Propose").click()
    await here.tab.get_by_role("button", name="Approve").click()  # Ann is the only member
    await here.tab.get_by_role("button", name="Publish now").click()
    press.go_on.set()
    await expect(here.tab.get_by_role("status")).to_contain_text("is published and served.", timeout=30_000)  # the page refreshes itself


async def test_the_keyboard_is_enough(desk: Desk, url: str, chromium: Browser) -> None:
    await stocked(desk)
    here = await window(chromium, url)
    await here.sign_in(desk, await desk.member(Role.EDITOR))
    await here.go("/corrections")
    await press_until(here, "How long does a parcel take?")
    await here.tab.keyboard.press("Enter")
    await here.tab.wait_for_url("**/corrections/*")
    await press_until(here, "Edit first")
    await here.tab.keyboard.press("Enter")
    await here.tab.wait_for_url("**/edit")
    await here.tab.get_by_label("What should be answered").focus()
    await here.tab.keyboard.press("Control+End")
    await here.tab.keyboard.type(" Or five.")
    await press_until(here, "Save")
    await here.tab.keyboard.press("Enter")
    await expect(here.tab.get_by_role("status")).to_contain_text("Saved.")
    await press_until(here, "Approve")
    await here.tab.keyboard.press("Enter")
    await expect(here.tab.get_by_role("status")).to_contain_text("Approved.")
    assert here.complaints == []


async def test_bad_input_13_nothing_that_customers_or_staff_write_runs(desk: Desk, url: str, chromium: Browser) -> None:
    hostile = "<img src=x onerror='window.hacked=1'><script>window.hacked=2</script> [x](javascript:window.hacked=3) parcel"
    await fill(desk, replace(PARCEL, title=hostile, text=hostile, alternatives=(hostile,), url="javascript:window.hacked=4"))
    turn_id = await ask(desk, hostile, NO_ANSWER)
    said = await propose(
        desk, turn_id, question=hostile, answer=hostile, alternatives=(f"{hostile} other",), author=hostile, origin="slack"
    )
    here = await window(chromium, url)
    await here.sign_in(desk, await desk.member(Role.EDITOR, name=hostile[:60]))
    places = ["/corrections", f"/corrections/{said.correction_id}", f"/corrections/{said.correction_id}/edit", "/knowledge?q=parcel"]
    places += ["/knowledge/search?q=parcel", "/knowledge/passage?id=parcel", "/knowledge/unanswered", f"/corrections/new?turn={turn_id}"]
    for path in places:
        await here.go(path)
        assert await here.tab.evaluate("window.hacked") is None, path
    preview = here.tab.locator("#preview")
    await here.tab.get_by_label("Question", exact=True).fill("parcel x")
    await expect(preview).to_contain_text("window.hacked=2")
    assert await here.tab.evaluate("window.hacked") is None
    assert here.complaints == [], "nothing was blocked either: it never was markup"
