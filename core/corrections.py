"""What staff say a reply should have been: the values, and the port they are kept through."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from core.text import MAX_QUESTION_CHARS, clean

MAX_ANSWER_CHARS = 12_000


class Cause(StrEnum):
    """What went wrong."""

    WRONG_PASSAGE = "wrong_passage"
    WRONG_TEXT = "wrong_text"
    SHOULD_HAVE_ABSTAINED = "should_have_abstained"
    MISSING_FAQ = "missing_faq"


@dataclass(frozen=True, slots=True)
class CorrectionDraft:
    """What somebody proposes; `turn_id` is None where it is about no reply of the bot, `origin` says from which surface it came."""

    turn_id: str | None
    question: str
    answer: str
    cause: Cause
    author: str
    origin: str

    def cleaned(self) -> CorrectionDraft:
        """Return it as it may be kept: texts cleaned and cut."""
        return replace(self, question=clean(self.question)[:MAX_QUESTION_CHARS], answer=clean(self.answer)[:MAX_ANSWER_CHARS])

    @property
    def digest(self) -> str:
        """SHA-256 of what makes two drafts the same: the turn, the author, the question and the answer."""
        return hashlib.sha256(json.dumps([self.turn_id, self.author, self.question, self.answer]).encode()).hexdigest()


class Correction(NamedTuple):
    """A proposed correction that nobody has decided about."""

    correction_id: str
    draft: CorrectionDraft
    proposed_at: datetime


class CorrectionStore(Protocol):
    """Corrections; nothing learns from one before an admin has approved it."""

    async def propose(self, draft: CorrectionDraft) -> str:
        """Keep a draft as pending and return its id; the same draft again is the same correction.

        A turn that does not exist is left out: a correction outlives what it was about.
        """
        ...

    async def pending(self, limit: int) -> tuple[Correction, ...]:
        """Return corrections that wait for a decision, the oldest first."""
        ...
