"""What staff correct in Slack, in Discord and in the console meets in one queue, and reaches customers and training."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot.bootstrap import Frontdesk
from bot.bootstrap_console import console_of, sign_in_of
from bot.bootstrap_corrections import library_of
from bot.cli import cli
from bot.settings import Settings
from bot.web.app import build
from core import prompting
from core.members import Role
from core.storage.database import Database
from tests.bot.console.desk import Browser, Desk
from tests.scenarios import surfaces
from tests.scenarios.surfaces import Root, Surface

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("published")]
IMPORT, NORWAY, INVOICE = "How do I import my FAQ?", "Do you ship parcels to Norway?", "Can I pay by invoice?"
IMPORTED, SHIPPED, INVOICED = "Drop the file on the desk.", "Yes, parcels go to Norway for 9 euros.", "Companies can pay by invoice."


@dataclass
class Company:
    """Slack, Discord and a console on one database and one knowledge, searched with the real embedder."""

    graph: Frontdesk
    slack: Surface
    discord: Surface
    console: Desk

    async def answer_to(self, surface: Surface, question: str) -> str:
        root = await self.ask(surface, question)
        return surface.answers(root)[0]

    async def ask(self, surface: Surface, question: str) -> Root:
        root = await surface.begin("thread", question)
        await surface.until(lambda: surface.answers(root))
        await surface.desk.quiet()
        return root


@pytest.fixture
async def company(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Company]:
    async def health() -> dict[str, str]:
        return {}

    settings = Settings(model="extractive")
    database = Database(settings.database)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        await database.upgrade()
        graph = Frontdesk(settings, database, lambda line: None)
        retriever = graph.retriever("sample")
        library = library_of(graph, retriever)
        task = asyncio.create_task(library.releases.run())
        stack.callback(task.cancel)
        slack = await stack.enter_async_context(surfaces.slack(database, knowledge=retriever))
        discord = await stack.enter_async_context(surfaces.discord(database, knowledge=retriever))
        app = build(None, health, graph.metrics.exposition, console=console_of(graph, library))  # type: ignore[arg-type]
        console = Desk(graph, app, sign_in_of(graph), asyncio.Event())
        yield Company(graph, slack, discord, console)
        for client in console.clients:
            await client.aclose()


async def waiting(browser: Browser) -> list[str]:
    """The corrections that wait, the oldest first."""
    return re.findall(r'href="/console(/corrections/[0-9a-f]{32})"', (await browser.get("/corrections")).text)


async def published(browser: Browser) -> None:
    assert (await browser.post("/knowledge/publish")).status_code == 303
    async with asyncio.timeout(120):
        while (stage := (await browser.get("/knowledge/versions.json")).json())["is_running"]:  # noqa: ASYNC110  # as the page does
            await asyncio.sleep(0.1)
    assert (stage["problem"], bool(stage["version"])) == ("", True)


async def test_corrections_of_three_surfaces_meet_in_one_queue_and_reach_customers_and_training(company: Company, tmp_path: Path) -> None:
    slack, discord = company.slack, company.discord
    in_slack = await company.ask(slack, IMPORT)
    assert "frontdesk knowledge import" in slack.answers(in_slack)[0]
    await slack.correct(in_slack, {"question": "How does one import an own FAQ file?", "answer": IMPORTED, "cause": "wrong_text"})
    in_discord = await company.ask(discord, NORWAY)
    assert SHIPPED not in discord.answers(in_discord)[0]
    await discord.correct(in_discord, {"question": "Is Norway a country you send parcels to?", "answer": SHIPPED, "cause": "missing_faq"})
    agent, editor = await company.console.browser(Role.AGENT), await company.console.browser(Role.EDITOR)
    await agent.post("/corrections/new", {"question": INVOICE, "answer": INVOICED, "cause": "missing_faq"})

    places = await waiting(editor)
    pages = [(await editor.get(place)).text for place in places]
    assert [page.count(answer) > 0 for page, answer in zip(pages, (IMPORTED, SHIPPED, INVOICED), strict=True)] == [True] * 3
    assert "Replaces the text of" in pages[0] and "Adds a FAQ row" in pages[1]
    for place in places:
        assert (await editor.post(f"{place}/approve", {"revision": 1})).status_code == 303
    assert await waiting(editor) == []
    assert "Publish now" in (await editor.get(places[0])).text
    assert IMPORTED not in await company.answer_to(slack, IMPORT), "nothing is published yet"

    await published(editor)
    assert "Everything is published." in (await editor.get(places[0])).text
    found = (await agent.get(f"/knowledge/search.json?q={INVOICE}")).json()["hits"][0]
    assert (found["text"], found["chance"] > 0.85) == (INVOICED, True)
    for surface in (slack, discord):
        for question, answer in ((IMPORT, IMPORTED), (NORWAY, SHIPPED), (INVOICE, INVOICED)):
            assert answer in await company.answer_to(surface, question), question

    path = tmp_path / "approved.jsonl"
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["export", "training-data", str(path), "--json"], catch_exceptions=False)
    figures = json.loads(done.stdout)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["messages"][-1]["content"] for row in rows] == [f"{answer} [1]" for answer in (IMPORTED, SHIPPED, INVOICED)]
    assert [row["meta"]["origin"] for row in rows] == ["slack", "discord", "console"]
    assert (figures["rows"], figures["left_out"]) == (3, {})
    assert "# Training data: approved.jsonl" in path.with_suffix(".card.md").read_text()
    assert path.stat().st_mode & 0o077 == 0
    await same_prompts(company, rows)


async def same_prompts(company: Company, rows: list[dict]) -> None:  # type: ignore[type-arg]
    """Every prompt is the one that serving builds for that question."""
    retriever = company.graph.retriever("sample")
    for row, question in zip(
        rows, ("How does one import an own FAQ file?", "Is Norway a country you send parcels to?", INVOICE), strict=True
    ):
        hits = prompting.worth_reading((await retriever.retrieve(question)).hits, company.graph.settings.policy.candidate)
        served = prompting.build(question, tuple(hit.passage for hit in hits))
        assert row["messages"][:-1] == prompting.messages(served)


async def test_a_customers_own_words_train_nothing_until_that_is_switched_on(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = await company.ask(company.slack, NORWAY)
    await company.slack.correct(root, {"answer": SHIPPED, "cause": "missing_faq"})
    editor = await company.console.browser(Role.EDITOR)
    (place,) = await waiting(editor)
    assert "In a customer's own words" in (await editor.get(place)).text
    await editor.post(f"{place}/approve", {"revision": 1})
    path = tmp_path / "approved.jsonl"

    async def export() -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner(catch_exceptions=True).invoke, cli, ["export", "training-data", str(path)])
        return done.exit_code, str(done.exception)

    code, said = await export()
    assert (code, "training.customer_text does not allow" in said, path.exists()) == (1, True, False)
    monkeypatch.setenv("FRONTDESK_TRAINING__CUSTOMER_TEXT", "slack")
    assert (await export())[0] == 0
    assert json.loads(path.read_text())["meta"]["own_words"] is True
    (turn, *_) = await company.slack.desk.turns()
    await company.graph.privacy_desk.erase("slack", "T0TEAM", turn["actor_id"])
    code, said = await export()
    assert (code, "nothing is approved yet" in said) == (1, True)


async def test_unanswered_questions_are_grouped_by_meaning_and_gone_once_they_are_answered(company: Company) -> None:
    for surface, question in (
        (company.slack, NORWAY),
        (company.discord, "can you send a parcel to norway"),
        (company.slack, "Is there a gift card?"),
    ):
        await company.ask(surface, question)
    agent, editor = await company.console.browser(Role.AGENT), await company.console.browser(Role.EDITOR)
    page = (await agent.get("/knowledge/unanswered")).text
    assert page.index('2<span class="hidden"> times</span>') < page.index('1<span class="hidden"> times</span>')
    link = re.search(r'href="/console(/corrections/new\?turn=[0-9a-f]{32})" aria-label="Write an answer to: [^"]*orway', page)
    assert link
    form = (await agent.get(link[1])).text
    assert "orway" in form and 'value="missing_faq" checked' in form
    turn_id = link[1].partition("=")[2]
    proposal = {"question": "Do parcels go to Norway?", "answer": SHIPPED, "cause": "missing_faq", "turn": turn_id, "alternatives": NORWAY}
    place = (await agent.post("/corrections/new", proposal)).headers["location"].removeprefix("/console")
    await editor.post(f"{place}/approve", {"revision": 1})
    await published(editor)
    page = (await agent.get("/knowledge/unanswered")).text
    assert page.count("answered by now") == 1
