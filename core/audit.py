"""Who did what: the values, the chain that shows tampering, and the port it is kept through."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from core.text import clean

START = "0" * 64  # what the first entry follows
STARTED = "started"  # the result of an entry that is made before something is done
_MAX_CHARS = 2000


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that somebody did or tried; ids and versions only, never what people wrote."""

    audit_id: int  # 0: not kept yet
    at: datetime
    actor: str
    action: str
    target: str
    result: str
    detail: dict[str, Any]

    def cleaned(self) -> AuditEntry:
        """Return it as it may be kept: texts cleaned and cut, the detail as JSON gives it back."""
        texts: dict[str, Any] = {name: clean(getattr(self, name))[:limit] for name, limit in _LIMITS.items()}
        return replace(self, detail=json.loads(json.dumps(self.detail, default=str)), **texts)


_LIMITS = {"actor": _MAX_CHARS, "action": 60, "target": _MAX_CHARS, "result": 40}


def detail_text(entry: AuditEntry) -> str:
    """Return the detail in the one form that is hashed and kept: ASCII, which every database gives back as it was."""
    return json.dumps(entry.detail, sort_keys=True)


def chained(previous: str, entry: AuditEntry) -> str:
    """Return the SHA-256 over the hash of the entry before and this one's content.

    An entry that is changed, taken out or put in breaks the chain from there on. Entries cut off at the end, or a chain written
    anew from some entry on, are seen only by who has noted a later hash elsewhere.
    """
    parts = [previous, entry.at.astimezone(UTC).isoformat(), entry.actor, entry.action, entry.target, entry.result, detail_text(entry)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries to show; each part that is not empty must fit."""

    actor: str = ""  # exactly
    action: str = ""  # begins with
    result: str = ""  # exactly
    text: str = ""  # somewhere in actor, target or detail

    def fits(self, entry: AuditEntry) -> bool:
        """Tell whether an entry is to be shown."""
        texts = (entry.actor, entry.target, detail_text(entry))
        return (
            self.actor in ("", entry.actor)
            and entry.action.startswith(self.action)
            and self.result in ("", entry.result)
            and any(self.text.lower() in text.lower() for text in texts)
        )


EVERYTHING = Filter()


class AuditLog(Protocol):
    """Entries in the order they were made; none is ever changed."""

    async def record(self, actor: str, action: str, target: str, result: str, **detail: Any) -> int:
        """Add an entry and return its id."""
        ...

    async def start(self, actor: str, action: str, target: str, *, limit: int, seconds: float, **detail: Any) -> bool:
        """Add an entry with the result `started`; False, and none is added, when `limit` of this action were within `seconds`."""
        ...

    async def note(self, actor: str, action: str, target: str, *, seconds: float, **detail: Any) -> bool:
        """Add an entry with the result `done`; False, and none is added, when `actor` did the same to `target` within `seconds`."""
        ...

    async def entries(self, limit: int, before: int | None = None, wanted: Filter = EVERYTHING) -> tuple[AuditEntry, ...]:
        """Return the newest `wanted` entries, newest first, of those with a smaller id than `before`."""
        ...

    async def verify(self) -> int | None:
        """Return the id of the first entry that is not what was recorded, or follows another than it says; None when all is well."""
        ...
