"""Cancelling a worker drains it: what runs is finished or given back, and nothing new is begun."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.delivery.crew import Bell
from core.delivery.worker import Terms, Worker
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from tests.core.delivery.scripted import (
    ELSEWHERE,
    HERE,
    Dialogue,
    Journal,
    JournalInbox,
    forever,
    in_background,
    message,
)

Given = tuple[Database, Journal, JournalInbox, Dialogue]


@pytest.fixture
async def given(open_database: Callable[[str], Awaitable[Database]]) -> Given:
    database, journal = await open_database("sqlite"), Journal()
    return database, journal, JournalInbox(database, journal), Dialogue(journal)


async def no_preview(*_: object) -> None:
    return


def worker(given: Given, terms: Terms) -> Worker:
    database, _, inbox, dialogue = given
    return Worker(inbox, SqlConversationLog(database), dialogue, no_preview, Bell(), Bell(), terms)


async def test_what_runs_is_finished_and_nothing_new_is_claimed(given: Given) -> None:
    _, journal, inbox, dialogue = given
    go = asyncio.Event()

    async def wait_for_go() -> None:
        await go.wait()

    dialogue.script.append(wait_for_go)
    await inbox.accept(message(1))
    async with in_background(worker(given, Terms(at_once=1)).run()) as running:
        await journal.has("asked")
        running.cancel()
        await inbox.accept(message(2, ELSEWHERE))
        go.set()
        await asyncio.wait([running])
    assert journal.entries == ["claimed", "asked", "finish"]
    assert (await inbox.backlog()).waiting == 1


async def test_what_does_not_end_in_time_is_released_and_costs_no_attempt(given: Given) -> None:
    database, journal, inbox, dialogue = given
    dialogue.script.append(forever)
    await inbox.accept(message(1))
    async with in_background(worker(given, Terms(drain=0.01)).run()) as running:
        await journal.has("asked")
        running.cancel()
        await asyncio.wait([running])
    assert journal.entries == ["claimed", "asked", "stopped", "release"]
    again = await SqlInbox(database).claim(60)
    assert again is not None
    assert again.attempts == 1


async def test_a_claim_that_was_under_way_when_the_cancellation_came_is_answered(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    database, _, inbox, _ = given
    written, go = asyncio.Event(), asyncio.Event()
    claim = inbox.claim

    async def claim_slowly(seconds: float) -> object:
        got = await claim(seconds)
        written.set()
        await go.wait()
        return got

    monkeypatch.setattr(inbox, "claim", claim_slowly)
    await inbox.accept(message(1))
    async with in_background(worker(given, Terms()).run()) as running:
        await written.wait()
        running.cancel()
        await asyncio.wait([running], timeout=0)
        go.set()
        await asyncio.wait([running])
    assert [turn.reply.text for turn in await SqlConversationLog(database).turns(HERE)] == ["TEXT 1"]


async def test_the_next_release_goes_on_where_the_old_one_stopped(given: Given) -> None:
    database, journal, inbox, dialogue = given
    dialogue.script.append(forever)
    await inbox.accept(message(1))
    async with in_background(worker(given, Terms(drain=0.01)).run()) as old:
        await journal.has("asked")
        async with in_background(worker(given, Terms()).run()):
            old.cancel()
            await journal.has("finish")
    assert len(await SqlConversationLog(database).turns(HERE)) == 1


async def test_an_answer_is_not_lost_when_the_database_is_away_at_the_release(given: Given) -> None:
    database, journal, inbox, dialogue = given
    dialogue.script.append(forever)
    inbox.failing["release"] = 1
    await inbox.accept(message(1))
    async with in_background(worker(given, Terms(drain=0.01, lease=0.2)).run()) as old:
        await journal.has("asked")
        old.cancel()
        await journal.has("release failed")
    async with in_background(worker(given, Terms()).run()):
        await journal.has("finish")
    assert len(await SqlConversationLog(database).turns(HERE)) == 1
