"""What may lie in the folder of a model: plain files with known names, ours, one name each; nothing is opened to find out."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from core.errors import ModelError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_ENDINGS = (".safetensors", ".json", ".txt", ".model", ".jinja", ".md")
_WORDS = ("LICENSE", "LICENCE", "NOTICE", "README", "COPYING")
_RUNS_CODE = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npz", ".npy", ".h5", ".keras", ".msgpack", ".dill")
_IS_CODE = (".py", ".pyc", ".so", ".dll", ".dylib", ".sh", ".ipynb", ".whl", ".egg")
OF_THE_HUB = (".cache", ".git", ".gitattributes", ".gitignore")  # left by whoever downloaded the model; not taken over
_MAX_FILES = 1000
Watch = Callable[[str, int, int], None]  # hears of long work: which step, how much was done since the last call, of how much
_TAKE_AWAY = "Take it out of the folder and import again."


def unwatched(_step: str, _done: int, _total: int) -> None:
    """Nobody waits for it."""


class Found(NamedTuple):
    """A file that may be there, open for reading while it is looked at."""

    name: str  # relative, with a slash
    descriptor: int
    size: int


def walk(folder: Path, *, linked: bool = False, passed_over: Collection[str] = OF_THE_HUB) -> Iterator[Found]:
    """Yield the files of a folder, and raise `ModelError` at the first thing that may not be there.

    Links are never followed: each folder and file is opened relative to the open folder above it. `linked`: files may have other
    names elsewhere (hard links), as in an environment whose installer saves space that way. What is `passed_over` is not looked at.
    """
    count = 0
    with _opened_folder(folder) as top:
        _refuse_stranger(f"{folder}", os.fstat(top))
        for found in _files(top, "", linked, passed_over):
            count += 1
            if count > _MAX_FILES:
                raise ModelError(f"It holds more than {_MAX_FILES} files, as no model does. {_TAKE_AWAY}")
            yield found


def inside(root: Path, name: str) -> Path:
    """Return the folder `name` right below `root`. Raises `ModelError` for a name that leads elsewhere."""
    folder = root / name
    if not _is_plain(name.replace("@", "-", 1)) or folder.resolve().parent != root.resolve():
        raise ModelError(f"{name!r} is no folder right below {root}: a name must not lead elsewhere.")
    return folder


def check_name(name: str, what: str) -> str:
    """Return `name` when it may name a file or a model. Raises `ModelError` that says what it was meant to be."""
    if not _is_plain(name):
        raise ModelError(f"{name!r} cannot be {what}: use letters, digits, dots, dashes and underscores, up to 128, not two dots in a row.")
    return name


def _is_plain(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and ".." not in name


def _files(folder: int, above: str, linked: bool, passed_over: Collection[str]) -> Iterator[Found]:
    for name in sorted(set(os.listdir(folder)).difference(passed_over)):
        shown = above + name
        state = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(state.st_mode):
            yield from _below(folder, name, above, linked)
            continue
        _refuse_kind(shown, state.st_mode)
        _refuse_name(name, shown)
        with _opened(name, folder, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
            state = os.fstat(descriptor)  # of what was opened, whatever has taken the name's place since
            _refuse_kind(shown, state.st_mode)
            _refuse_stranger(shown, state)
            if state.st_nlink > 1 and not linked:
                raise ModelError(
                    f"{shown!r} has {state.st_nlink} names (hard links): whoever has another one could change it. Put a copy there."
                )
            yield Found(shown, descriptor, state.st_size)


def _below(folder: int, name: str, above: str, linked: bool) -> Iterator[Found]:
    if above:
        raise ModelError(f"{above + name!r} is a folder in a folder in the folder, as no model has. {_TAKE_AWAY}")
    check_name(name, "a folder of a model")
    with _opened(name, folder, os.O_RDONLY | os.O_DIRECTORY) as inner:
        _refuse_stranger(name, os.fstat(inner))
        yield from _files(inner, f"{name}/", linked, ())


def _refuse_kind(shown: str, mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise ModelError(f"{shown!r} is a symbolic link, and links are not followed. Put the file itself there.")
    if not stat.S_ISREG(mode):
        raise ModelError(f"{shown!r} is no regular file but a device, pipe or socket. {_TAKE_AWAY}")


def _refuse_stranger(shown: str, state: os.stat_result) -> None:
    if state.st_uid not in (os.geteuid(), 0):
        raise ModelError(f"{shown!r} belongs to user {state.st_uid}, who could change it. Make it yours: chown")
    if state.st_mode & stat.S_IWOTH:
        raise ModelError(f"{shown!r} may be written by everybody. Look who did, then: chmod o-w")


def _refuse_name(name: str, shown: str) -> None:
    lower = name.lower()
    if lower.endswith(_RUNS_CODE):
        raise ModelError(
            f"{shown!r} is of a format that can run code when it is opened; only .safetensors is taken. Convert it, or {_LATER}"
        )
    if lower.endswith(_IS_CODE):
        raise ModelError(f"{shown!r} is code, and no code of a model is ever run. {_TAKE_AWAY}")
    if not (lower.endswith(_ENDINGS) or name in _WORDS):
        raise ModelError(f"{shown!r} is no file that a model needs here (needed: {', '.join(_ENDINGS)}). {_TAKE_AWAY}")
    check_name(name, f"a file of a model ({shown!r})" if shown != name else "a file of a model")


_LATER = "take it out if the same weights are there as .safetensors."


@contextmanager
def _opened(name: str, folder: int, flags: int) -> Iterator[int]:
    descriptor = _translated(lambda: os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder), name)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _opened_folder(folder: Path) -> Iterator[int]:
    if folder.is_symlink():
        raise ModelError(f"{folder} is a symbolic link, and links are not followed. Name the folder it leads to.")
    descriptor = _translated(lambda: os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW), str(folder))
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _translated(work: Callable[[], int], name: str) -> int:
    try:
        return work()
    except OSError as error:
        raise ModelError(f"{name!r} cannot be opened: {error.strerror}.") from error
