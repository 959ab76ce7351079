"""Finding turns among millions: what to look for, what is found, and the port."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from core.domain import Decision
from core.members import Scope
from core.review import TurnRecord

_IN_ONE_MILLISECOND = 1 << 20
_MAX_TERMS = 16
_TERM = re.compile(r'"([^"]*)"|(\S+)')
_WORD = re.compile(r"[^\W_]+")
NO_MODEL = ""  # stands for it in a filter


def number_at(moment: datetime) -> int:
    """Return the smallest number of a turn that was asked at `moment` or later: numbers sort by time."""
    return int(moment.timestamp() * 1000) * _IN_ONE_MILLISECOND


def moment_of(number: int) -> datetime:
    """Return when the turn of a number was asked, to the millisecond."""
    return datetime.fromtimestamp(number // _IN_ONE_MILLISECOND / 1000, UTC)


class Term(NamedTuple):
    """Words that stand one behind the other; `is_start`: the last word may go on."""

    words: tuple[str, ...]
    is_start: bool = False


def terms_of(text: str) -> tuple[Term, ...]:
    """Return what a person means: words, "a phrase in quotes", begin* of a word; nothing else is an operator."""
    found = ((phrase or word, word.endswith("*")) for phrase, word in _TERM.findall(text))
    terms = (Term(tuple(_WORD.findall(said.lower())), is_start) for said, is_start in found)
    return tuple(term for term in terms if term.words)[:_MAX_TERMS]


@dataclass(frozen=True, slots=True)
class TurnFilter:
    """What to look for; None and empty: anything. `since` is included, `until` is not."""

    text: str = ""
    platform: str | None = None
    workspace_id: str | None = None
    decision: Decision | None = None
    model: str | None = None
    helpful: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


class FoundTurn(NamedTuple):
    """A turn that was found; its number says where to go on."""

    number: int
    record: TurnRecord
    conversation_id: str
    helpful: bool | None


class Choices(NamedTuple):
    """What there is to choose from: platforms with their workspaces, and models."""

    workspaces: tuple[tuple[str, str], ...]
    models: tuple[str, ...]


class TurnSearch(Protocol):
    """Turns by their words and by what is known of them, newest first; nothing outside `scope` is found."""

    async def find(self, scope: Scope, wanted: TurnFilter, limit: int, before: int | None = None) -> tuple[FoundTurn, ...]:
        """Return the newest turns with a smaller number than `before`."""
        ...

    def stream(self, scope: Scope, wanted: TurnFilter) -> AsyncIterator[FoundTurn]:
        """Yield all of them, newest first, without keeping them or a transaction."""
        ...

    async def choices(self, scope: Scope) -> Choices:
        """Return what figures know to choose from."""
        ...
