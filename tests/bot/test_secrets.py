"""The key that seals secrets outlives whatever is sealed with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.secrets import KEY_FILE, vault_keys
from bot.settings import Settings


def test_a_new_key_is_on_the_disk_before_anything_can_be_sealed_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, bool]] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((os.fstat(file).st_size, (tmp_path / KEY_FILE).exists())))
    (key,) = vault_keys(Settings(data_dir=tmp_path))
    assert synced == [(len(key), False)]
    assert vault_keys(Settings(data_dir=tmp_path)) == (key,)
