"""What bootstrap builds fits together as it is configured."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.bootstrap import frontdesk
from bot.bootstrap_models import generator_of, loader_of
from bot.settings import read
from core import prompting
from core.domain import Limits, Passage
from core.errors import FrontdeskError, ModelError
from tests.core.serving import model_folders, tiny
from tests.servers.openai import ANSWER, MODEL, ModelServer

PROMPT = prompting.build("How do I pay?", (Passage("p", "d", "Pay", "By card."),))


async def test_the_configured_model_is_served_with_a_retry_and_a_breaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.save(tmp_path / "tiny")
    monkeypatch.setenv("FRONTDESK_MODEL", str(folder))
    async with frontdesk(read(), lambda line: None) as graph:
        generator = await generator_of(graph)
        next(folder.glob("*.safetensors")).unlink()
        errors = []
        for _ in range(4):
            with pytest.raises(ModelError) as caught:
                await anext(generator.stream(PROMPT, Limits()))
            errors.append(str(caught.value))
    assert ["was not asked" in error for error in errors] == [False, False, True, True]


async def test_a_configured_fallback_answers_while_the_model_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, whole = tiny.save(tmp_path / "broken"), tiny.save(tmp_path / "whole")
    monkeypatch.setenv("FRONTDESK_MODEL", str(broken))
    monkeypatch.setenv("FRONTDESK_FALLBACK_MODEL", str(whole))
    async with frontdesk(read(), lambda line: None) as graph:
        generator = await generator_of(graph)
        next(broken.glob("*.safetensors")).unlink()
        pieces = [piece async for piece in generator.stream(PROMPT, Limits(8))]
        await generator.aclose()
    assert pieces[-1].model_version.startswith("whole@")  # type: ignore[union-attr]


async def test_a_remote_model_is_asked_at_its_servers_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ModelServer(key="sk-1") as server:
        monkeypatch.setenv("FRONTDESK_MODEL", f"remote:{MODEL}")
        monkeypatch.setenv("FRONTDESK_REMOTE__URLS", server.url)
        monkeypatch.setenv("FRONTDESK_REMOTE__API_KEY", "sk-1")
        async with frontdesk(read(), lambda line: None) as graph:
            generator = await generator_of(graph)
            *_, end = [piece async for piece in generator.stream(PROMPT, Limits())]
            await generator.aclose()
    assert (end.text, end.model_version) == (ANSWER, f"remote:{MODEL}")  # type: ignore[union-attr]


async def test_a_remote_model_is_a_fallback_for_a_local_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tiny.save(tmp_path / "broken")
    async with ModelServer() as server:
        monkeypatch.setenv("FRONTDESK_MODEL", str(broken))
        monkeypatch.setenv("FRONTDESK_FALLBACK_MODEL", f"remote:{MODEL}")
        monkeypatch.setenv("FRONTDESK_REMOTE__URLS", server.url)
        async with frontdesk(read(), lambda line: None) as graph:
            generator = await generator_of(graph)
            next(broken.glob("*.safetensors")).unlink()
            *_, end = [piece async for piece in generator.stream(PROMPT, Limits())]
            await generator.aclose()
    assert end.model_version == f"remote:{MODEL}"  # type: ignore[union-attr]


@pytest.mark.parametrize(("model", "urls"), [(f"remote:{MODEL}", ""), ("remote:", "http://gpu:8000/v1")])
async def test_a_remote_model_without_a_name_or_a_server_is_told(monkeypatch: pytest.MonkeyPatch, model: str, urls: str) -> None:
    monkeypatch.setenv("FRONTDESK_MODEL", model)
    monkeypatch.setenv("FRONTDESK_REMOTE__URLS", urls)
    async with frontdesk(read(), lambda line: None) as graph:
        with pytest.raises(FrontdeskError, match=r"remote\.urls|After remote: comes the name"):
            await generator_of(graph)


async def test_an_adapter_of_a_model_on_a_server_is_imported_loaded_there_and_asked_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ModelServer(models=(MODEL,), loads_adapters=True, adapters_under=str(tmp_path)) as server:
        monkeypatch.setenv("FRONTDESK_MODEL", f"remote:{MODEL}")
        monkeypatch.setenv("FRONTDESK_REMOTE__URLS", server.url)
        async with frontdesk(read(), lambda line: None) as graph:
            folder = model_folders.adapter(tmp_path / "support", base_name=MODEL)
            version = await asyncio.to_thread(graph.artifacts.take, str(folder), base=f"remote:{MODEL}")
            await graph.model_registry.register(version)
            generator = await loader_of(graph).load(version)
            await generator.open()
            *_, end = [piece async for piece in generator.stream(PROMPT, Limits())]
            await generator.aclose()
            other = model_folders.adapter(tmp_path / "other", base_name="somebody/else")
            with pytest.raises(ModelError, match="belongs to 'somebody/else'"):
                graph.artifacts.take(str(other), base=f"remote:{MODEL}")
    assert (end.model_version, version.model_id in server.models) == (version.model_id, True)  # type: ignore[union-attr]
