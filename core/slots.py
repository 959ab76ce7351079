"""Moments that may be taken one at a time, by whichever process comes first."""

from __future__ import annotations

from typing import Protocol


class Slots(Protocol):
    """Rows of moments, each row under a name."""

    async def take(self, name: str, apart: float) -> float:
        """Take the next free moment and return how many seconds it lies ahead; moments of a name lie `apart` seconds apart."""
        ...
