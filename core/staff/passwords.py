"""Passwords of local accounts: argon2id hashes (only importer of argon2)."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

LEAST_CHARS = 12
MOST_CHARS = 200  # hashing costs by length too


class Passwords:
    """Hashes and checks, with the library's parameters of RFC 9106: 64 MiB and 3 passes, some 50 ms in a thread."""

    async def hashed(self, password: str) -> str:
        """Return what to keep of a password."""
        return await asyncio.to_thread(self._hasher.hash, password)

    async def fits(self, hashed: str, password: str) -> bool:
        """Tell whether a password is the one; without a hash it takes as long to say no, so that names cannot be guessed by time."""
        return await asyncio.to_thread(self._fits, hashed, password[:MOST_CHARS])

    def _fits(self, hashed: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._hasher.verify(hashed or self._nobodys, password) and bool(hashed)
        except (VerificationError, InvalidHashError):
            return False

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        return PasswordHasher()

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("nobody has this password")
