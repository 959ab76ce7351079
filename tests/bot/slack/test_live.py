"""What a thread shows while an answer is written, and that exactly one message is left of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.storage.database import Database
from tests.bot.slack.office import ANN, BOB, BOT, DIRECT, HELP, office, said
from tests.servers.slack import SlackPlatform

Open = Callable[[str], Awaitable[Database]]
ASK = f"<@{BOT}> how long does a parcel take?"


async def test_a_channel_sees_the_answer_grow_in_one_message(open_database: Open) -> None:
    gate = asyncio.Event()
    async with SlackPlatform() as slack, office(await open_database("sqlite"), slack, gate) as desk:
        root = await slack.say(ANN, HELP, ASK)
        await desk.answered()
        (preview,) = slack.by_bot(HELP)
        assert "A parcel takes 3 days." in preview.text
        assert preview.thread_ts == root
        gate.set()
        await slack.until(lambda: bool(slack.by_bot(HELP)[0].blocks))
        await desk.quiet()
        (answer,) = slack.by_bot(HELP)
        assert answer.ts == preview.ts
        assert "You can follow it on our page." in said(answer)
        assert slack.count("chat.postMessage") == 1
        assert slack.count("assistant.threads.setStatus") == 1


async def test_a_private_conversation_streams_and_ends_in_one_message_with_buttons(open_database: Open) -> None:
    gate = asyncio.Event()
    async with SlackPlatform() as slack, office(await open_database("sqlite"), slack, gate) as desk:
        await slack.say(ANN, DIRECT, "how long does a parcel take?")
        await slack.until(lambda: slack.count("chat.startStream") == 1)
        gate.set()
        await desk.quiet()
        (answer,) = slack.by_bot(DIRECT)
        assert "You can follow it on our page." in said(answer)
        assert "feedback_good" in str(answer.blocks)
        assert slack.count("chat.postMessage") == 0


@pytest.mark.parametrize("where", [HELP, DIRECT])
async def test_a_question_that_is_taken_back_leaves_nothing_of_its_answer(open_database: Open, where: str) -> None:
    gate = asyncio.Event()
    async with SlackPlatform() as slack, office(await open_database("sqlite"), slack, gate) as desk:
        root = await slack.say(ANN, where, ASK)
        await desk.answered()
        await slack.remove(where, root)
        await slack.until(lambda: not slack.by_bot(where))
        gate.set()
        await desk.quiet()
        assert slack.by_bot(where) == []


async def test_staff_who_answer_first_take_the_unfinished_answer_away(open_database: Open) -> None:
    gate = asyncio.Event()
    async with SlackPlatform() as slack, office(await open_database("sqlite"), slack, gate, staff=BOB) as desk:
        root = await slack.say(ANN, HELP, ASK)
        await desk.answered()
        await slack.say(BOB, HELP, "I take this one.", thread_ts=root)
        await slack.until(lambda: not slack.by_bot(HELP))
        gate.set()
        await desk.quiet()
        assert slack.by_bot(HELP) == []


async def test_the_next_answer_does_not_overwrite_one_whose_update_was_not_heard_of(open_database: Open) -> None:
    gate = asyncio.Event()
    async with SlackPlatform() as slack, office(await open_database("sqlite"), slack, gate) as desk:
        root = await slack.say(ANN, HELP, ASK)
        await desk.answered()
        slack.fail("chat.update", times=1, kind="reset_after_accept")
        gate.set()
        await desk.quiet()
        await slack.say(ANN, HELP, "and a refund?", thread_ts=root)
        await slack.until(lambda: len(slack.by_bot(HELP)) == 2)
        await desk.quiet()
        first, second = (said(message) for message in slack.by_bot(HELP))
        assert "You can follow it on our page." in first
        assert "Refunds take 14 days." in second


@pytest.mark.parametrize(("where", "method"), [(HELP, "chat.postMessage"), (DIRECT, "chat.startStream")])
async def test_a_preview_whose_place_was_never_told_is_found_and_replaced(open_database: Open, where: str, method: str) -> None:
    gate = asyncio.Event()
    async with SlackPlatform() as slack, office(await open_database("sqlite"), slack, gate) as desk:
        slack.fail(method, times=1, kind="reset_after_accept")
        await slack.say(ANN, where, ASK)
        await desk.answered()
        gate.set()
        await slack.until(lambda: bool(slack.by_bot(where)[0].blocks))
        await desk.quiet()
        (answer,) = slack.by_bot(where)
        assert "You can follow it on our page." in said(answer)
