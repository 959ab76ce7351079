"""One behaviour: each scenario runs in Slack and in Discord, with the same rows in SQL at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from core.dialogue import wording
from core.feedback import FeedbackReason
from core.presence import Mode
from core.serving.resilient import ResilientGenerator
from core.storage.database import Database
from core.storage.feedback import SqlFeedbackLog
from tests.core.serving.remote_kit import remote
from tests.scenarios.surfaces import BOB, OPEN, Opened, Root, Surface
from tests.servers.openai import Fault, ModelServer

REFUNDS, PARCELS = "how long does a refund take?", "how long does a parcel take?"
REFUND, PARCEL = "Refunds take 14 days.", "A parcel takes 3 days."


@pytest.fixture(params=list(OPEN))
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def open_surface(platform: str, open_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[Opened]:
    async with AsyncExitStack() as stack:

        async def opened(**more: Any) -> Surface:
            surface: Surface = await stack.enter_async_context(OPEN[platform](await open_database("sqlite"), **more))
            return surface

        yield opened


@pytest.fixture
async def chat(open_surface: Opened) -> Surface:
    return await open_surface()


async def rows(chat: Surface) -> list[tuple[str, str, str]]:
    """What was asked and what the bot made of it."""
    means = chat.desk.writer.reasons
    return [(turn["question"], turn["decision"], means.get(turn["reason"], turn["reason"])) for turn in await chat.desk.turns()]


async def test_a_mention_is_answered_below_it_and_a_follow_up_needs_none(chat: Surface) -> None:
    root = await chat.ask(PARCELS)
    await chat.desk.quiet()
    await chat.say("and a refund?", below=root)
    await chat.desk.quiet()
    parcel, refund = chat.said(root)
    assert (PARCEL in parcel, REFUND in refund) == (True, True)
    assert await rows(chat) == [(PARCELS, "answer", "composed"), ("and a refund?", "direct", "confident")]


async def test_what_nobody_asked_the_bot_is_none_of_its_business(chat: Surface) -> None:
    await chat.say(REFUNDS)
    root = await chat.ask(REFUNDS)
    await chat.desk.quiet()
    await chat.say(PARCELS, BOB, below=root)  # staff here; whoever has not asked is not answered either
    await chat.desk.quiet()
    assert len(chat.said(root)) == 1


async def test_a_direct_message_is_answered_there(chat: Surface) -> None:
    await chat.direct(REFUNDS)
    await chat.desk.quiet()
    (answer,) = chat.said_directly()
    assert REFUND in answer
    assert await rows(chat) == [(REFUNDS, "direct", "confident")]


@pytest.mark.parametrize(
    ("mode", "asked", "spoken"), [(Mode.OFF, 0, 0), (Mode.MENTION, 1, 0), (Mode.THREAD, 1, 0), (Mode.CONFIDENT, 1, 1), (Mode.DRAFT, 0, 0)]
)
async def test_the_mode_of_a_channel_says_where_the_bot_speaks(chat: Surface, mode: Mode, asked: int, spoken: int) -> None:
    await chat.set_mode(mode)
    to_bot = await chat.ask(REFUNDS)
    to_all = await chat.say(REFUNDS)
    await chat.desk.quiet()
    assert (len(chat.said(to_bot)), len(chat.said(to_all))) == (asked, spoken)
    assert len(chat.said_to_staff()) == (2 if mode is Mode.DRAFT else 0)


async def test_it_is_silent_when_it_is_not_sure_and_nobody_asked_it(chat: Surface) -> None:
    await chat.set_mode(Mode.CONFIDENT)
    root = await chat.say("who won the match yesterday?")
    await chat.desk.quiet()
    assert chat.said(root) == []


async def test_whoever_wants_a_person_gets_one_and_the_bot_is_silent_while_staff_talk(chat: Surface) -> None:
    root = await chat.ask(REFUNDS)
    await chat.desk.quiet()
    await chat.say("I want a person", below=root)
    await chat.desk.quiet()
    assert len(chat.said(root)) == 2
    (alert,) = chat.said_to_staff()
    assert "waits for a person" in alert
    await chat.say("Hello, I am Bob.", BOB, below=root)
    await chat.say(PARCELS, below=root)
    await chat.desk.quiet()
    assert len(chat.said(root)) == 2
    assert [(decision, reason) for _, decision, reason in await rows(chat)] == [
        ("direct", "confident"), ("handoff", "asked_for_person"), ("silent", "with_person"), ("silent", "with_person")
    ]  # fmt: skip


async def test_an_edit_while_the_answer_is_written_begins_it_anew(open_surface: Opened) -> None:
    gate = asyncio.Event()
    chat = await open_surface(gate=gate)
    root = await chat.ask(PARCELS)
    await chat.desk.writer.began.wait()
    await chat.edit(root, REFUNDS)
    gate.set()
    await chat.desk.quiet()
    (answer,) = chat.said(root)
    assert REFUND in answer
    assert await rows(chat) == [(REFUNDS, "direct", "confident")]


async def test_a_question_that_is_taken_back_has_no_answer(open_surface: Opened) -> None:
    gate = asyncio.Event()
    chat = await open_surface(gate=gate)
    root = await chat.ask(PARCELS)
    await chat.desk.writer.began.wait()
    await chat.remove(root)
    gate.set()
    await chat.desk.quiet()
    await chat.until(lambda: chat.said(root) == [])  # what was shown is taken away beside everything else
    assert await rows(chat) == []


@pytest.mark.parametrize(
    ("platform", "kind"),
    [("slack", "thread"), ("slack", "direct"), ("discord", "thread"), ("discord", "post"), ("discord", "direct")],
    indirect=["platform"],
)
async def test_a_conversation_from_the_question_to_the_hand_over_and_back(open_surface: Opened, kind: str) -> None:
    chat = await open_surface()
    root = await chat.begin(kind, PARCELS)
    await chat.desk.quiet()
    await chat.go_on(root, "and a refund?")
    await chat.desk.quiet()
    assert [PARCEL in chat.answers(root)[0], REFUND in chat.answers(root)[1]] == [True, True]

    await chat.judge(root, "outdated", "prices changed")
    await chat.press(root, "person")
    await chat.until(chat.said_to_staff)
    await chat.desk.quiet()
    assert len(chat.answers(root)) == 3, "the customer is told that a person comes"
    if kind != "direct":  # there nobody but the customer and the bot can write
        await taken_over_and_given_back(chat, root)
    await chat.go_on(root, REFUNDS)
    await chat.desk.quiet()
    assert REFUND in chat.answers(root)[-1]

    with_staff = ["Hello Ann, I am looking into it.", "thanks! what about a refund?"] if kind != "direct" else []
    assert await rows(chat) == [
        (PARCELS, "answer", "composed"),
        ("and a refund?", "direct", "confident"),
        ("I want to talk to a person.", "handoff", "asked_for_person"),
        *((text, "silent", "with_person") for text in with_staff),
        (REFUNDS, "direct", "confident"),
    ]
    turn = (await chat.desk.turns())[0]
    (opinion,) = await SqlFeedbackLog(chat.desk.graph.database).of(turn["turn_id"])
    assert (opinion.helpful, opinion.reason, opinion.comment) == (False, FeedbackReason.OUTDATED, "prices changed")


async def taken_over_and_given_back(chat: Surface, root: Root) -> None:
    """Staff answer, the bot is silent, and comes back when it is told to."""
    before = len(chat.answers(root))
    await chat.go_on(root, "Hello Ann, I am looking into it.", BOB)
    await chat.go_on(root, "thanks! what about a refund?")
    await chat.desk.quiet()
    assert len(chat.answers(root)) == before
    await chat.hand_back()
    await chat.until(lambda: len(chat.answers(root)) == before + 1)
    assert "back" in chat.answers(root)[-1]


async def test_a_model_on_another_machine_writes_the_answer_and_is_named_in_it(open_surface: Opened) -> None:
    async with ModelServer(answer="A parcel takes 3 days. [1]") as server, remote(server) as generator:
        chat = await open_surface(generator=ResilientGenerator(generator))
        root = await chat.ask(PARCELS)
        await chat.desk.quiet()
    (answer,) = chat.said(root)
    (turn,) = await chat.desk.turns()
    assert PARCEL in answer and len(server.asked) == 1
    assert (turn["reason"], turn["lineage"]["model"]) == ("composed", generator.version)


async def test_a_machine_that_breaks_off_while_it_writes_leaves_one_answer_that_quotes(open_surface: Opened) -> None:
    server = ModelServer(answer="A parcel takes 3 days. [1] It is green.", always=Fault("break", pieces=7))
    async with server, remote(server) as generator:
        chat = await open_surface(generator=ResilientGenerator(generator))
        root = await chat.ask(PARCELS)
        async with asyncio.timeout(20):
            while not generator.load.running:  # noqa: ASYNC110  # a model rings no bell when it has begun to write
                await asyncio.sleep(0.01)
        server.gate.set()
        await chat.desk.quiet()
    (answer,) = chat.said(root)
    (turn,) = await chat.desk.turns()
    assert PARCEL in answer and "green" not in answer and wording.OR_A_PERSON in answer
    assert (turn["decision"], turn["reason"], turn["lineage"]["model"]) == ("answer", "quoted", "extractive")
