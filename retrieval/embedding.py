"""Text to vectors with a sentence-transformers model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import ModelError
from core.ports import Vectors
from core.text import fold
from retrieval.batching import Batcher

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BATCH = 64
_TOGETHER = 16  # of a batch, sorted by length: 181 questions/s on two cores, all 64 padded to the longest 129, one by one 59
_BULK = 256  # at publish, sorted by length, nothing is padded: 118 texts/s on two busy cores, in sixteens 25
# Longer texts are cut before tokenising; every model in use reads at most 512 tokens, which 3,000 characters exceed.
_MAX_CHARS = 3000


class SentenceEmbedder:
    """`Embedder` on a local model folder; the model is opened at first use (about 3 s, most of it importing torch)."""

    def __init__(self, folder: Path, version: str) -> None:
        """`version` is what a snapshot's manifest records: two embedders of one version give the same vectors."""
        self._folder = folder
        self._version = version
        self._batcher: Batcher[str, Vectors] = Batcher(lambda texts: list(self._encode_list(texts)), _BATCH)

    @property
    def version(self) -> str:
        """See `Embedder.version`."""
        return self._version

    @property
    def dimension(self) -> int:
        """See `Embedder.dimension`."""
        return int(self._model.get_embedding_dimension() or 0)

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] = lambda done: None) -> Vectors:
        """See `Embedder.encode`; `progress` is called with the number of texts done since the last call."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        # Longest first: texts of a batch have about the same length, so little is padded.
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        for start in range(0, len(order), _BULK):
            chosen = order[start : start + _BULK]
            vectors[chosen] = self._encode_list([texts[index] for index in chosen], together=_BULK)
            progress(len(chosen))
        return vectors

    async def embed(self, text: str) -> Vectors:
        """See `Embedder.embed`."""
        return await self._batcher.submit(text)

    def _encode_list(self, texts: list[str], together: int = _TOGETHER) -> Vectors:
        folded = [fold(text[:_MAX_CHARS]) for text in texts]
        different = list(dict.fromkeys(folded))  # retrieval and the person detector ask for the same question at the same time
        vectors: Any = self._model.encode(different, batch_size=together, normalize_embeddings=True, show_progress_bar=False)
        row = {text: number for number, text in enumerate(different)}
        return np.asarray(vectors, np.float32)[[row[text] for text in folded]]

    @cached_property
    def _model(self) -> SentenceTransformer:
        from sentence_transformers import SentenceTransformer  # 3 s: only when a vector is needed

        try:
            return SentenceTransformer(str(self._folder), local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelError(f"The embedder in {self._folder} cannot be opened: {error}") from error
