"""A flood gets one notice and then silence, every message of it is kept, and nobody else notices."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.delivery.courier import Courier
from core.delivery.crew import Bell
from core.delivery.worker import Worker
from core.dialogue import wording
from core.domain import Decision, Reason, Reply
from core.quota import Allowance
from core.serving.extractive import ExtractiveGenerator
from core.storage.database import Database
from tests.core.delivery.desk import CURATED, HERE, WRITTEN, Desk, Screen

ONE_A_MINUTE = Allowance(user_per_minute=1, conversation_per_minute=0, workspace_per_minute=0, everybody_per_minute=0)
TOO_MANY, SILENCE = (Decision.CLARIFY, Reason.TOO_MANY), (Decision.SILENT, Reason.TOO_MANY)


def verdicts(replies: list[Reply]) -> list[tuple[Decision, Reason]]:
    return [(reply.decision, reply.reason) for reply in replies]


async def test_bad_input_41_fifty_messages_of_one_user_get_one_answer_and_one_notice_and_all_are_kept(database: Database) -> None:
    desk = Desk(database)
    for _ in range(50):
        await desk.accept()
    assert verdicts(await desk.answer_all()) == [(Decision.DIRECT, Reason.CONFIDENT), TOO_MANY, SILENCE]
    assert [delivery.reply.text for delivery in await desk.deliver_all()] == [CURATED, wording.TOO_MANY]
    assert sum(len(turn.question.split("\n")) for turn in await desk.log.turns(HERE)) == 50
    assert (await desk.inbox.backlog()).waiting == 0


@pytest.mark.parametrize(
    "allowance",
    [Allowance(user_per_minute=3), Allowance(user_per_minute=0, conversation_per_minute=3)],
    ids=["limit of the user", "limit of the conversation"],
)
async def test_bad_input_33_two_bots_that_answer_each_other_stop(database: Database, allowance: Allowance) -> None:
    desk = Desk(database, allowance)
    said = ["refund?"]
    answers = 0
    while said:
        await desk.say(said.pop(), actor="other-bot")
        said += [f"You said: {delivery.reply.text} A refund?" for delivery in await desk.deliver_all()]
        answers += len(said)
    assert answers == 4  # three answers and the notice


async def test_a_notice_is_given_again_in_the_next_minute_and_answers_too(database: Database) -> None:
    desk = Desk(database, ONE_A_MINUTE)
    first = [(await desk.say()).reason for _ in range(3)]
    await desk.let_pass(61)
    second = [(await desk.say()).reason for _ in range(3)]
    assert first == second == [Reason.CONFIDENT, Reason.TOO_MANY, Reason.TOO_MANY]
    assert len(await desk.deliver_all()) == 4


async def test_a_flood_through_many_conversations_of_a_workspace_gets_one_notice(database: Database) -> None:
    desk = Desk(database, ONE_A_MINUTE)
    replies = [await desk.say(address=replace(HERE, thread_id=f"t{number}")) for number in range(4)]
    assert verdicts(replies) == [(Decision.DIRECT, Reason.CONFIDENT), TOO_MANY, SILENCE, SILENCE]


async def test_other_customers_are_answered_during_a_flood(database: Database) -> None:
    desk = Desk(database, ONE_A_MINUTE)
    for _ in range(3):
        await desk.say()
    assert (await desk.say(address=replace(HERE, thread_id="t2"), actor="bob")).text == CURATED


async def test_people_who_talk_to_each_other_get_no_notice_and_use_up_nothing(database: Database) -> None:
    desk = Desk(database, ONE_A_MINUTE)
    reasons = {(await desk.say(for_bot=False)).reason for _ in range(3)}
    assert reasons == {Reason.NOT_FOR_BOT}
    assert (await desk.say()).text == CURATED


async def test_without_tokens_left_passages_are_quoted_and_curated_answers_stay(database: Database) -> None:
    desk = Desk(database, Allowance(tokens_per_day=1))
    written = await desk.say("parcel?")
    assert written.lineage.model == "canned"
    assert written.usage.completion_tokens > 0
    quoted = await desk.say("parcel?")
    assert (quoted.decision, quoted.lineage.model) == (Decision.ANSWER, ExtractiveGenerator.version)
    assert quoted.text.startswith(WRITTEN[: len("A parcel takes 3 days.")])
    assert (await desk.say("refund?")).text == CURATED


async def test_bad_input_03_an_empty_mention_gets_help_once_in_ten_minutes(database: Database) -> None:
    desk = Desk(database)
    first = await desk.say(" ")
    second = await desk.say("\u200b")
    await desk.let_pass(599)
    third = await desk.say(" ")
    await desk.let_pass(601)
    fourth = await desk.say(" ")
    assert [reply.text for reply in (first, second, third, fourth)] == [wording.HELP, "", "", wording.HELP]
    assert {reply.reason for reply in (first, second, third, fourth)} == {Reason.NOTHING_TO_READ}
    assert len(await desk.deliver_all()) == 2


async def test_a_worker_and_a_courier_at_work_deliver_the_notice(database: Database) -> None:
    desk, screen, accepted, finished = Desk(database, ONE_A_MINUTE), Screen(), Bell(), Bell()
    async with asyncio.TaskGroup() as tasks:
        parts = [
            tasks.create_task(Worker(desk.inbox, desk.log, desk.reception, screen.preview, accepted, finished).run()),
            tasks.create_task(Courier(desk.outbox, {"test": screen}, finished).run()),
        ]
        shown = []
        for _ in range(2):
            await desk.accept()
            accepted.ring()
            shown.append(await screen.shown.get())
        for part in parts:
            part.cancel()
    assert shown == [CURATED, wording.TOO_MANY]
