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
# At publish texts are sorted by length and nothing is padded, so more go together: 118 texts/s on two busy cores, in sixteens 25.
_BULK = 256
_BULK_CHARS = 32_000  # of a batch: attention over 256 texts of 512 tokens would take 3 GB
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
        while order:
            count = _fitting(len(texts[order[0]]))
            chosen, order = order[:count], order[count:]
            vectors[chosen] = self._encode_list([texts[index] for index in chosen], together=count)
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


def _fitting(longest: int) -> int:
    """How many texts of up to `longest` characters go into a batch."""
    return max(_TOGETHER, min(_BULK, _BULK_CHARS // max(1, min(longest, _MAX_CHARS))))
