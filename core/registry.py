"""Versions of models and which of them serve: the values, and the ports they are kept through."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from core.domain import utc_now
from core.errors import ModelError
from core.text import clean

if TYPE_CHECKING:
    from core.ports import Generator

EXTRACTIVE = "extractive"  # the location, and the version, of "no language model: passages are quoted"
REMOTE = "remote:"  # what the location of a model on an OpenAI-compatible server begins with; its name there follows
ARTIFACT = "artifact:"  # what the location of an imported model begins with; its folder among the artifacts follows
MAX_ID_CHARS = 200
_ASIDE = ("scores", "created_by", "created_at")  # what a version may say differently and still be the same


class Kind(StrEnum):
    """What a model is for."""

    GENERATOR = "generator"
    EMBEDDER = "embedder"
    CLASSIFIER = "classifier"


class Alias(StrEnum):
    """The movable names of a version."""

    CHAMPION = "champion"  # serves
    CHALLENGER = "challenger"  # answers a part of the conversations, or writes silently beside the champion
    FALLBACK = "fallback"  # answers while the champion fails


class Step(StrEnum):
    """Why an alias was moved; the history of a champion is read as a stack: PROMOTE pushes, ROLLBACK, REVERT and CLEAR pop."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"  # somebody wanted the version that served before
    REVERT = "revert"  # a process could not serve the new version, so all keep the one before
    RELOAD = "reload"  # the same version, opened anew
    CLEAR = "clear"  # nothing is under the alias any more


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a version."""

    name: str  # relative to the folder of the version
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model that never changes: another file, another version."""

    model_id: str  # NAME@FIRST_DIGITS, as in the lineage of an answer
    kind: Kind
    location: str  # hub id or folder as `weights.resolve` takes them, or begins with ARTIFACT or REMOTE, or is EXTRACTIVE
    base: str = ""  # the `location` of the model that an adapter belongs to; empty for a whole model
    files: tuple[ModelFile, ...] = ()
    recipe: str = ""
    dataset_sha256: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    licence: str = ""
    created_by: str = ""
    created_at: datetime = field(default_factory=utc_now)

    def cleaned(self) -> ModelVersion:
        """Return it as it may be kept: texts cleaned. Raises `ModelError` for an id or a score that no database keeps."""
        texts: dict[str, Any] = {name: clean(getattr(self, name)) for name in _TEXTS}
        if not 0 < len(texts["model_id"]) <= MAX_ID_CHARS:
            raise ModelError(f"The id of a model has 1 to {MAX_ID_CHARS} characters, not {len(texts['model_id'])}: give it another name.")
        if odd := [name for name, score in self.scores.items() if not math.isfinite(score)]:
            raise ModelError(f"The score {odd[0]!r} of {self.model_id!r} is no finite number.")
        return replace(self, scores={clean(name): float(score) for name, score in self.scores.items()}, **texts)

    def refuse_other(self, known: ModelVersion) -> None:
        """Raise `ModelError` when `known`, which has the same id, has other content."""
        names = (one.name for one in fields(self) if one.name not in _ASIDE)
        if other := [name for name in names if getattr(self, name) != getattr(known, name)]:
            raise ModelError(
                f"{self.model_id!r} is registered with another {' and '.join(other)}. "
                "A version never changes: give the new one another name."
            )

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


_TEXTS = ("model_id", "location", "base", "recipe", "dataset_sha256", "licence", "created_by")


class Assignment(NamedTuple):
    """One move of an alias; the newest one counts."""

    assignment_id: int
    kind: Kind
    alias: Alias
    model_id: str  # empty: nothing
    step: Step
    share: int  # percent of conversations, for a challenger; 0: it writes silently beside the champion
    actor: str
    reason: str
    assigned_at: datetime


def unknown(model_id: str, known: Iterable[str]) -> ModelError:
    """Return what to raise for a version that is not known; it names the nearest one that is."""
    near = difflib.get_close_matches(model_id, sorted(known), n=1, cutoff=0.4)
    hint = f"Did you mean {near[0]!r}?" if near else "See: frontdesk models list"
    return ModelError(f"No model {model_id!r} is registered. {hint}")


def must_be(kind: Kind, model_id: str, found: Kind) -> None:
    """Raise `ModelError` when a version is of another kind than its alias."""
    if found is not kind:
        raise ModelError(f"{model_id!r} is registered as {found}, not as {kind}.")


class ModelRegistry(Protocol):
    """Immutable versions, movable aliases; the history of an alias is only ever added to."""

    async def register(self, version: ModelVersion) -> None:
        """Keep a version. Raises `ModelError` when its id is known with other content (`created_*`, scores aside)."""
        ...

    async def version(self, model_id: str) -> ModelVersion:
        """Return a version. Raises `ModelError` that names the nearest known one."""
        ...

    async def versions(self, kind: Kind | None = None) -> tuple[ModelVersion, ...]:
        """Return every version, newest first."""
        ...

    async def assign(
        self, kind: Kind, alias: Alias, model_id: str, step: Step, actor: str, *, share: int = 0, reason: str = "", after: int | None = None
    ) -> int | None:
        """Move an alias and return the id of the move; `model_id` empty: to nothing.

        With `after`, only if that is still the id of the alias's newest move (0: it was never moved), else None: of two who move it at
        once, one wins. Raises `ModelError` for a version that is not known or of another kind.
        """
        ...

    async def current(self, kind: Kind, alias: Alias) -> Assignment | None:
        """Return the newest move of an alias, None when it was never moved."""
        ...

    async def history(self, kind: Kind, alias: Alias, limit: int = 100) -> tuple[Assignment, ...]:
        """Return the newest moves of an alias, newest first."""
        ...

    async def newest_move(self) -> int:
        """Return the id of the newest move of any alias, 0 for none: one cheap look tells whether anything moved."""
        ...


def served_before(history: Sequence[Assignment]) -> str | None:
    """Return the version that a rollback of a champion leads to; `history` is newest first. None: there is none.

    Promotions are pushed on a stack, what takes one back pops it: two rollbacks in a row go back two versions, not to and fro.
    """
    stack: list[str] = []
    for move in reversed(history):
        match move.step:
            case Step.PROMOTE if not stack or stack[-1] != move.model_id:
                stack.append(move.model_id)
            case Step.ROLLBACK | Step.REVERT | Step.CLEAR:
                while stack and stack[-1] != move.model_id:  # what was promoted meanwhile, and never served, goes too
                    stack.pop()
    return stack[-2] if len(stack) > 1 else None


class ModelLoader(Protocol):
    """Knows how each version is opened."""

    async def load(self, version: ModelVersion, *, anew: bool = False) -> Generator:
        """Return its generator, its files checked, not opened yet; `anew` shares nothing that is loaded. Raises `ModelError`."""
        ...


class Load(NamedTuple):
    """How busy a generator is."""

    waiting: int = 0
    running: int = 0
    tokens_per_second: float = 0.0  # written, over the last 30 s


class Seat(NamedTuple):
    """What one process serves under an alias."""

    alias: Alias
    model_id: str
    ready: bool
    load: Load
    problem: str = ""  # why it is not what the registry says


class HostReport(NamedTuple):
    """What one process says of its models."""

    host_id: str
    seats: tuple[Seat, ...]
    followed: int  # it has followed every move up to this id
    last: str  # what came of the last change, in words
    seen_at: datetime


class HostBoard(Protocol):
    """Where processes that run models say what they serve."""

    async def report(self, report: HostReport) -> None:
        """Replace what this host said before; `seen_at` is the database's time, not the one given."""
        ...

    async def reports(self, seconds: float) -> tuple[HostReport, ...]:
        """Return what hosts said within the last `seconds`, by host id."""
        ...

    async def leave(self, host_id: str) -> None:
        """Take back what a host said: it ends."""
        ...


class VersionRecord(NamedTuple):
    """What came of one answer that a version wrote, oldest first."""

    seconds: float  # spent writing
    abstained: bool
    quoted: bool  # what it wrote was backed by no passage, so a passage was quoted instead
    helpful: bool | None  # the last word of whoever judged it last
    at: datetime = datetime.min.replace(tzinfo=UTC)  # when it was written


class VersionLog(Protocol):
    """What became of the answers of each version, those included that nobody saw."""

    async def add(self, model_id: str, record: VersionRecord) -> None:
        """Keep what would have become of an answer that a version wrote silently."""
        ...

    async def records(self, model_id: str, since: datetime, limit: int) -> tuple[VersionRecord, ...]:
        """Return the first `limit` answers that a version wrote after `since`, oldest first."""
        ...
