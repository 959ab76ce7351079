"""Reading what customers wrote: within a member's scope, and audited, because it is personal data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from core.audit import STARTED, AuditLog
from core.members import Member
from core.reading import Conversation, ConversationBook
from core.search import Choices, FoundTurn, TurnFilter, TurnSearch

_HOUR = 3600.0
_TURNS = 50  # of a page


class ReadingRoom:
    """Conversations, search and export for members."""

    def __init__(self, book: ConversationBook, search: TurnSearch, audit: AuditLog) -> None:
        self._book = book
        self._search = search
        self._audit = audit

    async def conversation(self, member: Member, conversation_id: str, last: int | None = None) -> Conversation | None:
        """Return a page of a conversation, None when it is not there for this member. Noted once in an hour."""
        found = await self._book.conversation(member.scope, conversation_id, _TURNS, last)
        if found is not None:
            await self._audit.note(member.actor, "conversation.read", f"conversation:{found.conversation_id}", seconds=_HOUR)
        return found

    async def position(self, member: Member, turn_id: str) -> tuple[str, int] | None:
        """Return the conversation of a turn and where it stands there, None when it is not there for this member."""
        return await self._book.position(member.scope, turn_id)

    async def find(self, member: Member, wanted: TurnFilter, limit: int, before: int | None = None) -> tuple[FoundTurn, ...]:
        """Return the newest turns; a search is noted once in an hour, without its words: they may name somebody."""
        await self._audit.note(member.actor, "turns.search", "turns", seconds=_HOUR)
        return await self._search.find(member.scope, wanted, limit, before)

    async def choices(self, member: Member) -> Choices:
        """Return what a member can filter by."""
        return await self._search.choices(member.scope)

    async def export(self, member: Member, wanted: TurnFilter, form: str) -> AsyncIterator[FoundTurn]:
        """Yield all turns that are found; kept in the audit log before the first and after the last."""
        asked, count, result = _without_words(wanted), 0, "failed"
        await self._audit.record(member.actor, "turns.export", "turns", STARTED, form=form, **asked)
        try:
            async for one in self._search.stream(member.scope, wanted):
                count += 1
                yield one
            result = "done"
        finally:
            await self._audit.record(member.actor, "turns.export", "turns", result, form=form, turns=count)


def _without_words(wanted: TurnFilter) -> dict[str, Any]:
    asked = asdict(wanted) | {"text": bool(wanted.text)}
    return {name: str(value) for name, value in asked.items() if value not in (None, False)}
