"""A customer on an open call: cut off and back again, the answer is complete and there is one of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from bot.dispatch import Dispatch
from bot.live import Line, LiveAdapter
from core.delivery.courier import Courier
from core.delivery.crew import Bell
from core.delivery.worker import Worker
from core.domain import Reply
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.outbox import SqlOutbox
from tests.core.delivery.scripted import HERE, Dialogue, Journal, JournalInbox, in_background, message


@pytest.fixture
async def database(open_database: Callable[[str], Awaitable[Database]]) -> Database:
    return await open_database("sqlite")


async def test_bad_input_54_cut_off_in_the_middle_of_an_answer_the_customer_asks_again_and_it_completes_once(database: Database) -> None:
    journal, accepted, finished, adapter = Journal(), Bell(), Bell(), LiveAdapter("chat")
    inbox, dialogue = JournalInbox(database, journal), Dialogue(journal, previews=("te", "xt"))

    async def until_cut_off() -> None:
        await journal.has("cut off")

    dialogue.script.append(until_cut_off)
    line = Line(Dispatch(inbox, accepted), inbox, adapter)
    worker = Worker(inbox, SqlConversationLog(database), dialogue, adapter.preview, accepted, finished)
    courier = Courier(SqlOutbox(database), {"chat": adapter}, finished)
    async with in_background(worker.run()), in_background(courier.run()):
        async with aclosing(line.say(message(1))) as saying:
            assert await anext(saying) == "te"
        journal.note("cut off")
        replies = [said.text async for said in line.say(message(1)) if isinstance(said, Reply)]
    assert replies == ["TEXT 1"]
    assert dialogue.asked == ["text 1"]
    assert len(await SqlConversationLog(database).turns(HERE)) == 1
