"""Secrets that platforms give us, such as the token of each workspace: the port they are kept through."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol


class LockedSecret(Protocol):
    """A secret that nobody else can change meanwhile."""

    @property
    def value(self) -> bytes | None:
        """What it is, read under the lock; None when there is none or it has expired."""
        ...

    async def replace(self, value: bytes, expires_at: datetime | None = None) -> None:
        """Put another in its place; an error before the lock is given back undoes it."""
        ...


class Vault(Protocol):
    """Named secrets. Each method that reads one raises `VaultError` when it cannot be opened."""

    async def put(self, name: str, value: bytes, expires_at: datetime | None = None) -> None:
        """Keep a secret, in place of any other of this name."""
        ...

    async def get(self, name: str) -> bytes | None:
        """Return a secret, None when there is none or it has expired."""
        ...

    async def delete(self, name: str) -> None:
        """Forget a secret."""
        ...

    async def names(self, prefix: str) -> tuple[str, ...]:
        """Return the names that begin with `prefix` and have not expired, in order."""
        ...

    def locked(self, name: str) -> AbstractAsyncContextManager[LockedSecret]:
        """Give a secret to whoever wants to replace it, one after the other in all processes; there need not be one yet.

        On SQLite nothing else can be written meanwhile: keep it short, with a time limit on any call inside. Change the secret
        through what is given; another call to the vault from inside would wait for ever.
        """
        ...
