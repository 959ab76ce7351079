"""What becomes of a result that cannot be written."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from core.errors import TrainingError
from core.training import result

LARGE = {"weights": torch.zeros(100_000)}
WRITERS: list[Callable[[Path], Any]] = [
    lambda path: path.write_bytes(bytes(400_000)),
    lambda path: save_file(LARGE, path),
    lambda path: torch.save(LARGE, path),
]


@contextmanager
def _room_for(most: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("write", WRITERS)
def test_bad_input_a_disk_that_is_full_stops_with_how_to_go_on_whoever_writes(tmp_path: Path, write: Callable[[Path], Any]) -> None:
    with _room_for(100_000), pytest.raises(TrainingError, match=r"Training stopped: .*the same command goes on"), result.kept(tmp_path):
        write(tmp_path / "file")


def test_what_is_no_failure_of_the_disk_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"), result.kept(tmp_path):
        raise RuntimeError("shapes do not match")
