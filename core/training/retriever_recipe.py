"""How an embedding model is tuned, in a dozen lines of TOML."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import TrainingError
from core.training.recipe import Ranges, line, refuse_outside


@dataclass(frozen=True, slots=True)
class RetrieverRecipe:
    """How a retriever learns; the defaults fit a small model on two CPU cores."""

    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup: float = 0.1  # share of the steps in which the learning rate rises
    epochs: float = 2.0  # how often each wording is asked
    batch: int = 64  # pairs at a time, each of another FAQ row: the others are what a question is told from
    scale: float = 20.0  # of cosines in the loss; its inverse is the temperature
    max_length: int = 128  # tokens of a text in training; the model reads as many as before when it serves
    matryoshka: tuple[int, ...] = ()  # numbers of a vector that are to do on their own, such as [384, 192, 96]
    mix: float = 0.5  # share of the tuned weights in what is written, the rest is the base's: what was tuned whole forgets other domains
    held_out: float = 0.1  # share of the alternatives that are kept for judging
    looks: int = 4  # at how the held-out wordings are found, in the whole run; each leaves a checkpoint
    patience: int = 2  # looks without a better ranking until it stops
    seed: int = 7

    def __post_init__(self) -> None:
        """Raise `TrainingError` for a value that no training can use."""
        refuse_outside(self, _RANGES)
        if not all(8 <= size <= 8192 for size in self.matryoshka):
            raise TrainingError(f"The recipe's matryoshka is {list(self.matryoshka)}; each number must be between 8 and 8192.")

    def __str__(self) -> str:
        """Everything that rebuilds it, in one line."""
        return line(self)


_RANGES: Ranges = {
    "learning_rate": (1e-8, 0.1), "weight_decay": (0, 1), "warmup": (0, 0.9), "epochs": (0.01, 100), "batch": (2, 4096), "scale": (1, 200),
    "max_length": (16, 8192), "mix": (0.01, 1), "held_out": (0.01, 0.5), "looks": (1, 1000), "patience": (1, 1000),
    "seed": (0, 2**31 - 1),
}  # fmt: skip
