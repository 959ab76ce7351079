"""Fits the calibration weights that ship, on knowledge bases drawn from labelled public sets; prints them as JSON.

    make fit-calibration ARGS="FOLDER"

FOLDER holds `SET/knowledge.jsonl` and `SET/routing-validation.jsonl`, `SET/routing-test.jsonl` or `SET/retrieval.jsonl` for
each set. From each set bases are drawn with half or 70 % of its documents and 0 to 30 alternatives each, so that many questions
have no answer left. The weights are also fitted without each set in turn: they should stay about the same, or they would only
describe these sets.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from bot.settings import Settings
from bot.telemetry import quiet_libraries
from core.domain import Passage
from core.ports import Vectors
from core.serving import weights
from retrieval import calibration, documents
from retrieval.embedding import SentenceEmbedder
from retrieval.faiss_index import FaissIndex
from retrieval.fusion import Floats, features, sigmoid
from retrieval.ingest import _centroids
from retrieval.lexical import LexicalIndex
from retrieval.ranking import Ranker
from retrieval.rows import own_questions, owners, row_texts

SHARES = (0.5, 0.7)
ALTERNATIVES = (0, 1, 2, 5, 10, 30)
QUESTIONS = 1500
_LABELLED = ("routing-validation.jsonl", "routing-test.jsonl", "retrieval.jsonl")
_NO_PRIOR = np.full(3, 1e-3)


class Drawn(NamedTuple):
    """A base drawn from a set, and questions with the id that answers each (None: nothing in this base does)."""

    set_name: str
    passages: list[Passage]
    questions: list[tuple[str, str | None]]


class Columns(NamedTuple):
    """What the regression sees of one base."""

    set_name: str
    alternatives: int  # the most that a passage has
    columns: Floats
    right: Floats
    sample_weights: Floats  # questions without an answer together weigh what they do in support traffic


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    quiet_libraries()
    threadpool_limits(1, user_api="blas")
    sets = sorted(path.parent for path in arguments.folder.glob("*/knowledge.jsonl"))
    source = np.random.default_rng(arguments.seed)
    bases = [drawn for folder in sets for drawn in _draw(folder, source)]
    vectors = _Vectors()
    seen = [_columns(drawn, vectors) for drawn in track(bases, "Playing", console=Console(stderr=True))]
    fitted = {"all": _fit(seen)} | {f"without {path.name}": _fit([one for one in seen if one.set_name != path.name]) for path in sets}
    shipped = calibration.SHIPPED
    rows = fitted | {"shipped": np.array([shipped.intercept, shipped.support_weight, shipped.lexical_weight])}
    print("weights, and the calibration error over all bases, and over those without alternatives, which use the weights as they are")
    bare = [one for one in seen if not one.alternatives]
    for name, (intercept, support, lexical) in rows.items():
        errors = f"{_error(seen, rows[name]):.3f}   {_error(bare, rows[name]):.3f}"
        print(f"{name:<24} intercept {intercept:6.2f}   support {support:5.2f}   lexical {lexical:5.2f}   error {errors}")
    print(json.dumps({"bases": len(bases), "seed": arguments.seed, "weights": {name: found.tolist() for name, found in fitted.items()}}))


class _Vectors:
    """Vectors of texts; each text is embedded once, however many bases hold it."""

    def __init__(self) -> None:
        found = weights.resolve(weights.MINILM, Settings().model_dir)
        self._embedder = SentenceEmbedder(found.folder, found.version)
        self._known: dict[str, Vectors] = {}

    def of(self, texts: list[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known |= dict(zip(new, self._embedder.encode(new), strict=True)) if new else {}
        return np.stack([self._known[text] for text in texts])


def _draw(folder: Path, source: np.random.Generator) -> Iterator[Drawn]:
    passages = list(documents.read(folder / "knowledge.jsonl", "knowledge.jsonl").passages())
    labelled = next(folder / name for name in _LABELLED if (folder / name).exists())
    rows = [json.loads(line) for line in labelled.read_text(encoding="utf-8").splitlines()]
    counts = ALTERNATIVES if max(len(passage.alternatives) for passage in passages) >= max(ALTERNATIVES) else (0,)
    for count in counts:
        for share in SHARES:
            chosen = source.choice(len(passages), int(share * len(passages)), replace=False)
            kept = [_shortened(passages[number], count, source) for number in sorted(chosen)]
            ids = {passage.passage_id for passage in kept}
            asked = [rows[number] for number in source.permutation(len(rows))[:QUESTIONS]]
            yield Drawn(folder.name, kept, [(row["question"], _answer(row, ids)) for row in asked])


def _shortened(passage: Passage, count: int, source: np.random.Generator) -> Passage:
    wordings = [passage.title, *passage.alternatives]
    title, *alternatives = (wordings[number] for number in source.permutation(len(wordings))[: count + 1])
    return replace(passage, title=title, alternatives=tuple(alternatives))


def _answer(row: dict[str, Any], ids: set[str]) -> str | None:
    expected = row["expected"] if "expected" in row else row["relevant"][0]
    return expected if expected in ids else None


def _columns(drawn: Drawn, vectors: _Vectors) -> Columns:
    """Ask the drawn base, and standardise support by what its own unanswerable questions get."""
    texts = [text for passage in drawn.passages for text in row_texts(passage)]
    rows, owner_of = vectors.of(texts), owners(drawn.passages)
    ranker = Ranker(FaissIndex.build(rows), LexicalIndex.build(texts), owner_of)
    played = own_questions(drawn.passages, _centroids(rows, owner_of, len(drawn.passages)))
    (game,) = calibration.play(played, lambda chosen: rows[chosen], [ranker], lambda done: None)
    null_mean, null_deviation = calibration.null_of(game.unanswerable)
    asked = vectors.of([question for question, _ in drawn.questions])
    candidates = [ranker.candidates(vector, text) for vector, (text, _) in zip(asked, drawn.questions, strict=True)]
    best = [int(np.argmax(found.support)) for found in candidates]
    support = np.array([found.support[index] for found, index in zip(candidates, best, strict=True)])
    lexical = np.array([found.lexical[index] for found, index in zip(candidates, best, strict=True)])
    given = [drawn.passages[found.ordinals[index]].passage_id for found, index in zip(candidates, best, strict=True)]
    right = np.array([float(one == expected) for one, (_, expected) in zip(given, drawn.questions, strict=True)])
    alternatives = max(len(passage.alternatives) for passage in drawn.passages)
    columns = features(support, lexical, null_mean, null_deviation)
    return Columns(drawn.set_name, alternatives, columns, right, _weights([expected for _, expected in drawn.questions]))


def _weights(expected: list[str | None]) -> Floats:
    absent = np.array([one is None for one in expected])
    share = calibration.ABSENT_SHARE
    return np.where(absent, share / max(absent.sum(), 1), (1 - share) / max((~absent).sum(), 1)) * len(absent)


def _fit(seen: list[Columns]) -> Floats:
    columns, right = np.concatenate([one.columns for one in seen]), np.concatenate([one.right for one in seen])
    return calibration.logistic_mode(columns, right, np.concatenate([one.sample_weights for one in seen]), np.zeros(3), _NO_PRIOR)


def _error(seen: list[Columns], found: Floats) -> float:
    """Mean calibration error over the bases."""
    return float(np.mean([calibration.calibration_error(sigmoid(one.columns @ found), one.right, one.sample_weights) for one in seen]))


if __name__ == "__main__":
    main()
