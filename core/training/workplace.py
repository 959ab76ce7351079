"""The folder in which a model is trained: one run at a time, what is needed to go on after a kill, and room on the disk."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import TrainingError

_CHECKPOINT = "checkpoint-"
_STATE = "trainer_state.json"  # written last: without it a checkpoint is half a one
_RUN = "run.json"
SPARE_BYTES = 256 << 20  # for logs, and so that the database beside it can go on writing


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold a lock while training; the system lets go of it when the process dies. Raises `TrainingError` when another process has it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            who = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            raise TrainingError(
                f"Process {who or '?'} is training here already. Wait for it, or stop it: what it has learnt is kept."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def digest(*said: str) -> str:
    """Return a short name for a run: the same for the same data, recipe and base, so that the same command finds what it began."""
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]


def require_room(folder: Path, needed: int) -> None:
    """Raise `TrainingError` unless `needed` bytes fit on the disk of `folder`."""
    existing = next(one for one in (folder, *folder.parents) if one.is_dir())
    free = shutil.disk_usage(existing).free
    if free < needed + SPARE_BYTES:
        raise TrainingError(
            f"Training needs {(needed + SPARE_BYTES) / 2**20:,.0f} MiB in {existing}, {free / 2**20:,.0f} MiB are free. "
            "Make room, or train elsewhere: --out FOLDER"
        )


def claim(work: Path, run: dict[str, str]) -> None:
    """Note in `work` what is trained there. Raises `TrainingError` when that was begun with other data, another recipe or another base."""
    work.mkdir(parents=True, exist_ok=True)
    file = work / _RUN
    try:
        known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else run
    except ValueError:  # a kill in the middle of the write
        known = {}
    if known and (other := sorted(name for name in known.keys() | run.keys() if known.get(name) != run.get(name))):
        raise TrainingError(
            f"{work} holds a run that was begun with another {' and '.join(other)}. Train elsewhere (--out FOLDER), or delete the folder."
        )
    part = file.with_suffix(".part")
    part.write_text(json.dumps(run), encoding="utf-8")
    part.replace(file)


def newest_checkpoint(work: Path) -> Path | None:
    """Return the newest whole checkpoint, None when there is none; half ones, left by a kill or a full disk, are deleted."""
    found = {}
    for folder in work.glob(f"{_CHECKPOINT}*"):
        number = folder.name.removeprefix(_CHECKPOINT)
        if not _is_whole(folder):
            shutil.rmtree(folder)
        elif number.isdecimal():
            found[int(number)] = folder
    return found[max(found)] if found else None


def tidy(out: Path) -> None:
    """Delete the checkpoints of a run whose result in `out` was registered: nothing goes on from them, and each run has its own."""
    for folder in out.with_name(f"{out.name}.work").glob(f"{_CHECKPOINT}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / _STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False
