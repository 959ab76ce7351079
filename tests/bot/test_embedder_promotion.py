"""Another embedder, or the one before, serves everywhere or nowhere, and never in place of what somebody did."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from bot.bootstrap import Frontdesk, frontdesk
from bot.bootstrap_corrections import library_of
from bot.bootstrap_embedder import promote_embedder, rollback_embedder
from bot.commands.knowledge import _older
from bot.settings import read
from core.errors import ModelError, SnapshotError
from core.registry import Alias, Kind, ModelVersion, Step
from retrieval import ingest
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
            await opened.publish(name, "eve", quietly)
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
        await graph.publish("one", "ann", quietly)

    before = await served(graph)
    with pytest.raises(OSError, match="No space left"):
        await promote_embedder(graph, TUNED, "eve", acting(2, publish, fails=True))
    assert await served(graph) == before | {"one": (before["one"][0], 2)}
    assert await champion(graph) != "tuned@1"


async def test_what_staff_publish_meanwhile_is_indexed_too(graph: Frontdesk) -> None:
    async def publish() -> None:
        await fill(graph, "one", "refund", "coupon")
        await graph.publish("one", "ann", quietly)

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
    with pytest.raises(ModelError, match=r"meanwhile, so nothing was changed\. See: frontdesk models status"):
        await promote_embedder(graph, TUNED, "eve", acting(number, decide))
    assert await served(graph) == before
    assert await champion(graph) == "other@1"


async def test_what_was_cut_off_is_gone_on_with(graph: Frontdesk) -> None:
    folder = graph.settings.snapshots / "one"
    assert await ingest.reindex(graph.knowledge_store, folder, "one", WordEmbedder("tuned@1"), "eve", quietly)  # and then the power failed
    await promote_embedder(graph, TUNED, "eve", quietly)
    assert await served(graph) == {"one": ("tuned@1", 1), "two": ("tuned@1", 1)}
    assert await champion(graph) == "tuned@1"


@pytest.fixture
async def promoted(graph: Frontdesk) -> str:
    """TUNED serves; the version of the embedder before it."""
    before = (await served(graph))["one"][0]
    await promote_embedder(graph, TUNED, "eve", quietly)
    return before


def quietly(step: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


async def test_what_was_deleted_since_does_not_come_back_with_the_embedder_before(graph: Frontdesk, promoted: str) -> None:
    await fill(graph, "one", "coupon", "pickup")  # without the refund that the embedder before has an index of
    await graph.publish("one", "ann", quietly)
    assert await rollback_embedder(graph, "eve") == f"{promoted} embeds again; indexed: one, two."
    assert await served(graph) == {"one": (promoted, 2), "two": (promoted, 1)}
    assert await champion(graph) == promoted
    with pytest.raises(ModelError, match="No other embedder served before"):
        await rollback_embedder(graph, "eve")


async def test_what_the_embedder_before_has_indexed_is_not_embedded_again(
    graph: Frontdesk, promoted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: WordEmbedder, *_: object) -> None:
        raise AssertionError("embedded again")

    monkeypatch.setattr(WordEmbedder, "encode", failing)
    assert "indexed: one, two" in await rollback_embedder(graph, "eve")
    assert await served(graph) == dict.fromkeys(BASES, (promoted, 1))


async def test_a_rollback_that_fails_changes_nothing(graph: Frontdesk, promoted: str) -> None:
    async def publish() -> None:
        await fill(graph, "one", "refund", "coupon")
        await graph.publish("one", "ann", quietly)

    for name in BASES:
        await fill(graph, name, "refund", "pickup")
        await graph.publish(name, "eve", quietly)
    with pytest.raises(OSError, match="No space left"):
        await rollback_embedder(graph, "eve", progress=acting(2, publish, fails=True))
    assert await served(graph) == dict.fromkeys(BASES, ("tuned@1", 2))
    assert await champion(graph) == "tuned@1"


async def test_a_rollback_is_of_the_move_that_it_was_decided_on(graph: Frontdesk, promoted: str) -> None:
    move = await graph.model_registry.current(Kind.EMBEDDER, Alias.CHAMPION)
    assert move is not None
    with pytest.raises(ModelError, match="meanwhile, so nothing was changed"):
        await rollback_embedder(graph, "eve", after=move.assignment_id - 1)
    await rollback_embedder(graph, "eve", after=move.assignment_id)
    assert await champion(graph) == promoted


async def test_files_that_were_changed_are_not_taken_for_the_embedder_before(
    graph: Frontdesk, promoted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Frontdesk, "embedder_of_version", lambda self, version: WordEmbedder("other@1"))
    with pytest.raises(ModelError, match=rf"{promoted} is not at hand any more: .* is other@1 now\. Nothing was changed"):
        await rollback_embedder(graph, "eve")
    assert await served(graph) == dict.fromkeys(BASES, ("tuned@1", 1))


async def test_a_process_that_cannot_index_says_where_it_is_done(graph: Frontdesk, promoted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)  # as where the extra `local` is missing
    with pytest.raises(ModelError, match="Where models run: frontdesk models rollback embedder"):
        await rollback_embedder(graph, "eve")
    assert await champion(graph) == "tuned@1"


async def test_two_who_roll_back_at_once_leave_one_state(graph: Frontdesk, promoted: str) -> None:
    for name in BASES:  # something new to index
        await fill(graph, name, "refund", "pickup")
        await graph.publish(name, "eve", quietly)

    async def other() -> None:
        await rollback_embedder(graph, "ann")

    with pytest.raises(ModelError, match="meanwhile, so nothing was changed"):
        await rollback_embedder(graph, "eve", progress=acting(2, other))
    assert await served(graph) == dict.fromkeys(BASES, (promoted, 2))
    assert await champion(graph) == promoted


async def test_a_publish_that_ends_after_a_rollback_is_indexed_with_what_serves(graph: Frontdesk, promoted: str) -> None:
    async def rollback() -> None:
        await rollback_embedder(graph, "ann")

    await fill(graph, "one", "refund", "coupon")
    await graph.publish("one", "eve", acting(1, rollback))
    assert await served(graph) == {"one": (promoted, 2), "two": (promoted, 1)}


@pytest.mark.parametrize("lost", ["vectors.faiss", "manifest.json"])
async def test_bad_input_what_is_served_can_be_indexed_while_its_passages_are_there(graph: Frontdesk, promoted: str, lost: str) -> None:
    version = await graph.knowledge_store.active("two")
    (graph.settings.snapshots / "two" / str(version) / lost).unlink()
    if lost == "vectors.faiss":
        await rollback_embedder(graph, "eve")
        assert await served(graph) == dict.fromkeys(BASES, (promoted, 1))
    else:
        with pytest.raises(SnapshotError, match=r"knowledge 'two' cannot be read.*frontdesk knowledge rollback VERSION --knowledge two"):
            await rollback_embedder(graph, "eve")
        assert await served(graph) == dict.fromkeys(BASES, ("tuned@1", 1))


async def test_a_folder_that_the_settings_name_no_more_is_refused_as_nobody_would_find_it(graph: Frontdesk, promoted: str) -> None:
    graph.settings.embedder = "org/other"
    with pytest.raises(ModelError, match=f"{promoted} is a folder that the settings name no more: set embedder to .*/base"):
        await rollback_embedder(graph, "eve")
    assert await served(graph) == dict.fromkeys(BASES, ("tuned@1", 1))


async def test_rolling_knowledge_back_leaves_the_embedder_alone(graph: Frontdesk, promoted: str) -> None:
    await fill(graph, "one", "refund", "coupon")
    await graph.publish("one", "ann", quietly)
    await rollback_embedder(graph, "eve")
    releases = await graph.knowledge_store.releases("one")
    assert [release.embedder for release in releases] == [promoted, "tuned@1", "tuned@1", promoted]
    assert _older("one", releases) == releases[-1].version


async def test_switching_the_embedder_publishes_nothing_and_hides_nothing(graph: Frontdesk, promoted: str) -> None:
    graph.settings.knowledge = "one"
    library = library_of(graph)
    assert not await library.is_changed()
    await fill(graph, "one", "refund", "coupon")
    await rollback_embedder(graph, "eve")
    assert await library.is_changed()
    await graph.publish("one", "eve", quietly)
    assert not await library.is_changed()
    await fill(graph, "one", "coupon")
    assert await library.is_changed()
