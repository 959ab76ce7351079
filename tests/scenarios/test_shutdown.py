"""A deploy: `frontdesk run` is told to stop while fifty customers wait for their answer, and none is forgotten."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from core.storage.database import Database
from core.storage.inbox import SqlInbox

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent
QUESTIONS = 50


@asynccontextmanager
async def running() -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`frontdesk run` on a free port, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "FRONTDESK_MODEL": "extractive"}
    command = [sys.executable, "-m", "bot", "run", "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    draining = None
    try:
        async with asyncio.timeout(300):
            while not (found := re.search(rb"is ready: (http://\S+)", line := await process.stderr.readline())):
                assert line, "it ended before it was ready"
        draining = asyncio.create_task(process.stderr.read())  # a process whose pipe is full waits for ever
        yield process, found[1].decode()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if draining:
            await draining


async def ask(client: httpx.AsyncClient, message_id: str) -> bool:
    """Ask; return whether the reply came."""
    asked = {"message": "How do I connect Slack?", "message_id": message_id}
    try:
        return "event: reply" in (await client.post("/api/chat", json=asked)).text
    except httpx.TransportError:  # it stopped before it answered; the page asks again under the same id
        return False


async def accepted(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.exec_driver_sql("SELECT count(*) FROM inbox")).scalar_one())


async def turns_of_messages(database: Database) -> Counter[str]:
    """How many turns each accepted message has."""
    query = "SELECT inbox.message_id, count(turns.turn_id) FROM inbox LEFT JOIN turns ON turns.inbox_id = inbox.inbox_id GROUP BY 1"
    async with database.read() as connection:
        return Counter(dict(tuple(row) for row in await connection.exec_driver_sql(query)))


async def test_bad_input_58_told_to_stop_with_fifty_open_questions_every_accepted_one_is_answered_once(
    published: None, tmp_path: Path
) -> None:
    names = [uuid.uuid4().hex for _ in range(QUESTIONS)]
    database = Database(f"sqlite:///{tmp_path / 'data' / 'frontdesk.db'}")
    async with running() as (process, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
        asking = [asyncio.create_task(ask(client, name)) for name in names]
        while await accepted(database) < QUESTIONS // 2:  # noqa: ASYNC110  # what another process does
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
        answered = sum(await asyncio.gather(*asking))
    stored = await turns_of_messages(database)
    assert len(stored) >= QUESTIONS // 2
    assert answered > stored.total() // 2  # all of them, where the processor is not busy with other things
    async with running(), asyncio.timeout(60):  # what was accepted and had no answer is answered by the next process
        while (await SqlInbox(database).backlog()).waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await turns_of_messages(database) == Counter(list(stored))
    await database.close()
