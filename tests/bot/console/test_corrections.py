"""Correcting and deciding on the pages of the console: who may, what is shown, and what comes of it."""

from __future__ import annotations

import asyncio
import html
import time
from dataclasses import replace

import pytest

from core.corrections import Cause, State
from core.domain import Address, Decision, Reason, notice
from core.members import EVERYWHERE, Role, Scope
from core.storage.audit import SqlAuditLog
from tests.bot.console.desk import Browser, Desk
from tests.bot.console.kit import KNOWLEDGE, NO_ANSWER, REPLY, ask, corrections, fill, propose

T1, T2 = Scope(frozenset({("slack", "T1")})), Scope(frozenset({("slack", "T2")}))
PROPOSAL = {"question": "How long does a parcel take?", "answer": "4 days.", "cause": "missing_faq"}


async def audited(desk: Desk) -> list[tuple[str, str]]:
    return [(entry.action, entry.result) for entry in reversed(await SqlAuditLog(desk.graph.database).entries(50))]


async def state_of(desk: Desk, correction_id: str) -> State:
    found = await corrections(desk).store.get(correction_id, EVERYWHERE)
    assert found is not None
    return found.state


def words(page: str) -> str:
    return " ".join(html.unescape(page).split())


async def test_the_form_comes_with_the_masked_question_and_the_answer_that_was_wrong(desk: Desk) -> None:
    await fill(desk)
    turn_id = await ask(desk, "I am ann@example.com, how long does a parcel take?")
    page = (await (await desk.browser(Role.AGENT)).get(f"/corrections/new?turn={turn_id}")).text
    assert ">I am [email], how long does a parcel take?</textarea>" in page
    assert ">A parcel takes 3 days.</textarea>" in page
    assert 'value="wrong_text" checked' in page


async def test_a_question_without_an_answer_comes_with_what_staff_answered_then(desk: Desk) -> None:
    turn_id = await ask(desk, "do you ship to Mars?", NO_ANSWER)
    with_person = notice(Decision.SILENT, Reason.WITH_PERSON)
    await ask(desk, "are you there?", with_person)
    await ask(desk, "Not yet, only to the Moon.", with_person, actor="bob")
    page = (await (await desk.browser(Role.AGENT)).get(f"/corrections/new?turn={turn_id}")).text
    assert ">Not yet, only to the Moon.</textarea>" in page
    assert 'value="missing_faq" checked' in page


async def test_an_agent_proposes_and_an_editor_approves(desk: Desk) -> None:
    await fill(desk)
    turn_id = await ask(desk)
    agent, editor = await desk.browser(Role.AGENT), await desk.browser(Role.EDITOR)
    answer = await agent.post("/corrections/new", {**PROPOSAL, "cause": "wrong_text", "turn": turn_id, "do": "propose"})
    place = answer.headers["location"].removeprefix("/console")
    shown = (await agent.get(place)).text
    assert "Proposed." in shown and "Approve</button>" not in shown
    shown = (await editor.get(place)).text
    assert '<del><span class="hidden"> removed: </span>A parcel takes 3' in shown
    assert "Replaces the text of" in shown
    assert (await editor.post(f"{place}/approve", {"revision": 1})).headers["location"] == f"/console{place}"
    entry = await desk.graph.knowledge_store.entry(KNOWLEDGE, "parcel")
    assert entry is not None
    assert (entry.passage.text, entry.source) == ("4 days.", "corrections")
    assert "Approved. Customers get it with the next published version." in words((await editor.get(place)).text)
    assert "frontdesk knowledge publish" in (await editor.get(place)).text  # no embedder here


async def test_nobody_approves_their_own(desk: Desk) -> None:
    editor, _ = await desk.browser(Role.EDITOR), await desk.browser(Role.ADMIN)
    place = (await editor.post("/corrections/new", PROPOSAL)).headers["location"].removeprefix("/console")
    assert "somebody else has to approve it" in words((await editor.get(place)).text)
    refused = await editor.post(f"{place}/approve", {"revision": 1})
    assert (refused.status_code, "somebody else has to approve it" in words(refused.text)) == (403, True)
    assert ("correction.approve", "denied") in await audited(desk)


async def test_the_only_member_may_and_the_audit_says_so(desk: Desk) -> None:
    admin = await desk.browser(Role.ADMIN)
    place = (await admin.post("/corrections/new", PROPOSAL)).headers["location"].removeprefix("/console")
    assert (await admin.post(f"{place}/approve", {"revision": 1})).status_code == 303
    entry = (await SqlAuditLog(desk.graph.database).entries(1))[0]
    assert (entry.action, entry.detail["only_member"]) == ("correction.approve", True)


async def test_of_two_who_decide_at_once_one_is_told_how_it_stands(desk: Desk) -> None:
    one, other = await desk.browser(Role.EDITOR), await desk.browser(Role.EDITOR)
    waiting = await propose(desk)
    place = f"/corrections/{waiting.correction_id}"
    tokens = await one.csrf(), await other.csrf()
    answers = await asyncio.gather(
        one.post(f"{place}/approve", {"revision": 1}, csrf=tokens[0]),
        other.post(f"{place}/reject", {"revision": 1, "reason": "no"}, csrf=tokens[1]),
    )
    assert [answer.status_code for answer in answers] == [303, 303]
    pages = [words((await browser.get(place)).text) for browser in (one, other)]
    assert sum("Somebody changed or decided this meanwhile." in page for page in pages) == 1
    assert sum("correction" in action and result == "done" for action, result in await audited(desk)) == 2  # proposed, and one decision


async def test_an_edit_before_approval_keeps_how_it_read(desk: Desk) -> None:
    editor, waiting = await desk.browser(Role.EDITOR), await propose(desk)
    place = f"/corrections/{waiting.correction_id}"
    assert ">A parcel takes 4 days.</textarea>" in (await editor.get(f"{place}/edit")).text
    await editor.post(
        f"{place}/edit", {**PROPOSAL, "answer": "Four days.", "alternatives": "Parcel?\r\n\r\n When? ", "revision": 1, "do": "save"}
    )
    page = words((await editor.get(place)).text)
    assert "Saved." in page and "Version 1 by" in page and "<li><bdi>When?</bdi></li>" in page
    stale = await editor.post(f"{place}/approve", {"revision": 1})
    assert stale.status_code == 303
    assert "Somebody changed or decided this meanwhile." in words((await editor.get(place)).text)
    assert await state_of(desk, waiting.correction_id) is State.PENDING
    await editor.post(f"{place}/approve", {"revision": 2})
    assert await state_of(desk, waiting.correction_id) is State.APPROVED


async def test_a_rejection_needs_a_reason_and_shows_it(desk: Desk) -> None:
    editor, waiting = await desk.browser(Role.EDITOR), await propose(desk)
    place = f"/corrections/{waiting.correction_id}"
    refused = await editor.post(f"{place}/reject", {"revision": 1, "reason": " "})
    assert (refused.status_code, "Please say why" in refused.text) == (403, True)
    await editor.post(f"{place}/reject", {"revision": 1, "reason": "Prices change <b>weekly</b>."})
    assert "<bdi>Prices change &lt;b&gt;weekly&lt;/b&gt;.</bdi>" in (await editor.get(place)).text
    assert waiting.correction_id in (await editor.get("/corrections?state=rejected")).text


async def test_the_queue_shows_what_waits_first_in_pages(desk: Desk) -> None:
    agent = await desk.browser(Role.AGENT)
    assert "Nothing waits." in (await agent.get("/corrections")).text
    for number in range(31):
        await propose(desk, question=f"Question {number}?", answer=f"Answer {number}.")
    first, second = (await agent.get("/corrections")).text, (await agent.get("/corrections?page=1")).text
    assert first.index("Question 0?") < first.index("Question 1?")
    assert ("Question 29?" in first, "Question 30?" in first, "Question 30?" in second) == (True, False, True)
    assert 'page=1">More' in first and 'page=0">Back' in second


@pytest.mark.parametrize(
    "form", [{"question": "", "answer": "x"}, {"question": "x", "answer": " \n"}, {"question": "🙂", "answer": "\u200b"}]
)
async def test_an_empty_text_is_refused_and_what_was_written_stays(desk: Desk, form: dict[str, str]) -> None:
    agent = await desk.browser(Role.AGENT)
    refused = await agent.post("/corrections/new", {**form, "cause": "missing_faq", "alternatives": "kept line"})
    assert (refused.status_code, "both a question and an answer" in refused.text) == (422, True)
    assert "kept line</textarea>" in refused.text


async def test_12000_characters_are_taken_and_more_is_cut(desk: Desk) -> None:
    agent = await desk.browser(Role.AGENT)
    answer = await agent.post("/corrections/new", {**PROPOSAL, "answer": "ä" * 12_000})
    found = await corrections(desk).store.get(answer.headers["location"].rpartition("/")[2], EVERYWHERE)
    assert found is not None
    assert found.draft.answer == "ä" * 12_000
    assert (await agent.post("/corrections/new", {**PROPOSAL, "answer": "b" * 20_000})).status_code == 303
    assert (await agent.post("/corrections/new", {**PROPOSAL, "answer": "b" * 600_000})).status_code == 413


async def test_where_nothing_should_have_been_said_no_answer_is_needed(desk: Desk) -> None:
    agent, editor = await desk.browser(Role.AGENT), await desk.browser(Role.EDITOR)
    answer = await agent.post("/corrections/new", {"question": "Who won?", "answer": "", "cause": "should_have_abstained"})
    place = answer.headers["location"].removeprefix("/console")
    assert "Nothing enters the FAQ." in words((await editor.get(place)).text)
    await editor.post(f"{place}/approve", {"revision": 1})
    assert await desk.graph.knowledge_store.count(KNOWLEDGE) == 0


async def test_an_erased_turn_is_not_written_down_again(desk: Desk) -> None:
    agent, editor = await desk.browser(Role.AGENT), await desk.browser(Role.EDITOR)
    turn_id = await ask(desk)
    waiting = await propose(desk, turn_id)
    await desk.graph.privacy_desk.erase("slack", "T1", "ann")
    page = (await agent.get(f"/corrections/new?turn={turn_id}")).text
    assert "erased" in page and "how long" not in page
    refused = await agent.post("/corrections/new", {**PROPOSAL, "turn": turn_id})
    assert (refused.status_code, "has been erased meanwhile" in words(refused.text)) == (422, True)
    place = f"/corrections/{waiting.correction_id}"
    assert "It was erased with the person who asked." in (await editor.get(place)).text
    assert (await editor.post(f"{place}/approve", {"revision": 1})).status_code == 403


async def _forms(place: str) -> list[tuple[str, dict[str, object]]]:
    return [
        (f"{place}/approve", {"revision": 1}),
        (f"{place}/reject", {"revision": 1, "reason": "no"}),
        (f"{place}/edit", {**PROPOSAL, "revision": 1}),
    ]


async def test_bad_input_46_a_form_without_its_token_or_with_another_changes_nothing(desk: Desk) -> None:
    editor, other = await desk.browser(Role.EDITOR), await desk.browser(Role.EDITOR)
    waiting = await propose(desk)
    for path, form in [*(await _forms(f"/corrections/{waiting.correction_id}")), ("/corrections/new", PROPOSAL)]:
        for token in ("", await other.csrf(), "0" * 64):
            assert (await editor.post(path, form, csrf=token)).status_code == 403
    assert await state_of(desk, waiting.correction_id) is State.PENDING


async def test_bad_input_47_a_lower_role_decides_nothing_from_its_next_click_on(desk: Desk) -> None:
    waiting, member = await propose(desk), await desk.member(Role.EDITOR)
    browser = await desk.signed_in(member)
    await desk.sign_in.members.change(member.member_id, Role.AGENT, EVERYWHERE)
    for path, form in await _forms(f"/corrections/{waiting.correction_id}"):
        assert (await browser.post(path, form)).status_code == 403
    viewer = await desk.browser(Role.VIEWER)
    for path in ("/corrections", "/corrections/new", f"/corrections/{waiting.correction_id}", "/knowledge/unanswered"):
        assert (await viewer.get(path)).status_code == 403
    assert await state_of(desk, waiting.correction_id) is State.PENDING


async def test_bad_input_48_nothing_of_another_workspace_is_seen_or_decided(desk: Desk) -> None:
    turn_id = await ask(desk, "canary question?", NO_ANSWER)
    waiting = await propose(desk, turn_id, question="Canary?")
    theirs, mine = await desk.browser(Role.ADMIN, T2), await desk.browser(Role.EDITOR, T1)
    place = f"/corrections/{waiting.correction_id}"
    for path in (place, f"{place}/edit", f"/corrections/new?turn={turn_id}", "/corrections/no-such", "/corrections/new?turn=%00"):
        answer = await theirs.get(path)
        assert (answer.status_code, "anary" in answer.text) == (404, False), path
    for path, form in [*(await _forms(place)), ("/corrections/new", {**PROPOSAL, "turn": turn_id})]:
        assert (await theirs.post(path, form)).status_code == 404, path
    for path in ("/corrections", "/knowledge/unanswered"):
        assert "anary" not in (await theirs.get(path)).text
        assert "anary" in (await mine.get(path)).text
    assert ("console.look", "denied") in await audited(desk)
    assert await state_of(desk, waiting.correction_id) is State.PENDING


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</textarea><script>alert(1)</script>",
    "{{7*7}} {% raw %} %s {0.__class__}",
    "[x](javascript:alert(1)) <b>bold</b>",
    "\u202e' onmouseover='alert(1)",
    "=cmd|' /C calc'!A0",
]


async def test_bad_input_13_hostile_texts_are_inert_in_every_page(desk: Desk) -> None:
    editor = await desk.browser(Role.EDITOR)
    for number, text in enumerate(HOSTILE):
        turn_id = await ask(desk, f"{text} why {number}?", NO_ANSWER, Address("slack", "T1", "C1", str(number)))
        waiting = await propose(
            desk, turn_id, question=f"{text} why?", answer=f"{text} so.", alternatives=(f"{text} what",), cause=Cause.MISSING_FAQ
        )
        place = f"/corrections/{waiting.correction_id}"
        await editor.post(f"{place}/edit", {"question": f"{text} how?", "answer": f"{text} thus.", "cause": "missing_faq", "revision": 1})
        pages = [place, f"{place}/edit", "/corrections", f"/corrections/new?turn={turn_id}", "/knowledge/unanswered"]
        await editor.post(f"{place}/approve", {"revision": 2})
        pages += [place, f"/knowledge/passage?id=correction-{waiting.correction_id}", "/knowledge", "/corrections?state=approved"]
        for path in pages:
            shown = await editor.get(path)
            assert shown.status_code == 200, path
            assert_inert(shown.text)


def assert_inert(page: str) -> None:
    body = page.partition("<main")[2]
    for part in ("<script>alert", "<img src=x", "<b>", "onerror=alert(1)>", 'href="javascript:'):
        assert part not in body.replace("&lt;", "‹"), part
    assert body.count("<script") == page.count('<script src="/console/static/')


async def test_a_browser_without_a_session_is_sent_to_sign_in_and_scripts_are_told(desk: Desk) -> None:
    visitor: Browser = desk.visitor()
    assert (await visitor.get("/corrections")).headers["location"] == "/console/sign-in?next=/corrections"
    answer = await visitor.get("/knowledge/search.json?q=x", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


async def test_a_conversation_with_a_correction_of_words_that_repeat_holds_up_nobody(desk: Desk) -> None:
    turn_id = await ask(desk, reply=replace(REPLY, text="a " * 990))
    await propose(desk, turn_id, answer="b a " * 495)
    member = await desk.member(Role.VIEWER)
    place = await desk.console.state.console.reading.position(member, turn_id)
    browser, started = await desk.signed_in(member), time.perf_counter()
    assert (await browser.get(f"/conversations/{place[0]}")).status_code == 200
    assert time.perf_counter() - started < 5
