"""Corrections in a dictionary."""

from __future__ import annotations

from dataclasses import replace

from core.corrections import MAX_REASON_CHARS, Correction, CorrectionDraft, Ruling, State, Version
from core.domain import utc_now
from core.faq import SOURCE
from core.members import EVERYWHERE, Scope
from core.storage.memory import MemoryKnowledgeStore
from core.storage.memory_staff import MemoryTurnBook
from core.text import clean


class MemoryCorrectionStore:
    """`CorrectionStore` in a dictionary, `kept`, by id."""

    def __init__(self, book: MemoryTurnBook, knowledge: MemoryKnowledgeStore) -> None:
        self._book = book
        self._knowledge = knowledge
        self.kept: dict[str, Correction] = {}
        self.versions: dict[str, list[Version]] = {}
        self._revised: dict[str, str] = {}

    async def propose(self, draft: CorrectionDraft) -> str:
        """See `CorrectionStore.propose`."""
        turn, draft = self._book.records.get(draft.turn_id or ""), draft.cleaned()
        if turn is not None:
            draft = replace(draft, platform=turn.address.platform, workspace_id=turn.address.workspace_id)
        else:
            draft = replace(draft, turn_id=None)
        correction_id = draft.digest[:32]
        return self.kept.setdefault(correction_id, Correction(correction_id, draft, utc_now())).correction_id

    async def pending(self, limit: int) -> tuple[Correction, ...]:
        """See `CorrectionStore.pending`."""
        return await self.listed(State.PENDING, EVERYWHERE, limit)

    async def get(self, correction_id: str, scope: Scope) -> Correction | None:
        """See `CorrectionStore.get`."""
        found = self.kept.get(correction_id)
        return found if found and _visible(found, scope) else None

    async def listed(self, state: State, scope: Scope, limit: int, offset: int = 0) -> tuple[Correction, ...]:
        """See `CorrectionStore.listed`."""
        found = [one for one in self.kept.values() if one.state is state and _visible(one, scope)]
        if state is not State.PENDING:
            found.sort(key=lambda one: one.decided_at or one.proposed_at, reverse=True)
        return tuple(found[offset : offset + limit])

    async def count(self, state: State, scope: Scope, limit: int | None = None) -> int:
        """See `CorrectionStore.count`."""
        return len([one for one in self.kept.values() if one.state is state and _visible(one, scope)][:limit])

    async def revise(self, correction_id: str, revision: int, draft: CorrectionDraft, actor: str) -> bool:
        """See `CorrectionStore.revise`."""
        before = self._undecided(correction_id, revision)
        if before is None:
            return False
        old, new = before.draft, draft.cleaned()
        author = self._revised.get(correction_id, old.author)
        version = Version(revision, old.question, old.answer, old.alternatives, old.cause, author, utc_now())
        self.versions.setdefault(correction_id, []).append(version)
        self._revised[correction_id] = actor
        kept = {"author": old.author, "origin": old.origin, "turn_id": old.turn_id}
        kept |= {"platform": old.platform, "workspace_id": old.workspace_id}
        self.kept[correction_id] = before._replace(draft=replace(new, **kept), revision=revision + 1)  # type: ignore[arg-type]
        return True

    async def history(self, correction_id: str) -> tuple[Version, ...]:
        """See `CorrectionStore.history`."""
        return tuple(self.versions.get(correction_id, ()))

    async def decide(self, correction_id: str, revision: int, ruling: Ruling) -> bool:
        """See `CorrectionStore.decide`."""
        before = self._undecided(correction_id, revision)
        if before is None:
            return False
        if ruling.row is not None:
            self._knowledge.write(ruling.knowledge, SOURCE, ruling.row)
        self.kept[correction_id] = before._replace(
            state=ruling.state,
            decided_by=ruling.actor,
            decided_at=utc_now(),
            reason=clean(ruling.reason)[:MAX_REASON_CHARS],
            passage_id=ruling.row.passage_id if ruling.row else "",
        )
        return True

    async def approved(self) -> tuple[Correction, ...]:
        """See `CorrectionStore.approved`."""
        found = [one for one in self.kept.values() if one.state is State.APPROVED and self._may_be_learnt(one.draft)]
        return tuple(sorted(found, key=lambda one: (one.decided_at or one.proposed_at, one.correction_id)))

    def _may_be_learnt(self, draft: CorrectionDraft) -> bool:
        turn = self._book.records.get(draft.turn_id or "")
        return bool(draft.question and (not draft.own_words or (turn and turn.question)))

    def _undecided(self, correction_id: str, revision: int) -> Correction | None:
        found = self.kept.get(correction_id)
        return found if found and (found.state, found.revision) == (State.PENDING, revision) else None


def _visible(correction: Correction, scope: Scope) -> bool:
    draft = correction.draft
    return not draft.platform or scope.covers(draft.platform, draft.workspace_id)
