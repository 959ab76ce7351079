"""Records of staff in lists and dictionaries: the audit log."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
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
