"""What a training run says of the model that it made, in a file beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import ModelError
from core.serving.inspection import settings

FILE = "frontdesk-run.json"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_CHARS = 500


class Run(NamedTuple):
    """Where a model comes from; empty where nobody says."""

    base: str = ""
    recipe: str = ""
    dataset_sha256: str = ""
    scores: Mapping[str, float] = {}
    licence: str = ""


def read(folder: Path) -> Run:
    """Return what the run says, or nothing where there is no such file. Raises `ModelError` for values that make no sense."""
    if not (folder / FILE).is_file():
        return Run()
    told = settings(folder, FILE)
    texts = {name: _text(told, name) for name in ("base", "recipe", "dataset_sha256", "licence")}
    if texts["dataset_sha256"] and not _SHA256.fullmatch(texts["dataset_sha256"]):
        raise ModelError(f"{FILE!r}: 'dataset_sha256' is no SHA-256 in 64 lower-case hexadecimal digits.")
    return Run(scores=_scores(told.get("scores") or {}), **texts)


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name) or ""
    if not isinstance(value, str) or len(value) > _MAX_CHARS:
        raise ModelError(f"{FILE!r}: {name!r} is no text of at most {_MAX_CHARS} characters.")
    return value


def _scores(told: Any) -> Mapping[str, float]:
    if not isinstance(told, dict):
        raise ModelError(f"{FILE!r}: 'scores' is no object of numbers by name.")
    for name, score in told.items():
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            raise ModelError(f"{FILE!r}: the score {name!r} is no finite number.")
    return {name: float(score) for name, score in told.items()}
