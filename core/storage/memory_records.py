"""Records of staff in lists and dictionaries: the audit log and secrets, which stay in this process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from core.audit import START, STARTED, AuditEntry, chained
from core.domain import utc_now


class MemoryAuditLog:
    """`AuditLog` in a list, `rows`, each with the hash that chains it."""

    def __init__(self) -> None:
        self.rows: list[tuple[AuditEntry, str]] = []

    async def record(self, actor: str, action: str, target: str, result: str, **detail: Any) -> int:
        """See `AuditLog.record`."""
        entry = AuditEntry(len(self.rows) + 1, utc_now(), actor, action, target, result, detail).cleaned()
        self.rows.append((entry, chained(self._end(), entry)))
        return entry.audit_id

    async def start(self, actor: str, action: str, target: str, *, limit: int, seconds: float, **detail: Any) -> bool:
        """See `AuditLog.start`."""
        since = utc_now() - timedelta(seconds=seconds)
        lately = [entry for entry, _ in self.rows if (entry.action, entry.result) == (action, STARTED) and entry.at > since]
        if len(lately) >= limit:
            return False
        await self.record(actor, action, target, STARTED, **detail)
        return True

    async def entries(self, limit: int, before: int | None = None) -> tuple[AuditEntry, ...]:
        """See `AuditLog.entries`."""
        newest_first = (entry for entry, _ in reversed(self.rows) if before is None or entry.audit_id < before)
        return tuple(replace(entry, detail=dict(entry.detail)) for entry in newest_first)[:limit]

    async def verify(self) -> int | None:
        """See `AuditLog.verify`."""
        previous = START
        for entry, digest in self.rows:
            if digest != chained(previous, entry):
                return entry.audit_id
            previous = digest
        return None

    def _end(self) -> str:
        return self.rows[-1][1] if self.rows else START


class MemoryVault:
    """`Vault` in a dictionary, unsealed."""

    def __init__(self) -> None:
        self._secrets: dict[str, tuple[bytes, datetime | None]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def put(self, name: str, value: bytes, expires_at: datetime | None = None) -> None:
        """See `Vault.put`."""
        async with self._locks[name]:
            self._secrets[name] = (value, expires_at)

    async def get(self, name: str) -> bytes | None:
        """See `Vault.get`."""
        value, expires_at = self._secrets.get(name, (None, None))
        return value if expires_at is None or expires_at > utc_now() else None

    async def delete(self, name: str) -> None:
        """See `Vault.delete`."""
        async with self._locks[name]:
            self._secrets.pop(name, None)

    async def names(self, prefix: str) -> tuple[str, ...]:
        """See `Vault.names`."""
        return tuple([name for name in sorted(self._secrets) if name.startswith(prefix) and await self.get(name) is not None])

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[_Locked]:
        """See `Vault.locked`."""
        async with self._locks[name]:
            locked = _Locked(await self.get(name))
            yield locked
            if locked.replacement:
                self._secrets[name] = locked.replacement


class _Locked:
    """`LockedSecret` that is written when its lock is given back without an error."""

    def __init__(self, value: bytes | None) -> None:
        self.value = value
        self.replacement: tuple[bytes, datetime | None] | None = None

    async def replace(self, value: bytes, expires_at: datetime | None = None) -> None:
        """See `LockedSecret.replace`."""
        self.value, self.replacement = value, (value, expires_at)
