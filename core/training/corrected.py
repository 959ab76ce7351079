"""Approved corrections as examples."""

from __future__ import annotations

from core.corrections import Correction, CorrectionStore
from core.examples import Example
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
        return Example(
            example_id=correction.correction_id,
            question=draft.question,
            answer=draft.answer if draft.cause.wants_answer else "",
            source=SOURCE,
            origin=draft.platform or draft.origin,
            own_words=draft.own_words,
            passage_id=correction.passage_id,
            rejected=turn.reply.text if turn else "",
            cause=draft.cause,
            conversation_id=turn.conversation_id if turn else "",
        )
