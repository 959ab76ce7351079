"""A process that accepts one message, answers and delivers it, and ends; unless a fault point kills it before."""

from __future__ import annotations

import asyncio
import os
import sys

from bot.dispatch import Dispatch
from core.delivery import courier, faults, worker
from core.delivery.courier import Courier
from core.delivery.crew import Bell
from core.delivery.worker import Worker
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from tests.core.delivery.scripted import Dialogue, Journal, JournalInbox, JournalOutbox, message
from tests.servers.chat_adapter import HttpChatAdapter

LEASE_SECONDS = 0.5  # a minute in service


def run(database_url: str, chat_url: str, fault: str = "") -> None:
    """Do all there is to do, then exit with 0."""
    os.environ[faults.VARIABLE] = fault
    asyncio.run(_work(database_url, chat_url))
    sys.exit(0)


async def _work(database_url: str, chat_url: str) -> None:
    database, journal, accepted, finished = Database(database_url), Journal(), Bell(), Bell()
    inbox = JournalInbox(database, journal)
    answering = worker.Terms(lease=LEASE_SECONDS, renew=LEASE_SECONDS / 4, first_delay=0.01)
    delivering = courier.Terms(lease=LEASE_SECONDS, call=LEASE_SECONDS / 3, first_delay=0.01)
    async with HttpChatAdapter(chat_url) as adapter:
        work = Worker(inbox, SqlConversationLog(database), Dialogue(journal), adapter.preview, accepted, finished, answering)
        deliver = Courier(JournalOutbox(database, journal), {adapter.platform: adapter}, finished, delivering)
        parts = [asyncio.create_task(part.run()) for part in (work, deliver)]
        await Dispatch(inbox, accepted).accept(message(1))  # as a platform does that was not told that it arrived
        while (waiting := await inbox.backlog()).waiting or waiting.undelivered:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # it may wait for the lease of a process that was killed
        for part in parts:
            part.cancel()
        await asyncio.wait(parts)
    await database.close()
