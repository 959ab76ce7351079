"""Chance that a text alone decides: the same in every run and on every machine."""

from __future__ import annotations

import hashlib


def draw(text: str, below: int) -> int:
    """Return a number from 0 to below `below`."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % below
