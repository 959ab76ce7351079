"""The adapter that comes with Frontdesk: the small model answers from its passages, and cites them, from the first minute."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import suppress
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

from bot.bootstrap import Frontdesk
from core.errors import ModelError
from core.registry import ARTIFACT, Kind, ModelVersion
from core.serving import training_run

NAME = "answers"
_LICENCE = "Apache-2.0"  # of the adapter as of the text that it was trained on, and of its base
_WEIGHTS = "adapter_model.safetensors"


def is_there() -> bool:
    """Tell whether this installation carries it."""
    return (_folder() / _WEIGHTS).is_file()


async def registered(graph: Frontdesk, actor: str) -> str:
    """Return the id of its version, taken in and registered where it was not: also on a second machine. Raises `ModelError`."""
    known = await graph.model_registry.versions(Kind.GENERATOR)
    if (found := await asyncio.to_thread(_taken_before, graph, known)) is not None:
        return found
    version = await asyncio.to_thread(_taken, graph, known, actor)
    with suppress(ModelError):  # not yet known
        return (await graph.model_registry.version(version.model_id)).model_id
    await graph.model_registry.register(version)
    return version.model_id


async def unpack(graph: Frontdesk, model_id: str, actor: str) -> None:
    """Take it in where another machine has promoted it and this one has not got it yet."""
    if model_id.startswith(f"{NAME}@") and is_there() and not (graph.settings.artifacts / model_id).is_dir():
        await registered(graph, actor)


def _taken_before(graph: Frontdesk, known: tuple[ModelVersion, ...]) -> str | None:
    with as_file(_folder()) as folder:
        run = training_run.read(folder)
    for one in known:
        is_it = (one.dataset_sha256, one.recipe) == (run.dataset_sha256, run.recipe) and one.location.startswith(f"{ARTIFACT}{NAME}@")
        if is_it and (graph.settings.artifacts / one.model_id).is_dir():
            return one.model_id
    return None


def _taken(graph: Frontdesk, known: tuple[ModelVersion, ...], actor: str) -> ModelVersion:
    """Take in a copy: an installer may have linked the files of a package to other names, which no import accepts."""
    with as_file(_folder()) as folder, tempfile.TemporaryDirectory() as copy:
        for path in folder.iterdir():
            shutil.copyfile(path, Path(copy) / path.name)
        return graph.artifacts.take(copy, known, name=NAME, licence=_LICENCE, actor=actor)


def _folder() -> Traversable:
    return files("core.training") / "shipped" / "adapter"
