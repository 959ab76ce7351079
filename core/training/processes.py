"""The processes that train one model together: `accelerate launch` starts them and numbers them in the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.training import workplace


def count() -> int:
    """Return how many there are; one unless something has started several."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Tell whether this is the one that writes, registers and speaks for all."""
    return int(os.environ.get("RANK", "0")) == 0


def shard() -> bool:
    """Tell whether each holds a part of the model only (FSDP, DeepSpeed), and not the whole of it."""
    return any(os.environ.get(f"ACCELERATE_USE_{name}", "").lower() in ("1", "true") for name in ("FSDP", "DEEPSPEED"))


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold the lock of `workplace.alone` for all processes of this run. Raises `TrainingError` in the first when another run has it."""
    if is_first():
        with workplace.alone(lock):
            yield
    else:
        yield
