"""transformers' continuous batching, as GPUs use it: bounded, and back after its thread has died."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.generation.configuration_utils import ContinuousBatchingConfig

from core.serving.continuous import ContinuousHost
from core.serving.hosting import Request
from tests.core.serving import tiny


async def answer(host: ContinuousHost) -> int | Exception:
    request = Request(list(range(40)), 5, asyncio.get_running_loop())
    host.submit(request)
    tokens = 0
    async with asyncio.timeout(60):
        while not isinstance(event := await request.events.get(), str):
            if isinstance(event, Exception):
                return event
            tokens += len(event)
    return tokens


@pytest.mark.filterwarnings("ignore")  # transformers warns that this is meant for a GPU
async def test_a_host_whose_thread_has_died_answers_the_next_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.save(tmp_path / "tiny")
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    config = ContinuousBatchingConfig(num_blocks=64, max_batch_tokens=256)
    host = ContinuousHost(model, AutoTokenizer.from_pretrained(folder), config)
    assert await answer(host) == 5
    with monkeypatch.context() as patched:
        patched.setattr(type(host._manager), "_generation_step", lambda self: (_ for _ in ()).throw(MemoryError("out of memory")))
        assert isinstance(await answer(host), Exception)
    await asyncio.to_thread(host._manager._generation_thread.join, 30)
    assert await answer(host) == 5
    await asyncio.to_thread(host.close)
