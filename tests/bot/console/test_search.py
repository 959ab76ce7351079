"""Search, its files, the overview and the live stream: filters that hold, files that no spreadsheet runs, figures, an end at sign-out."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select, update

from core.domain import Address, Decision, Reason, utc_now
from core.feedback import Feedback
from core.members import Role, Scope
from core.storage.member_tables import sessions
from core.storage.review_tables import reviews
from tests.bot.console.desk import Browser, Desk
from tests.contracts.counter import REPLY, SqlCounter

THERE = Address("slack", "T1", "C1", "t9")
MINE = Scope(frozenset({("test", "w")}))
UNSURE = replace(REPLY, decision=Decision.ANSWER, reason=Reason.COMPOSED, confidence=0.7)


@pytest.fixture
def counter(desk: Desk) -> SqlCounter:
    return SqlCounter(desk.graph.database)


async def test_what_is_looked_for_is_found_and_marked(desk: Desk, counter: SqlCounter) -> None:
    await counter.ask("Where is my <b>invoice</b>?")
    await counter.ask("parcel")
    text = (await (await desk.browser(Role.VIEWER)).get("/search?q=INVOICE")).text
    assert "<mark>invoice</mark>" in text and "parcel" not in text and "&lt;b&gt;" in text


async def test_pages_of_results_keep_what_was_asked(desk: Desk, counter: SqlCounter) -> None:
    for number in range(35):
        await counter.ask(f"pay {number:02}")
    browser = await desk.browser(Role.VIEWER)
    first = (await browser.get("/search?q=pay&decision=direct")).text
    address = first.partition('href="/console/search?q=pay&amp;decision=direct&amp;before=')[2].partition('"')[0]
    second = (await browser.get(f"/search?q=pay&decision=direct&before={address}")).text
    assert re.findall(r"</mark> (\d\d)", first + second) == [f"{number:02}" for number in reversed(range(35))]


@pytest.mark.parametrize(
    "query", ["decision=x", "since=2026-13-01", "until=never", "before=x", "before=-1", f"before={10**30}", "since=9999-12-31"]
)
@pytest.mark.parametrize("path", ["/search", "/search/export.csv"])
async def test_what_cannot_be_meant_is_refused_in_words(path: str, query: str, desk: Desk) -> None:
    if path != "/search" and "before" in query:
        return
    assert (await (await desk.browser()).get(f"{path}?{query}")).status_code == 422


async def test_bad_input_48_search_files_and_figures_know_one_scope(desk: Desk, counter: SqlCounter) -> None:
    await counter.ask("canary", address=THERE)
    await counter.ask("mine")
    await desk.graph.figure_book.refresh()
    browser = await desk.browser(Role.EDITOR, MINE)
    for path in ("/search", "/search?workspace=slack:T1", "/search/export.csv", "/search/export.jsonl?platform=slack", "/overview"):
        text = (await browser.get(path)).text
        assert "canary" not in text and '<option value="slack:T1"' not in text and "slack · T1" not in text
    assert "mine" in (await browser.get("/search/export.csv")).text


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r", "＝", "＠"])
async def test_bad_input_49_no_cell_of_a_csv_is_a_formula(begins: str, desk: Desk, counter: SqlCounter) -> None:
    await counter.ask("q", actor=f"{begins}cmd", reply=replace(REPLY, text=f'{begins}HYPERLINK("https://evil.example")\nnext "line"'))
    answer = await (await desk.browser(Role.EDITOR)).get("/search/export.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="turns.csv"'
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""), strict=True)
    assert row["answer"] == f'\'{begins}HYPERLINK("https://evil.example")\nnext "line"'
    assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


async def test_json_lines_say_what_was_said(desk: Desk, counter: SqlCounter) -> None:
    turn = await counter.ask("=not a formula here", reply=UNSURE)
    await counter.feedback.give(Feedback(turn, "ann", helpful=True))
    answer = await (await desk.browser(Role.EDITOR)).get("/search/export.jsonl")
    (document,) = [json.loads(line) for line in answer.text.splitlines()]
    assert (document["turn_id"], document["question"], document["helpful"]) == (turn, "=not a formula here", True)
    assert (document["model"], document["platform"], document["sources"]) == ("m", "test", [])


async def test_a_file_is_kept_in_the_audit_log_without_the_words_that_were_looked_for(desk: Desk, counter: SqlCounter) -> None:
    for number in range(3):
        await counter.ask(f"pay {number}")
    browser = await desk.browser(Role.EDITOR)
    await browser.get("/search/export.jsonl?q=pay&platform=test")
    last, first = [entry for entry in await desk.graph.audit_log.entries(20) if entry.action == "turns.export"]
    assert (first.result, first.detail["platform"], "pay" in json.dumps(first.detail)) == ("started", "test", False)
    assert (last.result, last.detail["turns"]) == ("done", 3)
    assert (await (await desk.browser(Role.AGENT)).get("/search/export.csv")).status_code == 403


async def test_the_overview_tells_figures_with_a_table_behind_each_chart(desk: Desk, counter: SqlCounter) -> None:
    await counter.ask("?")
    await counter.ask("?", reply=replace(REPLY, decision=Decision.HANDOFF, reason=Reason.LOW_CONFIDENCE))
    browser = await desk.browser(Role.VIEWER)
    assert "Nothing is counted yet" in (await browser.get("/overview")).text
    await desk.graph.figure_book.refresh()
    text = (await browser.get("/overview?days=7&price=0.5")).text
    assert text.count("<svg") == text.count('role="img"') == 3 == text.count("<desc")
    assert text.count("<table>") == 5
    assert "test · w" in text and "50 %" in text and "Cost" in text


@pytest.mark.parametrize(
    "query", ["since=x", "since=2026-02-01&until=2026-01-01", "since=2001-01-01", "price=much", "price=nan", "price=-1"]
)
async def test_a_period_or_a_price_that_cannot_be_is_refused_in_words(query: str, desk: Desk) -> None:
    assert (await (await desk.browser(Role.VIEWER)).get(f"/overview?{query}")).status_code == 422


@pytest.fixture
def streams(desk: Desk, url: str) -> Iterator[None]:
    """Let streams go on until the test ends."""
    desk.closing.clear()
    yield
    desk.closing.set()


def on_socket(browser: Browser, url: str) -> httpx.AsyncClient:
    """The same session on a real socket, over plain http as on the own machine."""
    cookies = {name.removeprefix("__Host-"): value for name, value in browser.client.cookies.items()}
    return httpx.AsyncClient(base_url=url, cookies=cookies, timeout=20)


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, dict[str, object]]]:
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        if line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


@pytest.mark.usefixtures("streams")
async def test_what_is_new_comes_without_reloading_and_the_stream_ends_with_the_session(desk: Desk, counter: SqlCounter, url: str) -> None:
    await counter.ask("before", reply=UNSURE)
    browser = await desk.browser(Role.AGENT, MINE)
    async with on_socket(browser, url) as client, client.stream("GET", "/console/live") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = events(answer)
        assert await anext(told) == ("counts", {"inbox": "1", "handoffs": "0", "claimed": "0", "corrections": "0"})
        seen: list[tuple[str, object]] = []
        await counter.ask("canary", address=THERE, reply=UNSURE)
        await counter.ask("fresh", reply=UNSURE)
        async for name, data in told:
            seen.append((name, data.get("question") or data.get("inbox")))
            if ("review", "fresh") in seen:
                break
        assert ("counts", "2") in seen and "canary" not in str(seen)
        await browser.post("/sign-out")
        assert [name for name, _ in [one async for one in told]][-1] == "over"


@pytest.mark.usefixtures("streams")
async def test_the_stream_ends_with_the_process(desk: Desk, url: str) -> None:
    browser = await desk.browser(Role.VIEWER)
    async with on_socket(browser, url) as client, client.stream("GET", "/console/live") as answer:
        told = events(answer)
        await anext(told)
        desk.closing.set()
        async with asyncio.timeout(30):
            assert [one async for one in told] == []


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "http://["}], ids=str)
async def test_no_other_site_may_listen(headers: dict[str, str], desk: Desk) -> None:
    browser = await desk.browser(Role.VIEWER)
    assert (await browser.get("/live", headers=headers)).status_code == 403


async def test_a_stream_needs_a_session(desk: Desk) -> None:
    assert (await desk.visitor().get("/live", headers={"accept": "text/event-stream"})).status_code == 401


async def test_a_page_that_only_listens_keeps_nobody_signed_in(desk: Desk) -> None:
    browser = await desk.browser(Role.VIEWER)
    for accept, is_use in (("text/event-stream", False), ("text/html", True)):
        async with desk.graph.database.write() as connection:
            long_ago = utc_now() - timedelta(minutes=5)
            await connection.execute(update(sessions).values(seen_at=long_ago))
        await browser.get("/live", headers={"accept": accept})
        async with desk.graph.database.read() as connection:
            assert ((await connection.execute(select(sessions.c.seen_at))).scalar_one() > long_ago) == is_use


async def test_a_page_that_lost_the_stream_hears_what_was_new_meanwhile(desk: Desk, counter: SqlCounter) -> None:
    browser = await desk.browser(Role.AGENT, MINE)
    await counter.ask("missed", reply=UNSURE)
    async with desk.graph.database.write() as connection:
        await connection.execute(update(reviews).values(queued_at=utc_now() - timedelta(minutes=5)))
    assert "missed" not in (await browser.get("/live")).text
    heard = int((utc_now() - timedelta(minutes=6)).timestamp() * 1000)
    assert "missed" in (await browser.get(f"/live?after={heard}")).text
    again = await browser.get("/live", headers={"last-event-id": str(heard)})
    assert "missed" in again.text and re.match(r"id: \d{13}\nevent: counts\n", again.text)
    assert (await browser.get("/live", headers={"last-event-id": "nonsense"})).status_code == 200
