"""A snapshot is complete and undamaged, or it is refused by name; none is ever half there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.domain import Passage
from core.errors import SnapshotError
from retrieval import ingest, snapshot
from tests.retrieval.simple import KNOWLEDGE, TOPICS, WordEmbedder, faq

PASSAGES = tuple(faq(topic) for topic in TOPICS)


def build(folder: Path, passages: tuple[Passage, ...] = PASSAGES) -> Path:
    embedder = WordEmbedder()
    version = snapshot.version_of(passages, embedder.version)
    ingest.build(folder, version, KNOWLEDGE, embedder, passages, None, lambda step, done, total: None)
    return folder / version


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("snapshots"))


@pytest.fixture
def path(published: Path, tmp_path: Path) -> Path:
    """A snapshot that may be damaged."""
    return Path(shutil.copytree(published, tmp_path / "snapshots" / published.name))


def change_manifest(path: Path, **fields: object) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | fields))


def replace_vectors(path: Path, content: bytes) -> None:
    """Put `content` there and its checksum into the manifest: what a wrong build would leave."""
    (path / "vectors.faiss").write_bytes(content)
    files = json.loads((path / "manifest.json").read_text())["files"]
    change_manifest(path, files=files | {"vectors.faiss": hashlib.sha256(content).hexdigest()})


def test_what_was_written_is_what_is_opened(path: Path) -> None:
    loaded = snapshot.load(path)
    assert loaded.passages == PASSAGES
    assert (loaded.manifest.knowledge, loaded.manifest.embedder, loaded.manifest.version) == (KNOWLEDGE, "words@1", path.name)
    assert (loaded.manifest.passages, loaded.manifest.rows, loaded.manifest.dimension) == (10, 30, 32)
    assert snapshot.read_manifest(path) == loaded.manifest


def test_every_field_of_a_passage_survives_in_every_script(tmp_path: Path) -> None:
    passage = Passage("id\n1", "d", "支払い\u2028?", 'a "b" \\ 🙂', ("x", "y"), "https://example.com", "c", "ja", ("t", "u"), curated=False)
    assert snapshot.load(build(tmp_path, (passage,))).passages == (passage,)


def test_the_version_depends_on_every_field_and_on_the_embedder() -> None:
    versions = {
        snapshot.version_of(PASSAGES, "words@1"), snapshot.version_of(PASSAGES, "words@2"), snapshot.version_of(PASSAGES[1:], "words@1"),
        snapshot.version_of((*PASSAGES[:-1], faq(TOPICS[-1], "another answer")), "words@1"),
    }  # fmt: skip
    assert len(versions) == 4
    assert snapshot.version_of(iter(PASSAGES), "words@1") in versions


def test_writing_equal_content_again_keeps_the_files_in_use(path: Path) -> None:
    before = (path / "vectors.faiss").stat().st_ino
    assert build(path.parent) == path
    assert (path / "vectors.faiss").stat().st_ino == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_writing_over_a_damaged_snapshot_mends_it(path: Path) -> None:
    (path / "vectors.faiss").write_bytes(b"")
    build(path.parent)
    assert snapshot.load(path).passages == PASSAGES
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_vectors_of_known_texts_are_handed_out_with_their_positions(path: Path) -> None:
    loaded = snapshot.load(path)
    texts = ["unknown", PASSAGES[3].title, PASSAGES[0].text]
    positions, vectors = snapshot.vectors_of(loaded, texts)
    assert positions == [1, 2]
    assert np.allclose(vectors, WordEmbedder().encode(texts[1:]), atol=1e-6)
    assert snapshot.vectors_of(loaded, ["unknown"])[1].shape == (0, 32)


@pytest.mark.parametrize("name", ["manifest.json", "passages.jsonl", "vectors.faiss", "words"])
def test_a_missing_file_is_named(path: Path, name: str) -> None:
    gone = path / name
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    with pytest.raises(SnapshotError, match=f"{name}.* cannot be read: .*Publish again"):
        snapshot.load(path)


def test_bad_input_63_one_flipped_bit_anywhere_in_a_data_file_is_refused(path: Path) -> None:
    files = [file for file in path.rglob("*") if file.is_file() and file.name != "manifest.json"]
    assert len(files) >= 4
    for file in files:
        content = file.read_bytes()
        for position in {0, len(content) // 2, len(content) - 1}:
            file.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
            with pytest.raises(SnapshotError, match=f"{file.name} is damaged: its SHA-256 differs"):
                snapshot.load(path)
        file.write_bytes(content)
    assert snapshot.load(path).passages == PASSAGES


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b"XXXX"])
def test_bad_input_63_a_wrong_index_with_a_right_checksum_is_refused(path: Path, content: bytes) -> None:
    replace_vectors(path, content)
    with pytest.raises(SnapshotError, match=r"vectors.faiss is no FAISS index"):
        snapshot.load(path)


def test_bad_input_63_an_index_of_other_rows_or_dimension_is_refused(path: Path, tmp_path: Path) -> None:
    for vectors in (np.eye(32, dtype=np.float32), np.ones((30, 16), np.float32)):
        snapshot.FaissIndex.build(vectors).save(tmp_path / "other")
        replace_vectors(path, (tmp_path / "other").read_bytes())
        with pytest.raises(SnapshotError, match=r"does not fit the passages"):
            snapshot.load(path)


@pytest.mark.parametrize(
    "manifest",
    ["", "{", "[]", "null", '"x"', "{}", '{"format": 2}', "[" * 100_000, "\x00", '{"format": 2, "files": 5}', '{"format": 2, "files": {}}'],
    ids=range(11),
)
def test_a_manifest_of_anything_else_is_refused(path: Path, manifest: str) -> None:
    (path / "manifest.json").write_text(manifest)
    with pytest.raises(SnapshotError, match=r"manifest\.json cannot be read"):
        snapshot.load(path)


@pytest.mark.parametrize(
    "fields", [{"calibration": {}}, {"calibration": [1]}, {"calibration": None}, {"surprise": 1}, {"files": {}}, {"files": None}]
)
def test_a_manifest_with_a_wrong_field_is_refused(path: Path, fields: dict[str, Any]) -> None:
    change_manifest(path, **fields)
    with pytest.raises(SnapshotError, match=r"manifest\.json cannot be read"):
        snapshot.load(path)


def test_a_snapshot_of_another_format_says_so(path: Path) -> None:
    change_manifest(path, format=99)
    with pytest.raises(SnapshotError, match=r"has format 99, this version reads 2. Publish again"):
        snapshot.load(path)


def test_a_snapshot_that_is_not_there_or_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("gone", "file"):
        assert not snapshot.is_sound(tmp_path / name)
        with pytest.raises(SnapshotError, match=r"cannot be read"):
            snapshot.load(tmp_path / name)


def test_what_a_killed_publish_left_is_removed_after_an_hour_and_a_running_one_left_alone(path: Path) -> None:
    old, young = path.parent / ".staging-old", path.parent / ".staging-young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "half").touch()
    an_hour_ago = young.stat().st_mtime - 3601
    os.utime(old, (an_hour_ago, an_hour_ago))
    build(path.parent)
    assert (old.exists(), young.exists()) == (False, True)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SnapshotError, match=r"cannot be written to .*/file: .*Nothing was changed"):
        build(tmp_path / "file")


_WITH_LITTLE_DISK = """
import resource, signal, sys
from pathlib import Path
from core.errors import SnapshotError
from retrieval import snapshot
from tests.retrieval.simple import TOPICS, faq
from tests.retrieval.test_snapshot import build

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
build(folder / "warm-up", (faq("warm"),))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    build(folder, tuple(faq(topic) for topic in (*TOPICS, "extra")))
except SnapshotError as error:
    print("refused:", error)
else:
    print("written")
"""


def publish_with_little_disk(folder: Path, limit: int) -> str:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _WITH_LITTLE_DISK, str(folder), str(limit)],
        cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("limit", [0, 300, 2000, 3800])
def test_bad_input_60_a_full_disk_leaves_no_half_written_snapshot_and_the_old_one_whole(path: Path, limit: int) -> None:
    said = publish_with_little_disk(path.parent, limit)
    shutil.rmtree(path.parent / "warm-up")
    assert said.startswith(f"refused: The snapshot cannot be written to {path.parent}: ")
    assert "Nothing was changed." in said
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert snapshot.load(path).passages == PASSAGES
