"""Another embedder serves everywhere or nowhere, and never in place of what somebody did while it indexed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from bot.bootstrap import Frontdesk, frontdesk
from bot.bootstrap_embedder import promote_embedder
from bot.settings import read
from core.errors import ModelError
from core.registry import Alias, Kind, ModelVersion, Step
from tests.core.training.questions import save
from tests.retrieval.simple import WordEmbedder, faq

TUNED = ModelVersion("tuned@1", Kind.EMBEDDER, "artifact:tuned@1")
BASES = ("one", "two")  # indexed in this order
pytestmark = pytest.mark.slow
Act = Callable[[], Coroutine[Any, Any, object]]


@pytest.fixture
async def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Frontdesk]:
    """Two knowledge bases that are served, and an embedder that could be."""
    monkeypatch.setenv("FRONTDESK_EMBEDDER", str(save(tmp_path / "base")))
    monkeypatch.setattr(Frontdesk, "embedder_of_version", lambda self, version: WordEmbedder(version.model_id))
    async with frontdesk(read(), lambda line: None) as opened:
        for name in BASES:
            await fill(opened, name, "refund")
            await opened.publish(name, "eve", lambda step, done, total: None)
        await opened.model_registry.register(TUNED)
        yield opened


async def fill(graph: Frontdesk, name: str, *topics: str) -> None:
    await graph.knowledge_store.replace_source(name, "test", [faq(topic) for topic in topics], keep_missing=lambda: False)


async def served(graph: Frontdesk) -> dict[str, tuple[str, int]]:
    """With which embedder, and how many passages."""
    releases = {name: await graph.knowledge_store.releases(name) for name in BASES}
    return {name: next((one.embedder, one.passages) for one in found if one.active) for name, found in releases.items()}


def acting(number: int, act: Act, *, fails: bool = False) -> Callable[[str, int, int], None]:
    """Something that happens while the index of a base, counted from 1, is built in its thread."""
    loop, seen = asyncio.get_running_loop(), [0]

    def progress(step: str, done: int, total: int) -> None:
        seen[0] += step == "embed"
        if step == "embed" and seen[0] == number:
            asyncio.run_coroutine_threadsafe(act(), loop).result(60)
            if fails:
                raise OSError(28, "No space left on device")

    return progress


async def champion(graph: Frontdesk) -> str | None:
    move = await graph.model_registry.current(Kind.EMBEDDER, Alias.CHAMPION)
    return move.model_id if move else None


async def test_what_staff_publish_meanwhile_outlives_a_failure(graph: Frontdesk) -> None:
    async def publish() -> None:
        await fill(graph, "one", "refund", "coupon")
        await graph.publish("one", "ann", lambda step, done, total: None)

    before = await served(graph)
    with pytest.raises(OSError, match="No space left"):
        await promote_embedder(graph, TUNED, "eve", acting(2, publish, fails=True))
    assert await served(graph) == before | {"one": (before["one"][0], 2)}
    assert await champion(graph) != "tuned@1"


async def test_what_staff_publish_meanwhile_is_indexed_too(graph: Frontdesk) -> None:
    async def publish() -> None:
        await fill(graph, "one", "refund", "coupon")
        await graph.publish("one", "ann", lambda step, done, total: None)

    await promote_embedder(graph, TUNED, "eve", acting(2, publish))
    assert await served(graph) == {"one": ("tuned@1", 2), "two": ("tuned@1", 1)}
    assert await champion(graph) == "tuned@1"


@pytest.mark.parametrize("number", [1, 2])
async def test_what_an_admin_decides_meanwhile_stands(graph: Frontdesk, number: int) -> None:
    other = ModelVersion("other@1", Kind.EMBEDDER, "artifact:other@1")
    await graph.model_registry.register(other)

    async def decide() -> None:
        await graph.model_registry.assign(Kind.EMBEDDER, Alias.CHAMPION, "other@1", Step.PROMOTE, "ann")

    before = await served(graph)
    with pytest.raises(ModelError, match=r"meanwhile, so nothing was changed\. To try again, do the same"):
        await promote_embedder(graph, TUNED, "eve", acting(number, decide))
    assert await served(graph) == before
    assert await champion(graph) == "other@1"


async def test_what_was_cut_off_is_gone_on_with(graph: Frontdesk) -> None:
    assert await graph.reindex("one", "eve", lambda step, done, total: None, WordEmbedder("tuned@1"))  # and then the power failed
    await promote_embedder(graph, TUNED, "eve", lambda step, done, total: None)
    assert await served(graph) == {"one": ("tuned@1", 1), "two": ("tuned@1", 1)}
    assert await champion(graph) == "tuned@1"
