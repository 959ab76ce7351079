"""A recipe: how a model is trained, in a dozen lines of TOML."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from core.errors import TrainingError

Kind = TypeVar("Kind")
Ranges = Mapping[str, tuple[float, float]]

_MAX_RANK = 256  # as far as serving takes an adapter


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model learns; the defaults fit a small model on two CPU cores."""

    method: str = "sft"
    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    epochs: float = 2.0
    batch: int = 2
    accumulation: int = 4
    max_length: int = 1024  # tokens of prompt and answer; longer examples are left out
    held_out: float = 0.15  # share of the FAQ rows that are kept for judging
    unanswerable: float = 0.1  # share of the FAQ's wordings that are asked without their row, and answered with "I don't know."
    looks: int = 6  # at the held-out loss, in the whole run; each leaves a checkpoint
    patience: int = 3  # looks without a better held-out loss until it stops
    precision: str = "bf16"  # of the frozen base; what is trained is float32
    seed: int = 7

    def __post_init__(self) -> None:
        """Raise `TrainingError` for a value that no training can use."""
        refuse_outside(self, _RANGES)
        if self.method not in _METHODS:
            raise TrainingError(f"The recipe's method is {self.method!r}; there is {', '.join(_METHODS)}.")
        if self.precision not in _PRECISIONS:
            raise TrainingError(f"The recipe's precision is {self.precision!r}; there is {', '.join(_PRECISIONS)}.")
        if not self.targets:
            raise TrainingError("The recipe names no targets: the layers that are trained, such as q_proj.")

    def __str__(self) -> str:
        """Everything that rebuilds it, in one line."""
        return line(self)


_METHODS = ("sft",)
_PRECISIONS = ("bf16", "float32")
_RANGES: dict[str, tuple[float, float]] = {
    "rank": (1, _MAX_RANK), "alpha": (1, 1024), "dropout": (0, 0.9), "learning_rate": (1e-8, 0.1), "weight_decay": (0, 1),
    "epochs": (0.01, 100), "batch": (1, 1024), "accumulation": (1, 1024), "max_length": (64, 131_072), "held_out": (0.01, 0.5),
    "unanswerable": (0, 0.5),
    "looks": (1, 1000), "patience": (1, 1000), "seed": (0, 2**31 - 1),
}  # fmt: skip


def refuse_outside(recipe: Any, ranges: Ranges) -> None:
    """Raise `TrainingError` for a number that is not within its range."""
    for name, (least, most) in ranges.items():
        value = getattr(recipe, name)
        if not least <= value <= most:
            raise TrainingError(f"The recipe's {name} is {value}; it must be between {least:g} and {most:g}.")


def line(recipe: Any) -> str:
    """Return every value of a recipe by name."""
    return " ".join(f"{field.name}={_written(getattr(recipe, field.name))}" for field in fields(recipe))


def read(path: Path) -> Recipe:
    """Return the recipe in a TOML file; what it does not name is as by default. Raises `TrainingError` that names the line or the key."""
    return read_as(Recipe, path)


def read_as(kind: type[Kind], path: Path) -> Kind:
    """Return a recipe of another kind; see `read`."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrainingError(f"{path} is no recipe: {error}") from error
    known = get_type_hints(kind)
    for name, value in told.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise TrainingError(
                f"{path}: a recipe has no {name!r}. {f'Did you mean {near[0]}?' if near else 'It has: ' + ', '.join(known)}"
            )
        _refuse_kind(path, name, value, known[name], getattr(kind(), name))
    return kind(**{name: _taken(value) for name, value in told.items()})


def _refuse_kind(path: Path, name: str, value: Any, wanted: Any, default: Any) -> None:
    if isinstance(default, tuple):
        fits = isinstance(value, list) and all(type(one) is get_args(wanted)[0] for one in value)
    elif isinstance(default, float):
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        fits = type(value) is wanted
    if not fits:
        raise TrainingError(f"{path}: {name} is {value!r}; it must be of the kind of {default!r}.")


def _taken(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _written(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)
