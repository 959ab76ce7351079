"""Changes which models serve: one move in the registry, and then what every process made of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from core.comparison import MOST_RECORDS, Quality, quality
from core.errors import ModelError
from core.registry import Alias, Assignment, HostBoard, HostReport, Kind, ModelRegistry, Step, VersionLog, served_before

PATIENCE_SECONDS = 180.0  # for all processes to load a model: one of 8 GB from a slow disk takes two minutes
HEARD_SECONDS = 20.0  # whoever said nothing for so long has ended; processes report every 5 s
_LOOK_SECONDS = 0.2
_SHOWN_MOVES = 5
MOST_MOVES = 10_000  # of the history, to find what served before: reloads are among them


@dataclass(frozen=True)
class RegistryModelControl:
    """`ModelControl` on the registry; every process that runs models follows it within seconds."""

    registry: ModelRegistry
    board: HostBoard
    log: VersionLog
    embedder_back: Callable[[str, int | None], Awaitable[str]]  # the actor, and the move that must still be the newest
    patience: float = PATIENCE_SECONDS

    async def status(self) -> str:
        """See `ModelControl.status`."""
        lines = []
        for alias in Alias:
            move = await self.registry.current(Kind.GENERATOR, alias)
            if move is not None and move.model_id:
                lines.append(f"{alias.title()}: {move.model_id}{_share(move)}, since {move.assigned_at:%Y-%m-%d %H:%M} by {move.actor}")
                lines += _quality_lines(await self._quality(move))
        embedder = await self.registry.current(Kind.EMBEDDER, Alias.CHAMPION)
        lines += [f"Embedder of the next publish: {embedder.model_id}"] if embedder and embedder.model_id else []
        lines += [_host_line(report) for report in await self.board.reports(HEARD_SECONDS)] or ["No process runs models now."]
        moves = (await self.registry.history(Kind.GENERATOR, Alias.CHAMPION))[:_SHOWN_MOVES]
        return "\n".join([*lines, "Last changes:" if moves else "Nothing was changed yet.", *map(_move_line, moves)])

    async def reload(self, actor: str) -> str:
        """See `ModelControl.reload`."""
        current = await self._served()
        return await self._move(current.model_id, Step.RELOAD, actor, after=current.assignment_id)

    async def promote(self, model_id: str, actor: str, after: int | None = None) -> str:
        """See `ModelControl.promote`; `after` is the move that must still be the newest, None: whichever is."""
        version = await self.registry.version(model_id)
        if version.kind is not Kind.GENERATOR:
            raise ModelError(f"{model_id} is a model of kind {version.kind}: promote it with `frontdesk models promote {model_id}`.")
        current = await self.registry.current(Kind.GENERATOR, Alias.CHAMPION)
        if current is not None and current.model_id == model_id:
            raise ModelError(f"{model_id} serves already. To open it anew: reload.")
        newest = current.assignment_id if current else 0
        said = await self._move(model_id, Step.PROMOTE, actor, after=newest if after is None else after)
        tried = await self.registry.current(Kind.GENERATOR, Alias.CHALLENGER)
        if tried is not None and tried.model_id == model_id:  # it has won
            await self.registry.assign(
                Kind.GENERATOR, Alias.CHALLENGER, "", Step.CLEAR, actor, reason="It was promoted.", after=tried.assignment_id
            )
        return said

    async def rollback(self, kind: str, actor: str, after: int | None = None) -> str:
        """See `ModelControl.rollback`; `after` is the move that must still be the newest, None: whichever is."""
        if kind == Kind.EMBEDDER:
            return await self.embedder_back(actor, after)
        if kind != Kind.GENERATOR:
            raise ModelError(f"Models of kind {kind!r} cannot be rolled back. Kinds: {Kind.GENERATOR}, {Kind.EMBEDDER}.")
        current = await self._served()
        before = served_before(await self.registry.history(Kind.GENERATOR, Alias.CHAMPION, MOST_MOVES))
        if before is None:
            raise ModelError(f"Nothing served before {current.model_id}.")
        return await self._move(before, Step.ROLLBACK, actor, after=current.assignment_id if after is None else after)

    async def canary(self, share: int, model_id: str, actor: str) -> str:
        """See `ModelControl.canary`."""
        if not 0 <= share <= 100:
            raise ModelError(f"A share is between 0% and 100%, not {share}%.")
        current = await self.registry.current(Kind.GENERATOR, Alias.CHALLENGER)
        wanted = model_id or (current.model_id if current else "")
        if not wanted:
            raise ModelError("Name the version to try: canary 10% ID. See: frontdesk models list")
        if (await self.registry.version(wanted)).kind is not Kind.GENERATOR:
            raise ModelError(f"{wanted} is no generator.")
        if wanted == (await self._served()).model_id:
            raise ModelError(f"{wanted} is the champion: all conversations are its own.")
        after = current.assignment_id if current else 0
        return await self._move(wanted, Step.PROMOTE, actor, alias=Alias.CHALLENGER, share=share, after=after)

    async def end_canary(self, actor: str) -> str:
        """See `ModelControl.end_canary`."""
        current = await self.registry.current(Kind.GENERATOR, Alias.CHALLENGER)
        if current is None or not current.model_id:
            raise ModelError("There is no challenger.")
        return await self._move("", Step.CLEAR, actor, alias=Alias.CHALLENGER, after=current.assignment_id)

    async def _served(self) -> Assignment:
        current = await self.registry.current(Kind.GENERATOR, Alias.CHAMPION)
        if current is None or not current.model_id:
            raise ModelError("No model serves yet: start Frontdesk, or promote one.")
        return current

    async def _move(
        self, model_id: str, step: Step, actor: str, *, alias: Alias = Alias.CHAMPION, share: int = 0, after: int | None = None
    ) -> str:
        move_id = await self.registry.assign(Kind.GENERATOR, alias, model_id, step, actor, share=share, after=after)
        if move_id is None:
            raise ModelError("Somebody else has just changed the models: look at the status, and try again.")
        reports = await self._followed(move_id)
        current = await self.registry.current(Kind.GENERATOR, alias)
        if current is not None and (current.model_id, current.share) != (model_id, share):
            raise ModelError(f"{model_id or 'Nothing'} does not serve as {alias}: {current.reason or f'{current.actor} moved on'}")
        problems = [f"{one.host_id}: {seat.problem}" for one in reports for seat in one.seats if seat.alias is alias and seat.problem]
        if problems:
            raise ModelError(f"{model_id} could not be opened anew, what served serves on. " + " ".join(problems))
        if not reports:
            return f"{model_id or 'Nothing'} is {alias} from now on; no process runs models at the moment."
        return f"Done in {len(reports)} of {len(reports)} processes. " + " ".join(f"{one.host_id}: {one.last}" for one in reports)

    async def _followed(self, move_id: int) -> tuple[HostReport, ...]:
        """Wait until every process that runs models has followed a move, and return what they say. Raises `ModelError`."""
        deadline = time.monotonic() + self.patience
        while True:
            reports = await self.board.reports(HEARD_SECONDS)
            late = [report.host_id for report in reports if report.followed < move_id]
            if not late:
                return reports
            if time.monotonic() > deadline:
                raise ModelError(f"After {self.patience:.0f} s {', '.join(late)} had not followed yet. See: frontdesk models status")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _quality(self, move: Assignment) -> Quality:
        return quality(await self.log.records(move.model_id, move.assigned_at, MOST_RECORDS))


def _share(move: Assignment) -> str:
    if move.alias is not Alias.CHALLENGER:
        return ""
    return f" for {move.share} % of conversations" if move.share else " silently beside the champion"


def _quality_lines(found: Quality) -> list[str]:
    if not found.answers:
        return ["  no answers yet"]
    return [
        f"  {found.answers} answers; helpful {found.helpful}, abstained {found.abstained}, backed by passages {found.grounded}; "
        f"p50 {found.p50_seconds:.1f} s, p95 {found.p95_seconds:.1f} s"
    ]


def _host_line(report: HostReport) -> str:
    seats = ", ".join(
        f"{seat.alias} {seat.model_id or 'none'}{'' if seat.ready else ' (not loaded)'}: {seat.load.running} running, "
        f"{seat.load.waiting} waiting, {seat.load.tokens_per_second:.0f} tokens/s{f', {seat.problem}' if seat.problem else ''}"
        for seat in report.seats
    )
    return f"Process {report.host_id}: {seats or 'no model'}{f'. Last: {report.last}' if report.last else ''}"


def _move_line(move: Assignment) -> str:
    when: datetime = move.assigned_at
    return f"  {when:%Y-%m-%d %H:%M} {move.step} {move.model_id or 'nothing'} by {move.actor}{f' ({move.reason})' if move.reason else ''}"
