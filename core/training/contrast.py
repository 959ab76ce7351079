"""Contrastive learning with sentence-transformers: batches as they were seated, and nothing padded that need not be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformerTrainer
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

_TOGETHER = 16  # texts that are padded to the longest of them


class SeatedTrainer(SentenceTransformerTrainer):  # type: ignore[misc]  # sentence_transformers is untyped here
    """A trainer that takes the batches it is given, in their order."""

    def __init__(self, batches: Sequence[list[int]], **rest: Any) -> None:
        self._batches = batches
        super().__init__(**rest)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """Add none: it would count every dataset by column and guess at languages, for a card that is not kept."""

    def get_batch_sampler(self, dataset: Any, batch_size: int, drop_last: bool, **rest: Any) -> Any:
        """See `SentenceTransformerTrainer`."""
        return _Seated(dataset, self._batches)


class _Seated(DefaultBatchSampler):  # type: ignore[misc]
    def __init__(self, dataset: Any, batches: Sequence[list[int]]) -> None:
        super().__init__(dataset, batch_size=max(map(len, batches)), drop_last=False)
        self._batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class PackedRankingLoss(MultipleNegativesRankingLoss):  # type: ignore[misc]
    """The loss of its parent, texts of about one length going through the model together.

    Questions of banking77 have 14 tokens, the longest of 128 has 60: padded to that, a step takes three times as long and as much memory.
    """

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Any) -> Any:
        """See `MultipleNegativesRankingLoss`."""
        return self.compute_loss_from_embeddings([self._embedded(column) for column in sentence_features], labels)

    def _embedded(self, column: dict[str, Any]) -> torch.Tensor:
        lengths = column["attention_mask"].sum(dim=1)
        order = torch.argsort(lengths)
        parts = [self.model(_cut(column, rows, int(lengths[rows].max())))["sentence_embedding"] for rows in order.split(_TOGETHER)]
        return torch.cat(parts)[torch.argsort(order)]


def _cut(column: dict[str, Any], rows: torch.Tensor, longest: int) -> dict[str, Any]:
    """Return some rows of a column, without what only pads them."""
    whole = column["attention_mask"].shape

    def cut(value: Any) -> Any:
        return value[rows, :longest] if isinstance(value, torch.Tensor) and value.shape == whole else value

    return {name: cut(value) for name, value in column.items()}
