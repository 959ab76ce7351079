"""What staff say a reply should have been, and what was decided about it: the values, and the port they are kept through."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from core.domain import Passage
from core.members import Scope
from core.text import MAX_QUESTION_CHARS, clean, says_something

MAX_ANSWER_CHARS = 12_000
MAX_ALTERNATIVES = 20
MAX_REASON_CHARS = 2000


class Cause(StrEnum):
    """What went wrong."""

    WRONG_PASSAGE = "wrong_passage"
    WRONG_TEXT = "wrong_text"
    SHOULD_HAVE_ABSTAINED = "should_have_abstained"
    MISSING_FAQ = "missing_faq"

    @property
    def wants_answer(self) -> bool:
        """Whether there is something to answer; else the right thing was to say nothing."""
        return self is not Cause.SHOULD_HAVE_ABSTAINED


class State(StrEnum):
    """What became of a correction."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class CorrectionDraft:
    """What somebody proposes; `turn_id` is None where it is about no reply of the bot, `origin` says from which surface it came."""

    turn_id: str | None
    question: str
    answer: str
    cause: Cause
    author: str
    origin: str
    alternatives: tuple[str, ...] = ()  # other wordings of the question
    platform: str = ""  # the workspace whose people may see it; empty: everybody of staff, because no customer has a part in it
    workspace_id: str = ""
    own_words: bool = False  # the question is in the words of a customer, not of staff

    def cleaned(self) -> CorrectionDraft:
        """Return it as it may be kept: texts cleaned and cut, wordings that say nothing or say it twice left out."""
        question = clean(self.question)[:MAX_QUESTION_CHARS]
        others = (clean(wording)[:MAX_QUESTION_CHARS] for wording in self.alternatives)
        different = tuple(dict.fromkeys(wording for wording in others if says_something(wording) and wording != question))
        return replace(self, question=question, answer=clean(self.answer)[:MAX_ANSWER_CHARS], alternatives=different[:MAX_ALTERNATIVES])

    @property
    def problem(self) -> str:
        """What keeps it from being proposed, empty when nothing does."""
        if not self.cause.wants_answer:
            return "" if says_something(self.question) else "Please write the question."
        is_whole = says_something(self.question) and says_something(self.answer)
        return "" if is_whole else "Please write both a question and an answer."

    @property
    def digest(self) -> str:
        """SHA-256 of what makes two drafts the same: the turn, the author, the question and the answer."""
        return hashlib.sha256(json.dumps([self.turn_id, self.author, self.question, self.answer]).encode()).hexdigest()


class Correction(NamedTuple):
    """A proposed correction, and what was decided about it; `revision` counts how often it was written."""

    correction_id: str
    draft: CorrectionDraft
    proposed_at: datetime
    state: State = State.PENDING
    revision: int = 1
    decided_by: str = ""
    decided_at: datetime | None = None
    reason: str = ""
    passage_id: str = ""  # the FAQ row that its approval made or changed


class Version(NamedTuple):
    """How a correction read before somebody changed it, and who had written it so."""

    revision: int
    question: str
    answer: str
    alternatives: tuple[str, ...]
    cause: Cause
    author: str
    replaced_at: datetime


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision about a correction; `row`: the FAQ row of `knowledge` that goes with it."""

    state: State
    actor: str
    reason: str = ""
    knowledge: str = ""
    row: Passage | None = None


class CorrectionStore(Protocol):
    """Corrections; nothing learns from one before somebody has approved it."""

    async def propose(self, draft: CorrectionDraft) -> str:
        """Keep a draft as pending and return its id; the same draft again is the same correction.

        It belongs to the workspace of its turn. A turn that does not exist is left out: a correction outlives what it was about.
        """
        ...

    async def pending(self, limit: int) -> tuple[Correction, ...]:
        """Return corrections that wait for a decision, the oldest first."""
        ...

    async def get(self, correction_id: str, scope: Scope) -> Correction | None:
        """Return a correction, None when there is none of this id in `scope`."""
        ...

    async def listed(self, state: State, scope: Scope, limit: int, offset: int = 0) -> tuple[Correction, ...]:
        """Return corrections of a state within `scope`: those that wait oldest first, decided ones newest first."""
        ...

    async def count(self, state: State, scope: Scope, limit: int | None = None) -> int:
        """Return how many corrections of a state are within `scope`, counted up to `limit`."""
        ...

    async def revise(self, correction_id: str, revision: int, draft: CorrectionDraft, actor: str) -> bool:
        """Write a pending correction anew and keep how it read; False when it is no longer pending at this `revision`."""
        ...

    async def history(self, correction_id: str) -> tuple[Version, ...]:
        """Return how a correction read before each change, the first version first."""
        ...

    async def decide(self, correction_id: str, revision: int, ruling: Ruling) -> bool:
        """Keep a decision, and write its FAQ row in the same transaction; of two decisions about one correction one wins.

        False, and nothing is written, when it is no longer pending at this `revision`: whoever decides has seen what they decide about.
        """
        ...

    async def approved(self) -> tuple[Correction, ...]:
        """Return what may be learnt from, the first decided first.

        Left out is what was blanked with its author, and a question in the words of a customer whose own text is no longer kept: after its
        time, or because they took it back.
        """
        ...
