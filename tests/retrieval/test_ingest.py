"""Publishing builds a snapshot once, embeds only what is new, and shows a reader the old one or the new one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.domain import Passage
from core.errors import KnowledgeError, SnapshotError
from core.ports import Vectors
from core.storage.memory import MemoryKnowledgeStore
from retrieval import ingest, snapshot
from retrieval.rows import row_texts
from tests.retrieval.simple import KNOWLEDGE, TOPICS, WordEmbedder, faq, fill, filled_store, publish

PASSAGES = tuple(map(faq, TOPICS))


async def test_a_published_snapshot_holds_the_knowledge_and_is_the_active_one(tmp_path: Path) -> None:
    store = await filled_store()
    manifest = await publish(store, tmp_path, WordEmbedder())
    assert await store.active(KNOWLEDGE) == manifest.version
    assert snapshot.load(tmp_path / manifest.version).passages == tuple(sorted(PASSAGES, key=lambda passage: passage.passage_id))
    (release,) = await store.releases(KNOWLEDGE)
    assert (release.passages, release.embedder, release.active) == (10, "words@1", True)


async def test_nothing_to_publish_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    store = MemoryKnowledgeStore()
    with pytest.raises(KnowledgeError, match=r"Knowledge 'shop' is empty. Import something first"):
        await publish(store, tmp_path / "snapshots", WordEmbedder())
    assert not (tmp_path / "snapshots").exists()
    assert await store.active(KNOWLEDGE) is None


async def test_equal_content_gives_the_equal_version_without_embedding_anything(tmp_path: Path) -> None:
    embedder = WordEmbedder()
    first = await publish(await filled_store(), tmp_path, embedder)
    embedder.encoded.clear()
    assert await publish(await filled_store(PASSAGES[::-1]), tmp_path, embedder) == first
    assert embedder.encoded == []


async def test_only_new_and_changed_texts_are_embedded_and_the_vectors_are_those_of_a_full_build(tmp_path: Path) -> None:
    store, embedder = await filled_store(), WordEmbedder()
    await publish(store, tmp_path / "a", embedder)
    embedder.encoded.clear()
    changed = faq("refund", "Refunds take three days.")
    await fill(store, [*PASSAGES[:2], changed, faq("pickup")])
    reused = await publish(store, tmp_path / "a", embedder)
    assert sorted(embedder.encoded) == sorted([changed.text, *row_texts(faq("pickup"))])
    full = await publish(store, tmp_path / "b", WordEmbedder())
    assert full.version == reused.version
    every_row = np.arange(reused.rows)
    vectors = [snapshot.load(tmp_path / name / full.version).index.vectors(every_row) for name in ("a", "b")]
    assert np.allclose(vectors[0], vectors[1], atol=1e-6)


async def test_another_embedder_embeds_everything_again(tmp_path: Path) -> None:
    store, other = await filled_store(), WordEmbedder("words@2", dimension=16)
    first = await publish(store, tmp_path, WordEmbedder())
    second = await publish(store, tmp_path, other)
    assert second.version != first.version
    assert len(other.encoded) == 30
    assert second.dimension == 16


async def test_a_damaged_previous_snapshot_costs_only_time(tmp_path: Path) -> None:
    store, embedder = await filled_store(), WordEmbedder()
    first = await publish(store, tmp_path, embedder)
    (tmp_path / first.version / "passages.jsonl").unlink()
    embedder.encoded.clear()
    await fill(store, [*PASSAGES, faq("pickup")])
    second = await publish(store, tmp_path, embedder)
    assert len(embedder.encoded) == 33
    assert await store.active(KNOWLEDGE) == second.version


async def test_publishing_a_damaged_snapshot_again_mends_it(tmp_path: Path) -> None:
    store = await filled_store()
    first = await publish(store, tmp_path, WordEmbedder())
    (tmp_path / first.version / "vectors.faiss").write_bytes(b"IxFI")
    with pytest.raises(SnapshotError):
        snapshot.load(tmp_path / first.version)
    assert await publish(store, tmp_path, WordEmbedder()) == first
    assert snapshot.load(tmp_path / first.version).manifest == first


async def test_progress_of_every_step_adds_up_to_its_total(tmp_path: Path) -> None:
    steps: dict[str, list[int]] = {}

    def progress(step: str, done: int, total: int) -> None:
        counts = steps.setdefault(step, [0, total])
        counts[0] += done
        assert counts[1] == total

    await ingest.publish(await filled_store(), tmp_path, KNOWLEDGE, WordEmbedder(), "tester", progress)
    assert steps == {"embed": [30, 30], "index": [1, 1], "calibrate": [20, 20]}


@pytest.mark.parametrize(
    "passages",
    [
        [Passage("1", "1", "One?", "Yes.")],
        [Passage(str(n), str(n), "Same?", "Same.") for n in range(30)],
        [Passage("d#a", "d", "Guide", "text", curated=False), Passage("d#b", "d", "🙂", "!!!", curated=False)],
        [Passage("1", "1", "Q", "A", tuple(f"way {n}" for n in range(300)))],
    ],
    ids=["one", "all equal", "sections only", "many alternatives"],
)
async def test_odd_knowledge_is_published_with_usable_numbers(tmp_path: Path, passages: list[Passage]) -> None:
    manifest = await publish(await filled_store(passages), tmp_path, WordEmbedder())
    loaded = snapshot.load(tmp_path / manifest.version)
    ranked = loaded.ranker.candidates(WordEmbedder().encode([passages[0].title])[0], passages[0].title).ranked(manifest.calibration)
    assert all(0 < chance < 1 for _, chance in ranked)
    assert len(ranked) >= 1


_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from retrieval import snapshot
from tests.retrieval.simple import TOPICS, WordEmbedder, faq, filled_store, publish

def die(staging, target):
    print(target.name, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

snapshot._publish = die
async def main():
    await publish(await filled_store([faq(topic) for topic in (*TOPICS, "pickup")]), Path(sys.argv[1]), WordEmbedder())
asyncio.run(main())
"""


def killed_publish(folder: Path) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", _KILLED, str(folder)],
        cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.mark.slow
async def test_bad_input_61_killed_before_the_rename_the_old_snapshot_is_served_and_the_next_publish_succeeds(tmp_path: Path) -> None:
    store = await filled_store()
    old = await publish(store, tmp_path, WordEmbedder())
    killed = await asyncio.to_thread(killed_publish, tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / killed.stdout.strip()).exists()
    assert len(list(tmp_path.glob(".staging-*"))) == 1
    assert snapshot.load(tmp_path / old.version).manifest == old
    await fill(store, [*PASSAGES, faq("pickup")])
    assert (await publish(store, tmp_path, WordEmbedder())).version == killed.stdout.strip()


async def test_a_publish_that_fails_changes_nothing_about_what_is_served(tmp_path: Path) -> None:
    store = await filled_store()
    old = await publish(store, tmp_path, WordEmbedder())
    await fill(store, [*PASSAGES, faq("pickup")])

    def stop(step: str, done: int, total: int) -> None:
        if step == "calibrate":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await ingest.publish(store, tmp_path, KNOWLEDGE, WordEmbedder(), "tester", stop)
    assert await store.active(KNOWLEDGE) == old.version
    assert [entry.name for entry in tmp_path.iterdir()] == [old.version]


class SlowEmbedder(WordEmbedder):
    """Waits within its work until it is let go on, and tells of each step."""

    def __init__(self) -> None:
        super().__init__("slow@1")
        self.began, self.go_on = threading.Event(), threading.Event()

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] = lambda done: None) -> Vectors:
        self.began.set()
        assert self.go_on.wait(20)
        return super().encode(texts, progress)


def reindex(store: MemoryKnowledgeStore, folder: Path, embedder: WordEmbedder) -> Coroutine[Any, Any, ingest.Reindexed | None]:
    return ingest.reindex(store, folder, KNOWLEDGE, embedder, "tester", lambda step, done, total: None)


async def test_another_embedder_indexes_what_is_served_and_leaves_drafts_alone(tmp_path: Path) -> None:
    store = await filled_store()
    assert await reindex(store, tmp_path, WordEmbedder("words@2")) is None, "nothing is served yet"
    served = await publish(store, tmp_path, WordEmbedder())
    await fill(store, [*PASSAGES, faq("pickup")])
    found = await reindex(store, tmp_path, WordEmbedder("words@2"))
    assert found is not None and found == (served.version, await store.active(KNOWLEDGE))
    made = snapshot.read_manifest(tmp_path / found.made)
    assert (made.passages, made.embedder) == (served.passages, "words@2")


async def test_what_somebody_publishes_while_another_embedder_indexes_is_served(tmp_path: Path) -> None:
    store, embedder = await filled_store(), SlowEmbedder()
    await publish(store, tmp_path, WordEmbedder())
    indexing = asyncio.create_task(reindex(store, tmp_path, embedder))
    await asyncio.to_thread(embedder.began.wait, 20)
    await fill(store, [*PASSAGES, faq("pickup")])
    theirs = await publish(store, tmp_path, WordEmbedder())
    embedder.go_on.set()
    found = await indexing
    assert found is not None and found == (theirs.version, await store.active(KNOWLEDGE))
    made = snapshot.read_manifest(tmp_path / found.made)
    assert (made.passages, made.embedder) == (theirs.passages, "slow@1")


async def test_other_work_goes_on_while_a_snapshot_is_built(tmp_path: Path) -> None:
    store, embedder = await filled_store(), SlowEmbedder()
    publishing = asyncio.create_task(publish(store, tmp_path, embedder))
    await asyncio.to_thread(embedder.began.wait, 20)  # this loop is free, or nobody would ever let it go on
    embedder.go_on.set()
    assert (await publishing).passages == 10


async def test_a_publish_that_is_cancelled_ends_at_its_next_step_and_changes_nothing(tmp_path: Path) -> None:
    store, embedder = await filled_store(), SlowEmbedder()
    publishing = asyncio.create_task(publish(store, tmp_path, embedder))
    await asyncio.to_thread(embedder.began.wait, 20)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    embedder.go_on.set()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert (list(tmp_path.glob("*")), await store.active(KNOWLEDGE)) == ([], None)
