"""The retriever serves one whole snapshot with its own embedder, and moves only to another whole one."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import FrontdeskError, ModelError, SnapshotError
from core.ports import Embedder
from core.storage.memory import MemoryKnowledgeStore
from retrieval.retriever import SnapshotReader, SnapshotRetriever
from tests.retrieval.simple import KNOWLEDGE, TOPICS, WordEmbedder, faq, fill, filled_store, publish

PASSAGES = tuple(map(faq, TOPICS))


def retriever(store: MemoryKnowledgeStore, folder: Path, open_embedder: Callable[[str], Embedder] = WordEmbedder) -> SnapshotRetriever:
    return SnapshotRetriever(store, folder, KNOWLEDGE, open_embedder)


async def best(serving: SnapshotRetriever, question: str) -> str:
    return (await serving.retrieve(question)).hits[0].passage.passage_id


async def test_a_question_finds_its_passage_with_the_versions_that_found_it(tmp_path: Path) -> None:
    store = await filled_store()
    manifest = await publish(store, tmp_path, WordEmbedder())
    serving = retriever(store, tmp_path)
    found = await serving.retrieve("How does the refund work?", limit=3)
    assert found.hits[0].passage == faq("refund")
    assert len(found.hits) == 3
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)
    assert (found.index_version, found.embedder_version) == (manifest.version, "words@1")
    assert await serving.manifest() == manifest


@pytest.mark.parametrize("question", ["", "🙂", "\x00", "\ud800", "zebra", "x" * 100_000, "'; DROP TABLE passages; --", "{{7*7}}"])
async def test_any_question_gets_an_answer_of_the_same_shape(tmp_path: Path, question: str) -> None:
    store = await filled_store()
    await publish(store, tmp_path, WordEmbedder())
    found = await retriever(store, tmp_path).retrieve(question)
    assert all(0 < hit.score < 1 for hit in found.hits)
    assert len(found.hits) == 5


async def test_without_a_published_snapshot_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"Knowledge 'shop' is not published. Run: frontdesk knowledge publish"):
        await retriever(await filled_store(), tmp_path).retrieve("hello")


async def test_it_follows_a_publish_and_a_rollback(tmp_path: Path) -> None:
    store = await filled_store()
    first = await publish(store, tmp_path, WordEmbedder())
    serving = retriever(store, tmp_path)
    assert await serving.refresh()
    assert not await serving.refresh()
    await fill(store, [*PASSAGES, faq("pickup")])
    await publish(store, tmp_path, WordEmbedder())
    assert await best(serving, "help with pickup") != "id-pickup"
    assert await serving.refresh()
    assert await best(serving, "help with pickup") == "id-pickup"
    await store.activate(KNOWLEDGE, first.version, "tester")
    assert await serving.refresh()
    assert (await serving.manifest()).version == first.version
    assert await best(serving, "help with pickup") != "id-pickup"


@pytest.mark.parametrize("content", [b"", b"garbage", None], ids=["empty", "garbage", "missing"])
async def test_bad_input_63_a_damaged_new_snapshot_is_refused_and_the_old_one_keeps_serving(tmp_path: Path, content: bytes | None) -> None:
    store = await filled_store()
    first = await publish(store, tmp_path, WordEmbedder())
    serving = retriever(store, tmp_path)
    await serving.refresh()
    await fill(store, [*PASSAGES, faq("pickup")])
    second = await publish(store, tmp_path, WordEmbedder())
    vectors = tmp_path / second.version / "vectors.faiss"
    sound = vectors.read_bytes()
    vectors.unlink() if content is None else vectors.write_bytes(content)
    for _ in range(2):
        with pytest.raises(SnapshotError, match=r"vectors\.faiss"):
            await serving.refresh()
    assert (await serving.retrieve("help with refund")).index_version == first.version
    vectors.write_bytes(sound)
    assert await serving.refresh()
    assert await best(serving, "help with pickup") == "id-pickup"


async def test_deleting_the_served_snapshot_stops_no_question(tmp_path: Path) -> None:
    store = await filled_store()
    await publish(store, tmp_path, WordEmbedder())
    serving = retriever(store, tmp_path)
    await serving.refresh()
    shutil.rmtree(tmp_path)
    assert await best(serving, "help with refund") == "id-refund"


@pytest.mark.parametrize("other", [WordEmbedder("words@2"), WordEmbedder(dimension=16)], ids=["version", "dimension"])
async def test_bad_input_68_an_embedder_other_than_the_one_of_the_index_is_refused(tmp_path: Path, other: WordEmbedder) -> None:
    store = await filled_store()
    await publish(store, tmp_path, WordEmbedder())
    with pytest.raises(SnapshotError, match=f"was built with words@1, the embedder at hand is {other.version}. Publish again"):
        await retriever(store, tmp_path, lambda version: other).retrieve("help with refund")


async def test_bad_input_68_an_index_of_a_new_embedder_is_not_served_with_the_old_one_and_the_old_pair_stays(tmp_path: Path) -> None:
    store, old = await filled_store(), WordEmbedder()
    first = await publish(store, tmp_path, old)
    serving = retriever(store, tmp_path, lambda version: old)
    await serving.refresh()
    await publish(store, tmp_path, WordEmbedder("words@2", dimension=16))
    with pytest.raises(SnapshotError, match=r"was built with words@2"):
        await serving.refresh()
    found = await serving.retrieve("help with refund")
    assert (found.hits[0].passage.passage_id, found.index_version, found.embedder_version) == ("id-refund", first.version, "words@1")


async def test_bad_input_68_index_and_embedder_move_together(tmp_path: Path) -> None:
    store = await filled_store()
    await publish(store, tmp_path, WordEmbedder())
    serving = retriever(store, tmp_path, lambda version: WordEmbedder(version, 32 if version == "words@1" else 16))
    await serving.refresh()
    await publish(store, tmp_path, WordEmbedder("words@2", dimension=16))
    assert await serving.refresh()
    found = await serving.retrieve("help with refund")
    assert (found.hits[0].passage.passage_id, found.embedder_version) == ("id-refund", "words@2")


async def test_an_embedder_that_cannot_be_opened_leaves_the_old_pair_serving(tmp_path: Path) -> None:
    def opened(version: str) -> Embedder:
        if version == "words@2":
            raise ModelError("there is no such model")
        return WordEmbedder(version)

    store = await filled_store()
    first = await publish(store, tmp_path, WordEmbedder())
    serving = retriever(store, tmp_path, opened)
    await serving.refresh()
    await publish(store, tmp_path, WordEmbedder("words@2"))
    with pytest.raises(ModelError):
        await serving.refresh()
    assert (await serving.manifest()).version == first.version


async def test_bad_input_63_a_question_whose_vector_is_nan_has_no_hits(tmp_path: Path) -> None:
    class Broken(WordEmbedder):
        async def embed(self, text: str) -> np.ndarray:
            return np.full(self.dimension, np.nan, np.float32)

    store = await filled_store()
    await publish(store, tmp_path, WordEmbedder())
    assert (await retriever(store, tmp_path, Broken).retrieve("help with refund")).hits == ()


async def test_concurrent_first_questions_open_the_snapshot_once_and_each_gets_its_answer(tmp_path: Path) -> None:
    opened: list[str] = []

    def open_embedder(version: str) -> Embedder:
        opened.append(version)
        return WordEmbedder(version)

    store = await filled_store()
    await publish(store, tmp_path, WordEmbedder())
    serving = retriever(store, tmp_path, open_embedder)
    answers = await asyncio.gather(*(best(serving, f"help with {topic}") for topic in TOPICS * 4))
    assert answers == [f"id-{topic}" for topic in TOPICS * 4]
    assert opened == ["words@1"]


async def test_questions_during_a_move_are_answered_whole_by_one_snapshot_or_the_other(tmp_path: Path) -> None:
    store = await filled_store()
    serving = retriever(store, tmp_path, lambda version: WordEmbedder(version, 32 if version == "words@1" else 16))
    pairs = set()
    for version, dimension in (("words@1", 32), ("words@2", 16)) * 2:
        manifest = await publish(store, tmp_path, WordEmbedder(version, dimension))
        pairs.add((manifest.version, version))
        _, *found = await asyncio.gather(serving.refresh(), *(serving.retrieve("help with refund") for _ in range(10)))
        assert {(one.index_version, one.embedder_version) for one in found} <= pairs
        assert {one.hits[0].passage.passage_id for one in found} == {"id-refund"}


async def test_watching_moves_to_a_new_snapshot_and_reports_a_damaged_one_without_ending(tmp_path: Path) -> None:
    store = await filled_store()
    reported: asyncio.Queue[FrontdeskError] = asyncio.Queue()
    moved = asyncio.Event()
    loop = asyncio.get_running_loop()

    def open_embedder(version: str) -> Embedder:
        loop.call_soon_threadsafe(moved.set)
        return WordEmbedder(version)

    serving = retriever(store, tmp_path, open_embedder)
    watching = asyncio.create_task(serving.watch(0.001, reported.put_nowait))
    assert "is not published" in str(await asyncio.wait_for(reported.get(), 10))
    manifest = await publish(store, tmp_path, WordEmbedder())
    await asyncio.wait_for(moved.wait(), 10)
    await store.add_release(KNOWLEDGE, "feedfeedfeed", 1, "words@1", "tester")
    while "feedfeedfeed" not in str(await asyncio.wait_for(reported.get(), 10)):
        pass
    assert not watching.done()
    assert (await serving.manifest()).version == manifest.version
    watching.cancel()


async def test_titles_are_those_of_curated_passages_and_a_passage_is_found_by_its_id(tmp_path: Path) -> None:
    store = await filled_store()
    await publish(store, tmp_path, WordEmbedder())
    serving = retriever(store, tmp_path)
    assert await serving.titles(2) == ("How does the address work?", "How does the coupon work?")
    assert await serving.passage("id-refund") == faq("refund")
    assert await serving.passage("id-nothing") is None


async def test_the_real_embedder_finds_an_answer_that_shares_no_word_with_the_question(tmp_path: Path, embedder: Embedder) -> None:
    store = await filled_store()
    await publish(store, tmp_path, embedder)
    serving = retriever(store, tmp_path, lambda version: embedder)
    assert await best(serving, "Can I get my money back?") == "id-refund"
    assert await best(serving, "when will my parcel arrive") == "id-delivery"


async def test_a_reader_shows_the_passages_of_the_active_snapshot_without_vectors_words_or_an_embedder(tmp_path: Path) -> None:
    store = await filled_store()
    first = await publish(store, tmp_path, WordEmbedder())
    for part in ("vectors.faiss", "words"):
        (tmp_path / first.version / part).rename(tmp_path / part)
    reader = SnapshotReader(store, tmp_path, KNOWLEDGE)
    assert await reader.manifest() == first
    assert await reader.passage("id-refund") == faq("refund")
    assert len(await reader.titles(3)) == 3
    for part in ("vectors.faiss", "words"):
        (tmp_path / part).rename(tmp_path / first.version / part)
    await fill(store, (faq("zebra"),))
    second = await publish(store, tmp_path, WordEmbedder())
    assert await reader.refresh()
    assert (await reader.manifest(), await reader.passage("id-refund")) == (second, None)


async def test_a_reader_refuses_passages_that_are_damaged(tmp_path: Path) -> None:
    store = await filled_store()
    manifest = await publish(store, tmp_path, WordEmbedder())
    with (tmp_path / manifest.version / "passages.jsonl").open("ab") as file:
        file.write(b" ")
    with pytest.raises(SnapshotError, match="damaged"):
        await SnapshotReader(store, tmp_path, KNOWLEDGE).manifest()
