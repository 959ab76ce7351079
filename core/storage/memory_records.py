"""Records of staff in lists and dictionaries: the audit log, secrets, which stay in this process, and what is kept of one person."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from core.audit import EVERYTHING, START, STARTED, AuditEntry, Filter, chained
from core.domain import utc_now
from core.feedback import Feedback
from core.privacy import ErasureReport, tombstone, user_document
from core.review import TurnRecord
from core.storage.memory_corrections import MemoryCorrectionStore
from core.storage.memory_staff import MemoryFeedbackLog, MemoryTurnBook


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

    async def note(self, actor: str, action: str, target: str, *, seconds: float, **detail: Any) -> bool:
        """See `AuditLog.note`."""
        since = utc_now() - timedelta(seconds=seconds)
        if any((one.actor, one.action, one.target) == (actor, action, target) and one.at > since for one, _ in self.rows):
            return False
        await self.record(actor, action, target, "done", **detail)
        return True

    async def entries(self, limit: int, before: int | None = None, wanted: Filter = EVERYTHING) -> tuple[AuditEntry, ...]:
        """See `AuditLog.entries`."""
        shown = [entry for entry, _ in self.rows if wanted.fits(entry)]
        newest_first = (entry for entry in reversed(shown) if before is None or entry.audit_id < before)
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


class MemoryPrivacyDesk:
    """`PrivacyDesk` over the other stores in dictionaries, which know a message only by its turn."""

    def __init__(self, book: MemoryTurnBook, feedback: MemoryFeedbackLog, corrections: MemoryCorrectionStore) -> None:
        self._book = book
        self._feedback = feedback
        self._corrections = corrections

    async def export(self, platform: str, workspace_id: str, actor_id: str) -> dict[str, Any]:
        """See `PrivacyDesk.export`."""
        turns = self._turns(platform, workspace_id, actor_id)
        given = [one for one in self._feedback.given.values() if self._gave(one, platform, workspace_id, actor_id)]
        return {
            "user": user_document(platform, workspace_id, actor_id),
            "messages": [{"text": one.question, "received_at": one.asked_at.isoformat()} for one in turns],
            "turns": [{"turn_id": one.turn_id, "question": one.question, "text": one.reply.text} for one in turns],
            "feedback": [{"turn_id": one.turn_id, "helpful": one.helpful, "comment": one.comment} for one in given],
            "by_people": [],
        }

    async def erase(self, platform: str, workspace_id: str, actor_id: str) -> ErasureReport:
        """See `PrivacyDesk.erase`."""
        nobody, turns = tombstone(platform, workspace_id, actor_id), self._turns(platform, workspace_id, actor_id)
        given = [key for key, one in self._feedback.given.items() if self._gave(one, platform, workspace_id, actor_id)]
        for key in given:
            one = replace(self._feedback.given.pop(key), actor_id=nobody, comment="")
            self._feedback.given[one.turn_id, nobody] = one
        erased = {one.turn_id for one in turns}
        for key, one in list(self._feedback.given.items()):
            self._feedback.given[key] = replace(one, comment="") if one.turn_id in erased else one
        for record in turns:
            blank = replace(record.reply, text="", citations=(), hits=())
            self._book.records[record.turn_id] = record._replace(actor_id=nobody, question="", reply=blank)
            self._book.asked.discard((record.address, actor_id))
        corrected = {key: one for key, one in self._corrections.kept.items() if one.draft.turn_id in erased}
        self._corrections.kept |= {
            key: one._replace(draft=replace(one.draft, question="", alternatives=())) for key, one in corrected.items()
        }
        for correction_id in corrected:
            versions = self._corrections.versions.get(correction_id, [])
            self._corrections.versions[correction_id] = [one._replace(question="", alternatives=()) for one in versions]
        return ErasureReport(len(turns), 0, len(turns), len(given), len(corrected), 0)

    async def forget_before(self, moment: datetime, limit: int) -> int:
        """See `PrivacyDesk.forget_before`."""
        old = [one for one in self._book.records.values() if one.asked_at < moment and (one.question or one.reply.text)][:limit]
        for record in old:
            blank = replace(record.reply, text="", citations=(), hits=())
            self._book.records[record.turn_id] = record._replace(question="", reply=blank)
        forgotten = {one.turn_id for one in old}
        for key, one in list(self._feedback.given.items()):
            self._feedback.given[key] = replace(one, comment="") if one.turn_id in forgotten else one
        return len(old)

    def _turns(self, platform: str, workspace_id: str, actor_id: str) -> list[TurnRecord]:
        return [one for one in self._book.records.values() if (*_place(one), one.actor_id) == (platform, workspace_id, actor_id)]

    def _gave(self, given: Feedback, platform: str, workspace_id: str, actor_id: str) -> bool:
        return given.actor_id == actor_id and _place(self._book.records[given.turn_id]) == (platform, workspace_id)


def _place(record: TurnRecord) -> tuple[str, str]:
    return record.address.platform, record.address.workspace_id
