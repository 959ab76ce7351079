"""Versions of models, their aliases, hosts and answers, and runs of learning, in lists and dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from core.domain import Decision, Reason, utc_now
from core.learning import DIED, SILENT_SECONDS, Doing, LearningRun, State, goes_on
from core.registry import Alias, Assignment, HostReport, Kind, ModelVersion, Step, VersionRecord, must_be, unknown
from core.review import TurnRecord
from core.storage.memory_staff import MemoryFeedbackLog, MemoryTurnBook
from core.text import clean


class MemoryModelRegistry:
    """`ModelRegistry` in a dictionary and a list, `moves`."""

    def __init__(self) -> None:
        self._versions: dict[str, ModelVersion] = {}
        self.moves: list[Assignment] = []

    async def register(self, version: ModelVersion) -> None:
        """See `ModelRegistry.register`."""
        version = version.cleaned()
        version.refuse_other(self._versions.setdefault(version.model_id, version))

    async def version(self, model_id: str) -> ModelVersion:
        """See `ModelRegistry.version`."""
        found = self._versions.get(clean(model_id))
        if found is None:
            raise unknown(model_id, self._versions)
        return found

    async def versions(self, kind: Kind | None = None) -> tuple[ModelVersion, ...]:
        """See `ModelRegistry.versions`."""
        wanted = (one for one in self._versions.values() if kind in (None, one.kind))
        return tuple(sorted(sorted(wanted, key=lambda one: one.model_id), key=lambda one: one.created_at, reverse=True))

    async def assign(
        self, kind: Kind, alias: Alias, model_id: str, step: Step, actor: str, *, share: int = 0, reason: str = "", after: int | None = None
    ) -> int | None:
        """See `ModelRegistry.assign`."""
        model_id = clean(model_id)
        if model_id:
            must_be(kind, model_id, (await self.version(model_id)).kind)
        newest = await self.current(kind, alias)
        if after is not None and after != (newest.assignment_id if newest else 0):
            return None
        move = Assignment(len(self.moves) + 1, kind, alias, model_id, step, share, clean(actor), clean(reason), utc_now())
        self.moves.append(move)
        return move.assignment_id

    async def current(self, kind: Kind, alias: Alias) -> Assignment | None:
        """See `ModelRegistry.current`."""
        newest = await self.history(kind, alias, 1)
        return newest[0] if newest else None

    async def history(self, kind: Kind, alias: Alias, limit: int = 100) -> tuple[Assignment, ...]:
        """See `ModelRegistry.history`."""
        return tuple(move for move in reversed(self.moves) if (move.kind, move.alias) == (kind, alias))[:limit]

    async def newest_move(self) -> int:
        """See `ModelRegistry.newest_move`."""
        return len(self.moves)


class MemoryHostBoard:
    """`HostBoard` in a dictionary, by a clock that can be given."""

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._reports: dict[str, HostReport] = {}

    async def report(self, report: HostReport) -> None:
        """See `HostBoard.report`."""
        self._reports[report.host_id] = report._replace(seen_at=self._clock())

    async def reports(self, seconds: float) -> tuple[HostReport, ...]:
        """See `HostBoard.reports`."""
        since = self._clock() - timedelta(seconds=seconds)
        return tuple(sorted(one for one in self._reports.values() if one.seen_at > since))

    async def leave(self, host_id: str) -> None:
        """See `HostBoard.leave`."""
        self._reports.pop(host_id, None)


class MemoryVersionLog:
    """`VersionLog` over the turns of a `MemoryTurnBook`, which count as answered when they were asked."""

    def __init__(self, book: MemoryTurnBook, feedback: MemoryFeedbackLog) -> None:
        self._book = book
        self._feedback = feedback
        self._silent: list[tuple[str, datetime, VersionRecord]] = []

    async def records(self, model_id: str, since: datetime, limit: int) -> tuple[VersionRecord, ...]:
        """See `VersionLog.records`."""
        mine = [one for one in self._book.records.values() if one.reply.lineage.model == model_id and one.asked_at > since]
        said = [(one.asked_at, await self._record(one)) for one in mine]
        unsaid = [(at, record) for model, at, record in self._silent if model == model_id and at > since]
        return tuple(record for _, record in sorted(said + unsaid, key=lambda one: one[0])[:limit])

    async def add(self, model_id: str, record: VersionRecord) -> None:
        """See `VersionLog.add`."""
        now = utc_now()
        self._silent.append((model_id, now, record._replace(at=now)))

    async def _record(self, turn: TurnRecord) -> VersionRecord:
        given, reply = await self._feedback.of(turn.turn_id), turn.reply
        return VersionRecord(
            seconds=reply.timings_ms.generate / 1000,
            abstained=(reply.decision, reply.reason) == (Decision.HANDOFF, Reason.LOW_CONFIDENCE),
            quoted=reply.reason is Reason.QUOTED,
            helpful=given[-1].helpful if given else None,
            at=turn.asked_at,
        )


class MemoryRunBook:
    """`RunBook` in a dictionary."""

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        self._clock = clock
        self._runs: dict[str, LearningRun] = {}
        self._seen: dict[str, datetime] = {}

    async def begin(self, run: LearningRun) -> None:
        """See `RunBook.begin`."""
        self._runs = {run_id: self._alive(one) for run_id, one in self._runs.items()}
        if other := next((one for one in self._runs.values() if one.state is State.RUNNING), None):
            raise goes_on(other)
        self._runs[run.run_id] = replace(run, started_at=self._clock(), ended_at=None)
        await self.beat(run.run_id)

    async def beat(self, run_id: str, doing: Doing | None = None) -> None:
        """See `RunBook.beat`."""
        run = self._runs[run_id]
        if run.state is State.RUNNING:
            self._seen[run_id] = self._clock()
            self._runs[run_id] = replace(run, doing=doing)

    async def end(self, run: LearningRun) -> None:
        """See `RunBook.end`."""
        self._runs[run.run_id] = replace(run, started_at=self._runs[run.run_id].started_at, ended_at=self._clock(), doing=None)

    async def run(self, run_id: str) -> LearningRun | None:
        """See `RunBook.run`."""
        found = self._runs.get(run_id)
        return self._alive(found) if found else None

    async def runs(self, limit: int = 50) -> tuple[LearningRun, ...]:
        """See `RunBook.runs`."""
        newest = sorted(self._runs.values(), key=lambda run: run.started_at, reverse=True)
        return tuple(replace(self._alive(run), report=None) for run in newest[:limit])

    def _alive(self, run: LearningRun) -> LearningRun:
        seen = self._seen[run.run_id]
        if run.state is not State.RUNNING or seen >= self._clock() - timedelta(seconds=SILENT_SECONDS):
            return run
        return replace(run, state=State.FAILED, ended_at=seen, reason=DIED, doing=None)
