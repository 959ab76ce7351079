"""Every conversation log keeps what it is given, in order, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from core.domain import (
    Actor,
    Address,
    Citation,
    Decision,
    Exchange,
    Hit,
    InboundMessage,
    Lineage,
    Owner,
    Passage,
    Reason,
    Reply,
    Timings,
    Usage,
)  # fmt: skip
from core.ports import ConversationLog
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.memory import MemoryConversationLog
from core.text import MAX_QUESTION_CHARS

HERE = Address("web", "local", "chat", "thread-1")
PASSAGE = Passage("p-1", "d-1", "How do I pay?", "By card.", url="https://example.com/pay")
REPLY = Reply(
    Decision.ANSWER, Reason.COMPOSED, "By card. [1]", (Citation("p-1", "How do I pay?", "https://example.com/pay", 0.9),), 0.9,
    Lineage("model@1", "index-1", "prompt-1", "embedder@1", "policy-1"), Timings(1.5, 20.0, 22.0), Usage(12, 3), (Hit(PASSAGE, 0.9),),
)  # fmt: skip


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def log(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> ConversationLog:
    return MemoryConversationLog() if request.param == "memory" else SqlConversationLog(await open_database(request.param))


def message(text: str, address: Address = HERE, number: int = 1) -> InboundMessage:
    return InboundMessage(f"m-{number}", address, Actor("visitor"), text)


async def test_a_turn_keeps_question_decision_passages_text_lineage_timings_and_tokens(log: ConversationLog) -> None:
    turn_id = await log.append(message("How do I pay?"), REPLY)
    (turn,) = await log.turns(HERE)
    assert (turn.turn_id, turn.question) == (turn_id, "How do I pay?")
    assert turn.asked_at.tzinfo is not None
    kept = replace(turn.reply, hits=())
    assert kept == replace(REPLY, hits=())
    assert [(hit.passage.passage_id, hit.passage.document_id, hit.score) for hit in turn.reply.hits] == [("p-1", "d-1", 0.9)]


async def test_a_conversation_is_known_once_something_was_said_in_it(log: ConversationLog) -> None:
    assert not await log.is_known(HERE)
    await log.append(message("How do I pay?"), REPLY)
    assert await log.is_known(HERE)
    assert not await log.is_known(replace(HERE, thread_id="another"))


async def test_history_is_the_last_exchanges_oldest_first_of_this_conversation_only(log: ConversationLog) -> None:
    for number in range(6):
        await log.append(message(f"question {number}", number=number), replace(REPLY, text=f"answer {number}"))
    await log.append(message("elsewhere", replace(HERE, thread_id="thread-2")), REPLY)
    assert await log.history(HERE, limit=2) == (Exchange("question 4", "answer 4"), Exchange("question 5", "answer 5"))
    assert await log.history(replace(HERE, workspace_id="other")) == ()


async def test_concurrent_turns_of_one_conversation_all_get_a_place(log: ConversationLog) -> None:
    await asyncio.gather(*(log.append(message(f"question {number}", number=number), REPLY) for number in range(20)))
    assert {turn.question for turn in await log.turns(HERE)} == {f"question {number}" for number in range(20)}


async def test_a_conversation_belongs_to_the_bot_until_staff_take_it_and_after_they_give_it_back(log: ConversationLog) -> None:
    assert await log.owner(HERE) is Owner.BOT
    await log.set_owner(HERE, Owner.STAFF)
    assert await log.owner(HERE) is Owner.STAFF
    assert await log.owner(replace(HERE, thread_id="thread-2")) is Owner.BOT
    await log.set_owner(HERE, Owner.BOT)
    assert await log.owner(HERE) is Owner.BOT


async def test_bad_input_12_an_injected_statement_is_stored_literally(log: ConversationLog) -> None:
    text = "'); DROP TABLE turns; --"
    await log.append(message(text), REPLY)
    assert [turn.question for turn in await log.turns(HERE)] == [text]


async def test_bad_input_19_nul_lone_surrogates_and_four_byte_characters_are_stored(log: ConversationLog) -> None:
    await log.append(message("a\x00b \ud800 𝄞 \U0010ffff"), REPLY)
    assert [turn.question for turn in await log.turns(HERE)] == ["ab  𝄞 \U0010ffff"]


async def test_bad_input_06_right_to_left_text_is_stored_without_bidirectional_controls(log: ConversationLog) -> None:
    await log.append(message("\u202eשלום\u202c"), REPLY)
    assert [turn.question for turn in await log.turns(HERE)] == ["שלום"]


async def test_bad_input_01_a_long_message_is_kept_up_to_the_limit_with_the_hash_of_all(log: ConversationLog) -> None:
    await log.append(message("x" * 10_000), REPLY)
    assert [len(turn.question) for turn in await log.turns(HERE)] == [MAX_QUESTION_CHARS]
