"""A disk that fills up while a trainer writes: each library has an error of its own for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import TrainingError

_TORCH_WRITES = "inline_container"  # the part of torch that raises where a file cannot be written


@contextmanager
def kept(work: Path) -> Iterator[None]:
    """Raise `TrainingError` that says how to go on where the disk is full, or fails. Only what Python writes itself raises `OSError`."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and _TORCH_WRITES not in str(error):
            raise
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TrainingError(
            f"Training stopped: {said}. What was learnt until the last look is in {work}; the same command goes on."
        ) from error
