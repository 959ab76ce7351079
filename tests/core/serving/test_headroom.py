"""A model that does not fit into memory is refused before any of it is loaded, with what to do instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ModelError
from core.serving import headroom
from tests.core.serving import tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.save(tmp_path / "tiny")


def test_what_fits_is_let_through_and_what_does_not_is_refused_with_both_numbers(folder: Path) -> None:
    needed = headroom.weights_bytes(folder, 4) + headroom.SPARE_BYTES
    headroom.require(folder, "cpu", 4, free=needed)
    with pytest.raises(ModelError, match=r"needs 0\.5 GiB on cpu, 0\.5 GiB are free now.*remote:NAME"):
        headroom.require(folder, "cpu", 4, free=needed - 1)


def test_the_numbers_count_as_they_are_kept_in_memory_not_as_they_are_on_disk(folder: Path) -> None:
    assert headroom.weights_bytes(folder, 4) == 2 * headroom.weights_bytes(folder, 2)
    on_disk = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    assert 0.8 * on_disk < headroom.weights_bytes(folder, 4) <= on_disk


def test_a_container_may_take_what_its_limit_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headroom, "_CGROUP", tmp_path)
    alone = headroom.free_bytes("cpu")
    (tmp_path / "memory.max").write_text("2000\n")
    (tmp_path / "memory.current").write_text("1500\n")
    (tmp_path / "memory.stat").write_text("anon 900\ninactive_file 300\n")
    assert headroom.free_bytes("cpu") == 800 < alone
    (tmp_path / "memory.max").write_text("max\n")
    assert headroom.free_bytes("cpu") > 800
