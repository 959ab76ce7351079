"""What is kept of one person: shown to them, or erased. The values, and the port."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any, NamedTuple, Protocol

ERASED = "erased-"  # what the tombstone of an erased person begins with


class ErasureReport(NamedTuple):
    """How much was erased. `cancelled`: of the messages, those that had no answer yet; `dropped`: replies not delivered any more."""

    messages: int
    cancelled: int
    turns: int
    feedback: int
    corrections: int
    dropped: int


class PrivacyDesk(Protocol):
    """Everything that is kept of one person."""

    async def export(self, platform: str, workspace_id: str, actor_id: str) -> dict[str, Any]:
        """Return what is kept as one JSON document: `user`, and lists of `messages`, `turns`, `feedback` and `by_people`, oldest first."""
        ...

    async def erase(self, platform: str, workspace_id: str, actor_id: str) -> ErasureReport:
        """Forget what this person wrote and was told, and who they are; answers still on their way are stopped.

        Rows stay, without any text and under a tombstone for the person: a platform that delivers a message again still finds it known.
        """
        ...

    async def forget_before(self, moment: datetime, limit: int) -> int:
        """Erase the text of at most `limit` messages, and of as many turns and notices, that are older; return how many of the most."""
        ...


def user_document(platform: str, workspace_id: str, actor_id: str) -> dict[str, str]:
    """Return the `user` of an export."""
    return {"platform": platform, "workspace_id": workspace_id, "user_id": actor_id}


def tombstone(platform: str, workspace_id: str, actor_id: str) -> str:
    """Return what stands for an erased person: a salted hash, another one each time, that nobody can trace back by trying ids."""
    named = f"{secrets.token_hex(16)}:{platform}:{workspace_id}:{actor_id}"
    return ERASED + hashlib.sha256(named.encode(errors="surrogatepass")).hexdigest()[:32]
