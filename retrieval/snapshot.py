"""A published index: passages, vectors, words and calibration in one immutable directory with a manifest of checksums."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.domain import Passage
from core.errors import SnapshotError
from core.ports import Vectors
from retrieval.faiss_index import FaissIndex
from retrieval.fusion import Calibration
from retrieval.lexical import LexicalIndex
from retrieval.ranking import Ranker
from retrieval.rows import owners, row_texts

_FORMAT = 2
_MANIFEST = "manifest.json"
_PASSAGES = "passages.jsonl"
_VECTORS = "vectors.faiss"
_WORDS = "words"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot is made of; `files` maps relative paths to SHA-256."""

    format: int
    version: str
    knowledge: str
    embedder: str
    dimension: int
    rows: int
    passages: int
    calibration: Calibration
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a snapshot says, without what it is found by: enough to show sources, and needs neither FAISS nor an embedder."""

    manifest: Manifest
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Snapshot(Contents):
    """An opened snapshot."""

    index: FaissIndex
    ranker: Ranker

    @property
    def row_vectors(self) -> dict[str, int]:
        """Row number by row text, to spare embedding it again."""
        return {text: row for row, text in enumerate(text for passage in self.passages for text in row_texts(passage))}


def version_of(passages: Iterable[Passage], embedder_version: str) -> str:
    """Return the version name of this content: equal passages and embedder give equal versions."""
    digest = hashlib.sha256(f"{_FORMAT}\n{embedder_version}\n".encode())
    for passage in passages:
        digest.update(_line(passage).encode())
    return digest.hexdigest()[:12]


def write(
    folder: Path, version: str, knowledge: str, embedder_version: str, passages: Sequence[Passage],
    index: FaissIndex, lexical: LexicalIndex, calibration: Calibration,
) -> Path:  # fmt: skip
    """Write a snapshot as `folder`/`version`, complete or not at all, and return its path."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        with _staging(folder) as staging:
            return _fill(staging, folder / version, knowledge, embedder_version, passages, index, lexical, calibration)
    except OSError as error:
        raise SnapshotError(f"The snapshot cannot be written to {folder}: {error}. Nothing was changed.") from error


def load(path: Path) -> Snapshot:
    """Open a snapshot. Raises `SnapshotError` when a file is missing, damaged or does not fit the others."""
    manifest = read_manifest(path)
    for name, expected in manifest.files.items():
        _verify(path / name, expected)
    passages = _passages(path)
    index = FaissIndex.load(path / _VECTORS)
    owner_of = owners(passages)
    if not (manifest.rows == index.rows == len(owner_of)) or manifest.dimension != index.dimension:
        raise SnapshotError(f"{path}: the index does not fit the passages. Publish again: frontdesk knowledge publish")
    lexical = LexicalIndex.load(path / _WORDS, index.rows)
    return Snapshot(manifest, passages, index, Ranker(index, lexical, owner_of, manifest.calibration.kernel_width))


def contents(path: Path) -> Contents:
    """Read manifest and passages. Raises `SnapshotError` when one is missing or damaged."""
    manifest = read_manifest(path)
    _verify(path / _PASSAGES, manifest.files[_PASSAGES])
    return Contents(manifest, _passages(path))


def is_sound(path: Path) -> bool:
    """Tell whether there is a snapshot that can be opened."""
    try:
        load(path)
    except SnapshotError:
        return False
    return True


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a snapshot without opening the rest."""
    try:
        fields: dict[str, Any] = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        if fields["format"] != _FORMAT:
            raise SnapshotError(f"{path} has format {fields['format']}, this version reads {_FORMAT}. Publish again.")
        if not {_PASSAGES, _VECTORS} <= dict(fields["files"]).keys():
            raise ValueError("it lists no checksum of the passages and vectors")
        return Manifest(**fields | {"calibration": Calibration(**fields["calibration"])})
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise SnapshotError(f"{path / _MANIFEST} cannot be read: {error}. Publish again: frontdesk knowledge publish") from error


def vectors_of(snapshot: Snapshot, texts: Sequence[str]) -> tuple[list[int], Vectors]:
    """Return the positions in `texts` whose vector `snapshot` already holds, and those vectors."""
    known = snapshot.row_vectors
    positions = [position for position, text in enumerate(texts) if text in known]
    import numpy as np

    return positions, snapshot.index.vectors(np.array([known[texts[position]] for position in positions], np.int64))


def _line(passage: Passage) -> str:
    return json.dumps(asdict(passage), ensure_ascii=False, sort_keys=True) + "\n"


def _passages(path: Path) -> tuple[Passage, ...]:
    with (path / _PASSAGES).open(encoding="utf-8") as lines:
        return tuple(_passage(line) for line in lines)


def _passage(line: str) -> Passage:
    fields = json.loads(line)
    return Passage(**fields | {"alternatives": tuple(fields["alternatives"]), "tags": tuple(fields["tags"])})


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(path: Path, expected: str) -> None:
    try:
        actual = _sha256(path)
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error}. Publish again: frontdesk knowledge publish") from error
    if actual != expected:
        raise SnapshotError(f"{path} is damaged: its SHA-256 differs from the manifest. Publish again or roll back.")


def _sync(folder: Path) -> None:
    """Force files and directory entries to disk, so that the rename never shows a half-written snapshot."""
    for path in [*_files(folder), *(path for path in folder.rglob("*") if path.is_dir()), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=folder))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _fill(
    staging: Path, target: Path, knowledge: str, embedder_version: str, passages: Sequence[Passage],
    index: FaissIndex, lexical: LexicalIndex, calibration: Calibration,
) -> Path:  # fmt: skip
    (staging / _PASSAGES).write_text("".join(_line(passage) for passage in passages), encoding="utf-8")
    index.save(staging / _VECTORS)
    lexical.save(staging / _WORDS)
    files = {str(path.relative_to(staging)): _sha256(path) for path in _files(staging)}
    manifest = Manifest(_FORMAT, target.name, knowledge, embedder_version, index.dimension, index.rows, len(passages), calibration, files)
    (staging / _MANIFEST).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
    _sync(staging)
    return _publish(staging, target)


def _publish(staging: Path, target: Path) -> Path:
    if target.exists():
        if is_sound(target):  # the same content was published before: both are equal, keep the one in use
            return target
        damaged = Path(tempfile.mkdtemp(prefix=".staging-", dir=target.parent))
        target.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    staging.chmod(0o755)
    staging.rename(target)
    return target


def _remove_leftovers(folder: Path) -> None:
    """Remove what a killed publish left; one that still runs is younger than an hour."""
    import time

    for path in folder.glob(".staging-*"):
        if time.time() - path.stat().st_mtime > 3600:
            shutil.rmtree(path, ignore_errors=True)
