"""What tuning the retriever gains on a labelled set: the product's own commands, before and after, in a data folder of its own.

    make bench-retriever ARGS="KNOWLEDGE.jsonl TEST.jsonl [--recipe RECIPE.toml] [--unrelated KNOWLEDGE.jsonl TEST.jsonl]"

TEST has {"question", "expected": id or null} a line (routing) or {"question", "relevant": [ids]}. Only KNOWLEDGE is learnt from; the
`--unrelated` set is indexed with both embedders too, and tells how much of what the model knew otherwise is lost.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_VERSIONS = ("frontdesk", "sentence-transformers", "torch", "transformers", "faiss-cpu")
_SHOWN = ("recall@1", "recall@5", "mrr@10", "accuracy", "in_scope_accuracy", "out_of_scope_recall", "mcc", "calibration_error", "n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("knowledge", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--unrelated", type=Path, nargs=2, metavar=("KNOWLEDGE", "TEST"))
    arguments = parser.parse_args()
    sets = {"trained": (arguments.knowledge, arguments.test)} | ({"unrelated": tuple(arguments.unrelated)} if arguments.unrelated else {})
    with tempfile.TemporaryDirectory() as folder:
        document = _measured(Path(folder), sets, arguments.recipe)
    _show(document)
    print(json.dumps(document))


def _measured(folder: Path, sets: dict[str, tuple[Path, Path]], recipe: Path | None) -> dict[str, Any]:
    for name, (knowledge, _) in sets.items():
        _frontdesk(folder, "knowledge", "import", str(knowledge.resolve()), "--knowledge", name)
        _frontdesk(folder, "knowledge", "publish", "--knowledge", name)
    before = {name: _figures(folder, name, test) for name, (_, test) in sets.items()}
    started = time.perf_counter()
    with_recipe = ["--recipe", str(recipe.resolve())] if recipe else []
    trained = _frontdesk(folder, "train", "retriever", "--knowledge", "trained", "--out", str(folder / "tuned"), *with_recipe, "--json")
    seconds = time.perf_counter() - started
    model_id = _frontdesk(folder, "models", "import", str(folder / "tuned"), "--kind", "embedder", "--json")["model_id"]
    _frontdesk(folder, "models", "promote", model_id, "--yes")
    after = {name: _figures(folder, name, test) for name, (_, test) in sets.items()}
    return {
        "before": before,
        "after": after,
        "training": trained | {"seconds": round(seconds)},
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _VERSIONS},
    }


def _figures(folder: Path, knowledge: str, test: Path) -> dict[str, Any]:
    """Return what both commands say of a file; ranking is that of questions which something answers."""
    rows = [json.loads(line) for line in test.read_text(encoding="utf-8").splitlines() if line.strip()]
    answerable = [{"question": row["question"], "relevant": row.get("relevant") or [row["expected"]]} for row in rows if _id(row)]
    labelled = [{"question": row["question"], "expected": _id(row)} for row in rows]
    routing = _evaluated(folder, "routing", labelled, knowledge)
    return routing | _evaluated(folder, "retrieval", answerable, knowledge) | {"n": len(rows)}


def _id(row: dict[str, Any]) -> str | None:
    return next(iter(row["relevant"]), None) if "relevant" in row else row["expected"]


def _evaluated(folder: Path, what: str, rows: list[dict[str, Any]], knowledge: str) -> dict[str, Any]:
    file = folder / f"{what}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    figures: dict[str, Any] = _frontdesk(folder, "evaluate", what, str(file), "--knowledge", knowledge, "--json")
    return {name: value for name, value in figures.items() if name not in ("curve", "versions")} | {
        "embedder": figures["versions"]["embedder"]
    }


def _frontdesk(folder: Path, *arguments: str) -> Any:
    environment = os.environ | {"FRONTDESK_DATA_DIR": str(folder / "data"), "FRONTDESK_MODEL": "extractive"}
    done = subprocess.run([sys.executable, "-m", "bot", *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout) if "--json" in arguments else None


def _show(document: dict[str, Any]) -> None:
    table = Table("set", "figure", "before", "after")
    for name, before in document["before"].items():
        for figure in _SHOWN:
            values = [one.get(figure) for one in (before, document["after"][name])]
            table.add_row(name, figure, *("-" if value is None else f"{value:.4g}" for value in values))
    Console().print(table)


if __name__ == "__main__":
    main()
