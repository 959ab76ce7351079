"""What customers ask and the knowledge does not answer, grouped by what it means."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from core.domain import Hit
from core.errors import SnapshotError
from core.members import Scope
from core.text import fold
from core.unanswered import Grouping, Question, UnansweredLog

_LOOKED_AT = 500  # the newest: a month of a busy desk, and grouped in half a second
_SHOWN = 30

Find = Callable[[str], Awaitable[tuple[Hit, ...]]]


class Group(NamedTuple):
    """Questions that mean the same, the most central first; `answer`: what is found for it by now, if that is sure enough."""

    questions: tuple[Question, ...]
    answer: Hit | None

    @property
    def central(self) -> Question:
        """The question that is nearest to all others."""
        return self.questions[0]

    @property
    def wordings(self) -> tuple[str, ...]:
        """The different ways in which it was asked."""
        return tuple({fold(question.text).lower(): question.text for question in reversed(self.questions)}.values())[::-1]


class Unanswered:
    """Groups of questions without an answer."""

    def __init__(self, log: UnansweredLog, grouping: Grouping, find: Find | None, sure: float) -> None:
        """`find` is retrieval, None where this process has none; an answer counts from the chance `sure` on."""
        self.log = log
        self._grouping = grouping
        self._find = find
        self._sure = sure

    async def groups(self, scope: Scope) -> tuple[Group, ...]:
        """Return the largest groups within `scope`, the largest first."""
        questions = await self.log.questions(scope, _LOOKED_AT)
        groups = await self._grouped([question.text for question in questions])
        largest = sorted(groups, key=len, reverse=True)[:_SHOWN]
        return tuple([await self._group([questions[place] for place in places]) for places in largest])

    async def _grouped(self, texts: list[str]) -> list[list[int]]:
        try:
            return await self._grouping(texts)
        except SnapshotError:  # nothing is published, and so there is no embedder yet
            return await by_words(texts)

    async def _group(self, questions: list[Question]) -> Group:
        hits: tuple[Hit, ...] = ()
        with suppress(SnapshotError):
            hits = await self._find(questions[0].text) if self._find else ()
        return Group(tuple(questions), hits[0] if hits and hits[0].score >= self._sure else None)


async def by_words(texts: Sequence[str]) -> list[list[int]]:
    """Group texts that are the same word for word: `Grouping` for a process without an embedder."""
    groups: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        groups.setdefault(fold(text).lower(), []).append(place)
    return list(groups.values())
