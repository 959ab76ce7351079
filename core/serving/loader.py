"""Knows how each version of a model is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.ports import Generator
from core.registry import EXTRACTIVE, REMOTE, ModelVersion
from core.serving import weights
from core.serving.artifacts import Artifacts
from core.serving.extractive import ExtractiveGenerator

Open = Callable[[weights.Weights, str, Path | None, bool], Generator]


@dataclass(frozen=True)
class Loader:
    """`ModelLoader` by where a version lies."""

    artifacts: Artifacts
    local: Open  # weights, the version's id, the folder of an adapter, and whether to share nothing
    remote: Callable[[str, str, str], Generator]  # the model's name on the servers, the version's id, and the folder of an adapter or ""

    async def load(self, version: ModelVersion, *, anew: bool = False) -> Generator:
        """See `ModelLoader.load`."""
        if version.location == EXTRACTIVE:
            return ExtractiveGenerator()
        if version.location.startswith(REMOTE):
            return self.remote(version.location.removeprefix(REMOTE), version.model_id, "")
        return await asyncio.to_thread(self._local, version, anew)

    def _local(self, version: ModelVersion, anew: bool) -> Generator:
        found = self.artifacts.open(version)
        if version.base.startswith(REMOTE):  # servers load it at run time, under the id of the version
            return self.remote(version.model_id, version.model_id, str(found.folder.resolve()))
        if version.base:
            return self.local(self.artifacts.base(version), version.model_id, found.folder, anew)
        return self.local(found, version.model_id, None, anew)
