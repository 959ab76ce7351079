"""How well retrieval ranks: recall, MRR and nDCG on a labelled file."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.domain import Hit

DEPTH = 10


def relevance(hits: Sequence[Hit], relevant: frozenset[str]) -> list[bool]:
    """Return for each hit whether it is relevant: by passage id or document id; a document counts once."""
    seen: set[str] = set()
    flags = []
    for hit in hits:
        names = {hit.passage.passage_id, hit.passage.document_id} & relevant
        flags.append(bool(names - seen))
        seen |= names
    return flags


def ranking_figures(rankings: Sequence[tuple[list[bool], int]]) -> dict[str, float]:
    """Return recall@1/5/10, MRR@10 and nDCG@10, means over (relevance flags, number of relevant) of each question."""
    count = max(len(rankings), 1)
    return {
        **{f"recall@{depth}": sum(_recall(flags, total, depth) for flags, total in rankings) / count for depth in (1, 5, 10)},
        f"mrr@{DEPTH}": sum(_reciprocal_rank(flags) for flags, _ in rankings) / count,
        f"ndcg@{DEPTH}": sum(_ndcg(flags, total) for flags, total in rankings) / count,
    }


def _recall(flags: list[bool], total: int, depth: int) -> float:
    return sum(flags[:depth]) / min(total, depth)


def _reciprocal_rank(flags: list[bool]) -> float:
    return next((1 / rank for rank, flag in enumerate(flags[:DEPTH], 1) if flag), 0.0)


def _ndcg(flags: list[bool], total: int) -> float:
    """Binary gains, log2 discount (Järvelin and Kekäläinen 2002)."""
    gain = sum(1 / math.log2(rank + 1) for rank, flag in enumerate(flags[:DEPTH], 1) if flag)
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(total, DEPTH) + 1))
