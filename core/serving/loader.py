"""Knows how each version of a model is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelError
from core.ports import Generator
from core.registry import ARTIFACT, EXTRACTIVE, REMOTE, ModelVersion
from core.serving import weights
from core.serving.extractive import ExtractiveGenerator

Open = Callable[[weights.Weights, str, Path | None], Generator]


@dataclass(frozen=True)
class Loader:
    """`ModelLoader` by where a version lies."""

    model_dir: Path
    report: Callable[[str], None]
    verified: Callable[[ModelVersion], Path]  # the folder of an imported version, its files being what they were; blocks
    local: Open  # weights, the version's id, and the folder of an adapter
    remote: Callable[[str, str], Generator]  # the model's name on the servers, and the version's id

    async def load(self, version: ModelVersion) -> Generator:
        """See `ModelLoader.load`."""
        if version.location == EXTRACTIVE:
            return ExtractiveGenerator()
        if version.location.startswith(REMOTE):
            return self.remote(version.location.removeprefix(REMOTE), version.model_id)
        return await asyncio.to_thread(self._local, version)

    def _local(self, version: ModelVersion) -> Generator:
        folder = self.verified(version) if version.location.startswith(ARTIFACT) else None
        if version.base:
            if folder is None:
                raise ModelError(f"{version.model_id} is an adapter and was never imported. See: frontdesk models import --help")
            return self.local(weights.resolve(version.base, self.model_dir, self.report), version.model_id, folder)
        found = weights.resolve(str(folder or version.location), self.model_dir, self.report)
        if folder is None and found.version != version.model_id:
            raise ModelError(f"{version.location} has changed since it was registered as {version.model_id}. Import it again.")
        return self.local(found, version.model_id, None)
