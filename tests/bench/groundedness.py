"""How well supported answers are told from others on BEGIN: by words in common, by vectors, by both, and by an entailment model.

Run: make bench-groundedness ARGS="begin-dev-wow.jsonl [ENTAILMENT-MODEL]"; AUC, and the lift over the words with its 95 % interval.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from core.domain import Passage
from core.serving import entailment
from core.serving.weights import MINILM, resolve
from core.text import words
from core.training.evaluation import Written
from core.training.support import similar
from retrieval.embedding import SentenceEmbedder

Scores = NDArray[np.float64]
_CACHE = Path("~/.cache/frontdesk/models").expanduser()
_SAMPLES, _SEED = 2000, 7


def main(file: str, judge: str = "") -> None:
    rows = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]
    truth = np.array([row["begin_label"] == "Fully attributable" for row in rows])
    shared = np.array([_shared(row["response"], row["knowledge"]) for row in rows])
    found = {"words": shared, "vectors": _vectors(rows)}
    found["mean of both"] = (shared + found["vectors"]) / 2
    if judge:
        pairs = [(row["knowledge"], row["response"]) for row in rows]
        found["entailment"] = np.array(entailment.chances(resolve(judge, _CACHE, print), "cpu", pairs))
        found["mean of words and entailment"] = (shared + found["entailment"]) / 2
    figures = {name: _figures(truth, scores, shared) for name, scores in found.items()}
    for name, figure in figures.items():
        print(f"{name:32} AUC {figure['auc']:.4f}   lift over words {figure['lift']:+.4f} ({figure['low']:+.4f} to {figure['high']:+.4f})")
    print(json.dumps({"figures": figures, "n": len(rows), "seed": _SEED, "embedder": MINILM, "entailment": judge or None}))


def _shared(response: str, knowledge: str) -> float:
    said, known = words(response), set(words(knowledge))
    return sum(word in known for word in said) / max(1, len(said))


def _vectors(rows: list[dict[str, str]]) -> Scores:
    weights = resolve(MINILM, _CACHE, print)
    asked = [
        Written(row["message"], "", row["response"], (Passage("p", "d", "", row["knowledge"]),), frozenset("d"), grounded=False, seconds=0)
        for row in rows
    ]
    return np.array([one.similarity or 0.0 for one in similar(asked, SentenceEmbedder(weights.folder, weights.version).encode)])


def _figures(truth: NDArray[np.bool_], scores: Scores, shared: Scores) -> dict[str, float]:
    picks = np.random.default_rng(_SEED).integers(0, len(truth), (_SAMPLES, len(truth)))
    lifts = [roc_auc_score(truth[pick], scores[pick]) - roc_auc_score(truth[pick], shared[pick]) for pick in picks]
    low, high = np.quantile(lifts, [0.025, 0.975])
    auc = float(roc_auc_score(truth, scores))
    return {"auc": auc, "lift": auc - float(roc_auc_score(truth, shared)), "low": float(low), "high": float(high)}


if __name__ == "__main__":
    main(*sys.argv[1:])
