"""Customers who wait for a person, in the console: seen, taken, answered once, given back; in a real browser too."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from core.domain import Actor, Address, Citation, Decision, Hit, InboundMessage, Lineage, Owner, Passage, Reason, Reply
from core.handoff import Handoff, State
from core.members import EVERYWHERE, Role, Scope
from core.staff.handoff import WITH_YOU
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.handoff_book import SqlHandoffBook
from core.storage.inbox import SqlInbox
from core.storage.updates import SqlUpdates
from tests.bot.console.browsing import window
from tests.bot.console.desk import Desk
from tests.bot.console.test_pages import LOOKS

LINEAGE = Lineage("m", "i", "p", "e", "o")
HERE = Address("web", "local", "chat", "visitor-thread")
HITS = (Hit(Passage("refund", "refund", "How long does a refund take?", ""), 0.43), Hit(Passage("parcel", "parcel", "My parcel", ""), 0.2))
MARKUP = "<img src=x onerror=alert(1)> **I WANT A PERSON NOW**!!"


def answer(text: str, decision: Decision = Decision.ANSWER, reason: Reason = Reason.COMPOSED) -> Reply:
    return Reply(decision, reason, text, (Citation("refund", "How long?", None, 0.43),), 0.43, LINEAGE, hits=HITS)


async def said(database: Database, address: Address, actor: str, text: str, reply: Reply) -> None:
    """A customer says something and gets this."""
    inbox = SqlInbox(database)
    await inbox.accept(InboundMessage(f"{actor}-{text}", address, Actor(actor), text))
    claim = await inbox.claim(60)
    assert claim is not None
    await inbox.finish(claim, reply)


async def handed_over(database: Database, actor: str = "visitor-1", address: Address = HERE, text: str = MARKUP) -> Handoff:
    """A customer who waits."""
    await said(database, address, actor, "How long does a refund take?", answer("Refunds take 14 days."))
    await said(database, address, actor, text, answer("Of course.", Decision.HANDOFF, Reason.ASKED_FOR_PERSON))
    return next(one for one in await SqlHandoffBook(database).page(EVERYWHERE, 100) if one.customer_id == actor)


async def told(desk: Desk) -> list[str]:
    """What the customer was told besides answers."""
    while (delivery := await desk.graph.outbox.claim(["web"], 60)) is not None:
        await desk.graph.outbox.sent(delivery, "ref")
    return [one.text for one in await SqlUpdates(desk.graph.database).since(HERE, 0)]


async def test_an_agent_takes_a_customer_answers_once_and_gives_them_back(desk: Desk) -> None:
    handoff = await handed_over(desk.graph.database)
    browser, page = await desk.browser(Role.AGENT), f"/handoffs/{handoff.handoff_id}"
    assert (await browser.post(f"{page}/claim")).status_code == 303
    for _ in range(2):
        await browser.post(f"{page}/answer", {"text": "Hello!", "once": "the-same-form"})
    assert await told(desk) == [WITH_YOU, "Hello!"]
    assert await SqlConversationLog(desk.graph.database).owner(HERE) is Owner.STAFF
    shown = (await browser.get(page)).text
    assert "Hello!" in shown and "&lt;img src=x" in shown and "<img src=x" not in shown
    await browser.post(f"{page}/return")
    assert await SqlConversationLog(desk.graph.database).owner(HERE) is Owner.BOT
    await browser.post(f"{page}/answer", {"text": "too late", "once": "another"})
    assert "This was not sent" in (await browser.get(page)).text
    assert len(await told(desk)) == 3
    entries = await desk.graph.audit_log.entries(10)
    done = [(one.action, one.result) for one in reversed(entries) if one.action.startswith("handoff.")]
    answered = [("handoff.answer", "done")] * 2
    assert done == [("handoff.claim", "done"), *answered, ("handoff.return", "done"), ("handoff.answer", "too_late")]


async def test_of_two_agents_who_claim_the_second_is_told_who_was_first(desk: Desk) -> None:
    handoff = await handed_over(desk.graph.database)
    first, second = await desk.browser(Role.AGENT), await desk.browser(Role.AGENT)
    for browser in (first, second):
        await browser.post(f"/handoffs/{handoff.handoff_id}/claim")
    assert "This customer is yours." in (await first.get(f"/handoffs/{handoff.handoff_id}")).text
    assert "has this customer already." in (await second.get(f"/handoffs/{handoff.handoff_id}")).text


async def test_bad_input_48_hand_offs_of_other_workspaces_are_not_there(desk: Desk) -> None:
    theirs = await handed_over(desk.graph.database, "U1", Address("slack", "T2", "C1", "1.1"), "I want a person")
    mine = await handed_over(desk.graph.database, "U2", Address("slack", "T1", "C1", "1.2"), "I want a person")
    browser = await desk.browser(Role.AGENT, Scope(frozenset({("slack", "T1")})))
    page = (await browser.get("/handoffs")).text
    assert mine.handoff_id in page and theirs.handoff_id not in page
    for path in ("", "/thread"):
        assert (await browser.get(f"/handoffs/{theirs.handoff_id}{path}")).status_code == 404
    assert (await browser.post(f"/handoffs/{theirs.handoff_id}/claim")).status_code == 404
    assert [one.state for one in await SqlHandoffBook(desk.graph.database).page(EVERYWHERE, 10)] == [State.WAITING] * 2


async def test_a_conversation_tells_in_order_what_staff_and_the_customer_said_and_leads_to_the_hand_off(desk: Desk) -> None:
    handoff = await handed_over(desk.graph.database)
    browser, page = await desk.browser(Role.AGENT), f"/handoffs/{handoff.handoff_id}"
    await browser.post(f"{page}/answer", {"text": "Which <b>order</b>?", "once": "1"})
    await said(desk.graph.database, HERE, "visitor-1", "Number 4711", answer("", Decision.SILENT, Reason.WITH_PERSON))
    await browser.post(f"{page}/answer", {"text": "It is on its way.", "once": "2"})
    await browser.post(f"{page}/solve")
    await said(desk.graph.database, HERE, "visitor-1", "Thank you", answer("You are welcome."))
    (found,) = re.findall(r'href="/console(/conversations/[0-9a-f]{32})', (await browser.get("/search?q=welcome")).text)[:1]
    text = (await browser.get(found)).text
    told = [f'href="/console{page}"', "Which &lt;b&gt;order&lt;/b&gt;?", "Number 4711", "It is on its way.", "Thank you"]
    places = [text.index(one) for one in told]
    assert places == sorted(places)
    assert "not delivered" not in text and "solved" in text


async def test_every_page_says_how_much_waits_for_whoever_reads_it(desk: Desk) -> None:
    await handed_over(desk.graph.database, "U1", Address("slack", "T2", "C1", "1.1"), "I want a person")
    for scope, count in ((EVERYWHERE, "1"), (Scope(frozenset({("slack", "T1")})), "0")):
        page = (await (await desk.browser(Role.AGENT, scope)).get("/account")).text
        assert re.findall(r'data-count="handoffs">([^<]+)<', page) == [count]
        assert ('<span class="waits" hidden><span data-count="handoffs">' in page) == (count == "0")


async def test_a_viewer_reads_and_changes_nothing(desk: Desk) -> None:
    handoff = await handed_over(desk.graph.database)
    browser = await desk.browser(Role.VIEWER)
    page = (await browser.get(f"/handoffs/{handoff.handoff_id}")).text
    assert "How long does a refund take?" in page and "<textarea" not in page
    assert (await browser.post(f"/handoffs/{handoff.handoff_id}/claim")).status_code == 403


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
async def test_the_pages_of_hand_offs_can_be_read_by_everybody(desk: Desk, url: str, chromium: Browser, look: str) -> None:
    handoff = await handed_over(desk.graph.database)
    for number, platform in enumerate(("slack", "discord")):
        await handed_over(desk.graph.database, f"U0{number}ABCDEF", Address(platform, "T012345", "C1", f"{number}.1"), "I want a person")
    ann = await desk.member(Role.AGENT, EVERYWHERE, "ann@shop.example")
    here = await window(chromium, url, **LOOKS[look])
    await here.sign_in(desk, ann)
    await here.go("/handoffs")
    await here.look(f"handoffs-{look}")
    await here.go(f"/handoffs/{handoff.handoff_id}")
    await here.look(f"handoff-waiting-{look}")
    await here.tab.get_by_role("button", name="Claim").click()
    await expect(here.tab.get_by_role("status")).to_have_text("This customer is yours.")
    await here.tab.get_by_label("Answer").fill("Hello! I am looking into your refund.\nOne moment, please.")
    await here.tab.get_by_role("button", name="Send").click()
    await expect(here.tab.get_by_text("I am looking into your refund.")).to_be_visible()
    await said(desk.graph.database, HERE, "visitor-1", "thank you", answer("", Decision.SILENT, Reason.WITH_PERSON))
    await expect(here.tab.get_by_text("thank you")).to_be_visible(timeout=30_000)  # without a reload
    await here.look(f"handoff-claimed-{look}")
    await here.tab.get_by_role("button", name="Solved").click()
    await expect(here.tab.get_by_role("status")).to_contain_text("Marked as solved.")
    await here.go("/handoffs?closed=true")
    await here.look(f"handoffs-over-{look}")
