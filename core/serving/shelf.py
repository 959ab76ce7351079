"""The folder of imported models: each is written beside the others, forced to disk, renamed, and never changed again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from core.errors import ModelError
from core.registry import ModelFile, ModelVersion
from core.serving.folders import OF_THE_HUB, Watch, inside, unwatched, walk

MANIFEST = "manifest.json"
_FORMAT = 1
_STAGING = ".staging-"
_PIECE = 1 << 20
_SPARE = 64 << 20  # bytes that stay free: a database lies on the same disk


class Shelf:
    """Folders of models by name, complete or not there."""

    def __init__(self, root: Path, report: Callable[[str], None]) -> None:
        """`report` hears when somebody has to be waited for."""
        self._root = root
        self._report = report

    def folder(self, name: str) -> Path:
        """Return the folder of that name. Raises `ModelError` when it is not there, or the name leads elsewhere."""
        folder = inside(self._root, name)
        if not folder.is_dir():
            raise ModelError(f"{folder} is missing. Copy it from a machine that has it, or import the model there again.")
        return folder

    @contextmanager
    def copied(self, source: Path, watch: Watch = unwatched) -> Iterator[Path]:
        """Give a copy of the files of `source`; it is gone at the end unless it was put on the shelf. One at a time."""
        self._root.mkdir(parents=True, exist_ok=True)
        with self._alone():
            for leftover in self._root.glob(f"{_STAGING}*"):  # whoever made it holds the lock no more: it was killed
                shutil.rmtree(leftover, ignore_errors=True)
            _refuse_full(self._root, source)
            staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self._root))
            try:
                _copy(source, staging, watch)
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def put(self, staging: Path, name: str, version: ModelVersion) -> None:
        """Keep a copy under a name. Where that is there already it stays, or is replaced if it was damaged since."""
        manifest = {"format": _FORMAT, **asdict(version), "created_at": version.created_at.isoformat()}
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        _close(staging)
        target = inside(self._root, name)
        if target.exists():
            if _is_whole(target, version.files):
                return
            target.rename(self._root / f"{_STAGING}damaged-{os.getpid()}")  # the next import clears it away
        staging.rename(target)
        _sync(self._root)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        handle = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._report("Another import is under way: waiting for it")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def refuse_changed(folder: Path, expected: Mapping[str, ModelFile]) -> None:
    """Raise `ModelError` unless the folder holds exactly these files, byte for byte, and perhaps a manifest."""
    there = digests(folder, passed_over=())
    there.pop(MANIFEST, None)
    if extra := sorted(set(there) - set(expected)):
        raise ModelError(f"{extra[0]!r} was put into {folder} after the import. Look who did, and take it out.")
    for name, file in expected.items():
        if name not in there:
            raise ModelError(f"{name!r} is missing in {folder}. Import the model again: what is damaged is replaced.")
        if there[name] != file.sha256:
            raise ModelError(f"{name!r} in {folder} was changed after the import (SHA-256 differs). Import the model again.")


def digests(folder: Path, *, linked: bool = False, passed_over: Collection[str] = OF_THE_HUB) -> dict[str, str]:
    """Return the SHA-256 of every file of a folder by name; arguments and errors are those of `walk`."""
    found = {}
    for file in walk(folder, linked=linked, passed_over=passed_over):
        with os.fdopen(os.dup(file.descriptor), "rb") as content:
            found[file.name] = hashlib.file_digest(content, "sha256").hexdigest()
    return found


def by_name(files: tuple[ModelFile, ...]) -> dict[str, ModelFile]:
    """Return files by their names."""
    return {file.name: file for file in files}


def _is_whole(folder: Path, files: tuple[ModelFile, ...]) -> bool:
    try:
        refuse_changed(folder, by_name(files))
    except ModelError:
        return False
    return True


def _refuse_full(root: Path, source: Path) -> None:
    needed, free = sum(file.size for file in walk(source)), shutil.disk_usage(root).free
    if needed + _SPARE > free:
        raise ModelError(f"{root} has {free / 1e9:.1f} GB free, the model needs {needed / 1e9:.1f}. Make room, or set data_dir.")


def _copy(source: Path, staging: Path, watch: Watch) -> None:
    total = sum(_pieces(file.size) for file in walk(source))
    for file in walk(source):
        if file.name == MANIFEST:  # of where it was imported before; it is written anew
            continue
        copy = staging / file.name
        copy.parent.mkdir(exist_ok=True)
        with os.fdopen(os.dup(file.descriptor), "rb") as content, copy.open("xb") as target:
            while piece := content.read(_PIECE):
                target.write(piece)
                watch("copy", 1, total)


def _pieces(size: int) -> int:
    return -(-size // _PIECE)


def _close(folder: Path) -> None:
    """Nobody writes here any more; force all of it to disk, so that the rename never shows half a model."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.chmod(0o755 if path.is_dir() else 0o444)
        _sync(path)
    folder.chmod(0o755)
    _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
