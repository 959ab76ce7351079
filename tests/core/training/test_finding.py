"""Whether one embedder finds held-out wordings better than another is told with how sure that is."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from core.ports import Vectors
from core.training.finding import compared
from tests.core.training.questions import wordings


def _seeing(texts: Sequence[str]) -> Vectors:
    """Vectors by the words that belong to one topic: `word7xa` to the seventh."""
    found = np.full((len(texts), 12), 1e-3, dtype=np.float32)
    for row, text in zip(found, texts, strict=True):
        row[[int(word[4:].partition("x")[0]) for word in text.split() if word.startswith("word")]] = 1.0
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _blind(texts: Sequence[str]) -> Vectors:
    rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=12) for text in texts]
    return np.asarray(rows, dtype=np.float32)


def _moved(texts: Sequence[str]) -> Vectors:
    """As by `_blind`, but for one wording."""
    signs = np.asarray([[-1.0 if text == _ONE else 1.0] for text in texts], dtype=np.float32)
    return _blind(texts) * signs


_ONE = wordings().held_out[0].question


def test_what_finds_every_wording_first_is_surely_better_and_one_wording_that_moves_is_chance() -> None:
    found = wordings()
    better, asked = compared(found, _blind, _seeing)
    assert (asked, better.low > 0.2) == (len(found.held_out), True)
    assert compared(found, _seeing, _blind)[0].high < 0
    change, _ = compared(found, _blind, _moved)
    assert change.low <= 0 <= change.high
