"""Approved corrections as examples."""

from __future__ import annotations

from typing import Any

from core.corrections import Correction, CorrectionStore
from core.domain import Reason, Reply
from core.examples import Example
from core.registry import EXTRACTIVE
from core.review import TurnBook

SOURCE = "correction"


class CorrectedExamples:
    """`ExampleSource` of what staff corrected and somebody else approved."""

    def __init__(self, store: CorrectionStore, turns: TurnBook) -> None:
        self._store = store
        self._turns = turns

    async def examples(self) -> tuple[Example, ...]:
        """See `ExampleSource.examples`."""
        return tuple([await self._example(correction) for correction in await self._store.approved()])

    async def _example(self, correction: Correction) -> Example:
        draft = correction.draft
        turn = await self._turns.turn(draft.turn_id) if draft.turn_id else None
        said = _rejected(turn.reply) if turn else {}
        return Example(
            example_id=correction.correction_id,
            question=draft.question,
            answer=draft.answer if draft.cause.wants_answer else "",
            source=SOURCE,
            origin=draft.platform or draft.origin,
            own_words=draft.own_words,
            passage_id=correction.passage_id,
            cause=draft.cause,
            conversation_id=turn.conversation_id if turn else "",
            **said,
        )


def _rejected(reply: Reply) -> dict[str, Any]:
    by_model = reply.reason is Reason.COMPOSED and reply.lineage.model != EXTRACTIVE
    cites = tuple(citation.passage_id for citation in reply.citations) if by_model else ()
    return {"rejected": reply.text, "rejected_cites": cites, "rejected_by_model": by_model}
