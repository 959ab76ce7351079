"""Reading and writing single passages, and their versions, on the pages of the console."""

from __future__ import annotations

import asyncio
import html
import re
from urllib.parse import quote

import pytest

from core.domain import Address, Passage
from core.members import Role
from core.storage.audit import SqlAuditLog
from tests.bot.console.desk import Desk
from tests.bot.console.kit import KNOWLEDGE, NO_ANSWER, PARCEL, ask, fill

ROW = {"title": "Do you ship abroad?", "text": "To the EU.", "alternatives": "Shipping to France?\r\nEU?", "url": "https://shop.example/eu"}


def words(page: str) -> str:
    return " ".join(html.unescape(page).split())


def version_in(page: str) -> str:
    found = re.search(r'name="version" value="([0-9a-f]{32})"', page)
    assert found
    return found[1]


async def test_passages_are_browsed_searched_and_paged(desk: Desk) -> None:
    rows = [Passage(f"p-{number:03}", "d", f"Title {number}?", f"Text {number}.") for number in range(60)]
    await fill(desk, *rows, PARCEL)
    viewer = await desk.browser(Role.VIEWER)
    first = (await viewer.get("/knowledge")).text
    assert ("61 passages" in first, "Title 49?" in first, "Title 50?" in first) == (True, True, False)
    assert "Title 59?" in (await viewer.get("/knowledge?page=1")).text
    found = (await viewer.get("/knowledge?q=TITLE 59")).text
    assert ("1 passage" in found, "Title 59?" in found, "Title 58?" in found) == (True, True, False)
    assert "No passage holds these words." in (await viewer.get("/knowledge?q=nothing%25")).text
    assert "Add a FAQ row" not in first


async def test_a_row_is_added_changed_and_taken_out(desk: Desk) -> None:
    editor = await desk.browser(Role.EDITOR)
    place = (await editor.post("/knowledge/passages/new", ROW)).headers["location"].removeprefix("/console")
    page = (await editor.get(place)).text
    assert "Saved." in page and ">Shipping to France?\nEU?</textarea>" in page and "<dd><bdi>console</bdi></dd>" in page
    form = {**ROW, "id": place.partition("id=")[2], "version": version_in(page), "text": "To the EU and Norway."}
    assert (await editor.post("/knowledge/passage", form)).status_code == 303
    (kept,) = await desk.graph.knowledge_store.passages(KNOWLEDGE)
    assert (kept.text, kept.alternatives, kept.curated) == ("To the EU and Norway.", ("Shipping to France?", "EU?"), True)
    form["version"] = version_in((await editor.get(place)).text)
    assert (await editor.post("/knowledge/passage/delete", form)).headers["location"] == "/console/knowledge"
    assert await desk.graph.knowledge_store.passages(KNOWLEDGE) == ()
    assert (await editor.get(place)).headers["location"] == "/console/knowledge"
    audited = [(entry.action, entry.result) for entry in reversed(await SqlAuditLog(desk.graph.database).entries(3))]
    assert audited == [("knowledge.add", "done"), ("knowledge.edit", "done"), ("knowledge.delete", "done")]


async def test_a_row_of_a_file_says_what_becomes_of_it_and_keeps_what_the_form_does_not_show(desk: Desk) -> None:
    await fill(desk, Passage("ret/1#a b", "d", "Return?", "30 days.", category="c", locale="en", tags=("t",), curated=False))
    editor = await desk.browser(Role.EDITOR)
    place = f"/knowledge/passage?id={quote('ret/1#a b', safe='')}"
    page = (await editor.get(place)).text
    assert "This comes from <bdi>faq.csv</bdi>" in page and "Section of a document" in page
    form = {"id": "ret/1#a b", "version": version_in(page), "title": "Return?", "text": "60 days.", "alternatives": "", "url": ""}
    await editor.post("/knowledge/passage", form)
    entry = await desk.graph.knowledge_store.entry(KNOWLEDGE, "ret/1#a b")
    assert entry is not None
    assert (entry.passage, entry.source) == (
        Passage("ret/1#a b", "d", "Return?", "60 days.", category="c", locale="en", tags=("t",), curated=False), "console",
    )  # fmt: skip


async def test_of_two_who_write_at_once_one_sees_that_and_loses_no_word(desk: Desk) -> None:
    await fill(desk)
    one, other = await desk.browser(Role.EDITOR), await desk.browser(Role.EDITOR)
    form = {"id": "parcel", "version": version_in((await one.get("/knowledge/passage?id=parcel")).text), "title": PARCEL.title}
    answers = await asyncio.gather(
        *(who.post("/knowledge/passage", {**form, "text": text}) for who, text in ((one, "by one"), (other, "by other")))
    )
    assert sorted(answer.status_code for answer in answers) == [303, 422]
    lost = next(answer for answer in answers if answer.status_code == 422)
    assert "Somebody changed this passage meanwhile." in words(lost.text)
    assert ">by one</textarea>" in lost.text or ">by other</textarea>" in lost.text
    stale = await one.post("/knowledge/passage/delete", form)
    assert (stale.status_code, await desk.graph.knowledge_store.count(KNOWLEDGE)) == (422, 1)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"title": " ", "text": "x"}, "both a question and an answer"),
        ({"title": "x", "text": "\u200b"}, "both a question and an answer"),
        ({"url": "javascript:alert(1)"}, "The link must begin with"),
    ],
)
async def test_what_cannot_be_a_row_is_refused_with_what_was_written(desk: Desk, form: dict[str, str], said: str) -> None:
    editor = await desk.browser(Role.EDITOR)
    refused = await editor.post("/knowledge/passages/new", {**ROW, **form})
    assert (refused.status_code, said in refused.text, "Shipping to France?" in refused.text) == (422, True, True)
    assert await desk.graph.knowledge_store.count(KNOWLEDGE) == 0


async def test_without_an_embedder_nothing_is_found_or_published_and_the_page_says_so(desk: Desk) -> None:
    await fill(desk)
    editor = await desk.browser(Role.EDITOR)
    assert (await editor.get("/knowledge/search.json?q=parcel")).json() == {"can_find": False, "hits": []}
    page = words((await editor.get("/knowledge/versions")).text)
    assert "Run <code>frontdesk knowledge publish</code>" in page and "Publish now" not in page
    refused = await editor.post("/knowledge/publish")
    assert refused.status_code == 303
    assert "no embedder" in words((await editor.get("/knowledge/versions")).text)
    assert (await editor.get("/knowledge/versions.json")).json()["is_running"] is False


async def test_an_older_version_is_served_again(desk: Desk) -> None:
    store = desk.graph.knowledge_store
    for version in ("v1", "v2"):
        await store.add_release(KNOWLEDGE, version, 3, "embedder@1", "ann")
    editor = await desk.browser(Role.EDITOR)
    assert 'aria-label="Serve version v1 again"' in (await editor.get("/knowledge/versions")).text
    await editor.post("/knowledge/rollback", {"version": "v1"})
    assert await store.active(KNOWLEDGE) == "v1"
    await editor.post("/knowledge/rollback", {"version": "never"})
    assert "never published" in (await editor.get("/knowledge/versions")).text
    entry = (await SqlAuditLog(desk.graph.database).entries(1))[0]
    assert (entry.action, entry.result, entry.detail) == ("knowledge.rollback", "done", {"version": "v1"})


async def test_unanswered_questions_are_counted_and_lead_to_a_form(desk: Desk) -> None:
    agent = await desk.browser(Role.AGENT)
    assert "Every question found an answer." in (await agent.get("/knowledge/unanswered")).text
    for number, text in enumerate(["Do you ship to Mars?", "do you ship to mars?", "Do you ship to Mars?", "Gift cards?"]):
        turn_id = await ask(desk, text, NO_ANSWER, Address("slack", "T1", "C1", str(number)))
    page = (await agent.get("/knowledge/unanswered")).text
    assert page.index('3<span class="hidden"> times</span>') < page.index('1<span class="hidden"> times</span>')
    assert f'href="/console/corrections/new?turn={turn_id}"' in page


WRITING = [
    ("/knowledge/passages/new", ROW), ("/knowledge/passage", {**ROW, "id": "parcel", "version": "x"}), ("/knowledge/publish", {}),
    ("/knowledge/passage/delete", {"id": "parcel", "version": "x"}), ("/knowledge/rollback", {"version": "v1"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "form"), WRITING, ids=lambda value: value if isinstance(value, str) else "")
async def test_bad_input_46_47_only_editors_with_their_own_form_write(desk: Desk, path: str, form: dict[str, object]) -> None:
    await fill(desk)
    agent, editor = await desk.browser(Role.AGENT), await desk.browser(Role.EDITOR)
    assert (await agent.post(path, form)).status_code == 403
    for token in ("", await agent.csrf()):
        assert (await editor.post(path, form, csrf=token)).status_code == 403
    assert await desk.graph.knowledge_store.passages(KNOWLEDGE) == (PARCEL,)


@pytest.mark.parametrize(
    "path",
    [
        "/knowledge/passage?id=%00",
        "/knowledge/passage",
        "/knowledge?page=99999",
        "/knowledge?q=%F0%9F%98%80%00",
        "/knowledge/search?q=%ED%A0%80",
    ],
)
async def test_odd_addresses_are_pages_not_errors(desk: Desk, path: str) -> None:
    assert (await (await desk.browser(Role.VIEWER)).get(path)).status_code in (200, 303)


@pytest.mark.parametrize("path", ["/knowledge?page=-1", "/knowledge?page=x", "/corrections?state=x", f"/knowledge?q={'x' * 5000}"])
async def test_impossible_addresses_are_refused_kindly(desk: Desk, path: str) -> None:
    answer = await (await desk.browser(Role.ADMIN)).get(path)
    assert (answer.status_code, "Please check:" in answer.text) == (422, True)
