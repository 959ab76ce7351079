"""A recipe: how a model is trained, in a dozen lines of TOML."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
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
    adapter: str = "lora"  # adalora: ranks go to the layers that need them; prefix: what stands before a prompt; full: every weight
    virtual_tokens: int = 16  # of a prefix
    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0  # 0.05 takes an eighth of a step on a CPU for its random masks; early stopping guards a rank of 8 well enough
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    epochs: float = 2.0
    batch: int = 2
    accumulation: int = 4
    packing: bool = False  # short rows are put behind one another up to max_length, each seeing only itself
    max_length: int = 1024  # tokens of prompt and answer; longer examples are left out
    held_out: float = 0.15  # share of the FAQ rows that are kept for judging
    unanswerable: float = 0.1  # share of the FAQ's wordings that are asked without their row, and answered with "I don't know."
    looks: int = 6  # at the held-out loss, in the whole run; each leaves a checkpoint
    patience: int = 3  # looks without a better held-out loss until it stops
    precision: str = "bf16"  # of the frozen base; what is trained is float32
    seed: int = 7
    beta: float = 0.1  # how closely preference training keeps to what the model was: the greater, the closer
    iterations: int = 1  # how often self-play begins anew, each time against the model as it is by then

    def __post_init__(self) -> None:
        """Raise `TrainingError` for a value that no training can use."""
        refuse_outside(self, _RANGES)
        if self.method not in _METHODS:
            raise TrainingError(f"The recipe's method is {self.method!r}; there is {', '.join(_METHODS)}.")
        if self.adapter not in _ADAPTERS:
            raise TrainingError(f"The recipe's adapter is {self.adapter!r}; there is {', '.join(_ADAPTERS)}.")
        if self.first_rank > _MAX_RANK:
            raise TrainingError(f"The recipe's rank is {self.rank}; adalora begins with half as many again, and {_MAX_RANK} is the most.")
        if self.precision not in _PRECISIONS:
            raise TrainingError(f"The recipe's precision is {self.precision!r}; there is {', '.join(_PRECISIONS)}.")
        if self.adapter == "prefix" and self.packing:
            raise TrainingError("A prefix stands before one row, so it is learnt without packing.")
        if self.method in PREFERENCES and (self.adapter != "lora" or self.packing):
            raise TrainingError(f'Preferences ({self.method}) are learnt with adapter = "lora" and without packing.')
        if not self.targets:
            raise TrainingError("The recipe names no targets: the layers that are trained, such as q_proj.")

    @property
    def first_rank(self) -> int:
        """With which rank each layer begins; AdaLoRA takes a third of all ranks away."""
        return max(self.rank + 1, self.rank * 3 // 2) if self.adapter == "adalora" else self.rank

    def refuse_other(self, *methods: str) -> None:
        """Raise `TrainingError` that names the right command unless the method is one of `methods`."""
        if self.method not in methods:
            right = "preferences" if self.method in PREFERENCES else "answers"
            raise TrainingError(f"The recipe's method is {self.method!r}, not {' or '.join(methods)}. Run: frontdesk train {right}")

    def __str__(self) -> str:
        """Everything that rebuilds it, in one line."""
        unused = {"beta", "iterations"} if self.method == "sft" else set() if self.method == "spin" else {"iterations"}
        return line(self, unused | (_OF_MATRICES if self.adapter == "prefix" else {"virtual_tokens"}))


PREFERENCES = ("dpo", "kto", "spin")
_METHODS = ("sft", *PREFERENCES)
_ADAPTERS = ("lora", "adalora", "prefix", "full")
_OF_MATRICES = {"rank", "alpha", "dropout", "targets"}
# Preferences are learnt from few rows on top of what the model knows already: a tenth of the rate, and every row once or twice.
_PREFERRING: dict[str, Any] = {"learning_rate": 5e-5}
# Keys and values are numbers of the size of one, not small changes of a matrix: 5 steps on SmolLM2-135M took the held-out loss from 0.34
# to 0.15 with 3e-2, to 0.23 with 1e-2.
_BEFORE: dict[str, Any] = {"learning_rate": 3e-2}
_PRECISIONS = ("bf16", "float32")
_RANGES: dict[str, tuple[float, float]] = {
    "virtual_tokens": (1, 512),
    "rank": (1, _MAX_RANK), "alpha": (1, 1024), "dropout": (0, 0.9), "learning_rate": (1e-8, 0.1), "weight_decay": (0, 1),
    "epochs": (0.01, 100), "batch": (1, 1024), "accumulation": (1, 1024), "max_length": (64, 131_072), "held_out": (0.01, 0.5),
    "unanswerable": (0, 0.5),
    "looks": (1, 1000), "patience": (1, 1000), "seed": (0, 2**31 - 1),
    "beta": (1e-4, 10), "iterations": (1, 10),
}  # fmt: skip


def default(method: str, adapter: str = "lora") -> Recipe:
    """Return the recipe of a method, and of what learns, that names nothing else. Raises `TrainingError` for what does not go together."""
    return Recipe(method=method, adapter=adapter, **(_PREFERRING if method in PREFERENCES else _BEFORE if adapter == "prefix" else {}))


def refuse_outside(recipe: Any, ranges: Ranges) -> None:
    """Raise `TrainingError` for a number that is not within its range."""
    for name, (least, most) in ranges.items():
        value = getattr(recipe, name)
        if not least <= value <= most:
            raise TrainingError(f"The recipe's {name} is {value}; it must be between {least:g} and {most:g}.")


def line(recipe: Any, unused: Collection[str] = ()) -> str:
    """Return every value of a recipe that its method uses, by name."""
    told = (field.name for field in fields(recipe) if field.name not in unused)
    return " ".join(f"{name}={_written(getattr(recipe, name))}" for name in told)


def toml(recipe: Recipe) -> str:
    """Return a recipe as a file that `read` takes, every value in it."""
    return "".join(f"{field.name} = {json.dumps(getattr(recipe, field.name))}\n" for field in fields(recipe))


def read(path: Path, method: str = "sft") -> Recipe:
    """Return the recipe in a TOML file, of `method` where it names none; what it does not name is as by default.

    Raises `TrainingError` that names the line or the key.
    """
    told = _values(Recipe, path)
    return replace(default(told.get("method", method), told.get("adapter", "lora")), **told)


def read_as(kind: type[Kind], path: Path) -> Kind:
    """Return a recipe of another kind; see `read`."""
    return kind(**_values(kind, path))


def _values(kind: type[Any], path: Path) -> dict[str, Any]:
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
    return {name: _taken(value) for name, value in told.items()}


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
