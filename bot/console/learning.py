"""Runs of the learning loop: what was learnt when, how it compares, and the report of each as a page and as files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from bot.console import labels
from bot.console.auth import at_least, console_of, not_here
from bot.console.labels import Label
from bot.console.pages import page
from bot.console.parts import Console
from bot.learning_news import choices, headline
from core import plots
from core.learning import LearningRun, State
from core.members import Member, Role
from core.registry import Kind
from core.staff.learning_desk import sees_samples
from core.training.findings import Row, findings, main_row
from core.training.report import html, markdown

CHANGES = at_least(Role.ADMIN, everywhere=True)
Reader = Annotated[Member, Depends(at_least(Role.VIEWER))]
_LEARNS = {Kind.GENERATOR: "answers", Kind.EMBEDDER: "retrieval"}
_FILES = {"html": (html, "text/html"), "md": (markdown, "text/markdown")}


class RunRow(NamedTuple):
    """A run in the table of runs."""

    run: LearningRun
    state: Label
    doing: str
    learns: str
    main: Row | None


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the pages and files."""

    @router.get("/models/runs/rows")
    async def newest(request: Request, member: Reader) -> Response:
        console = console_of(request)
        return page(request, "runs_rows.html", runs=rows(await console.learning.runs()), names=await console.membership.members.names())

    @router.get("/models/runs/{run_id}")
    async def run(request: Request, member: Reader, run_id: str) -> Response:
        found = await _found(request, member, run_id)
        return page(request, "run.html", **await _shown(request, member, found), live=found.state is State.RUNNING)

    @router.get("/models/runs/{run_id}/state")
    async def state(request: Request, member: Reader, run_id: str) -> Response:
        return page(request, "run_state.html", **await _shown(request, member, await _found(request, member, run_id)), live=True)

    @router.get("/models/runs/{run_id}/report.{form}")
    async def report(request: Request, member: Reader, run_id: str, form: str) -> Response:
        found = await console_of(request).learning.export(member, run_id, form) if form in _FILES else None
        if found is None or found.report is None:
            raise await not_here(request, f"run:{run_id}")
        write, kind = _FILES[form]
        headers = {"content-disposition": f'attachment; filename="learning-{found.started_at:%Y-%m-%d}.{form}"'}
        return Response(write(found.report, headline(found)), media_type=f"{kind}; charset=utf-8", headers=headers)


def rows(runs: Sequence[LearningRun]) -> list[RunRow]:
    """Return runs as the table shows them."""
    return [_row(run) for run in runs]


def _row(run: LearningRun) -> RunRow:
    doing = labels.doing(run.doing) if run.doing else ""
    return RunRow(run, labels.RUNS[run.state], doing, _learns(run), main_row(run.report) if run.report else None)


def _learns(run: LearningRun) -> str:
    return _LEARNS.get(run.kind, run.kind.value)


async def _found(request: Request, member: Member, run_id: str) -> LearningRun:
    run = await console_of(request).learning.run(member, run_id)
    if run is None:
        raise await not_here(request, f"run:{run_id}")
    return run


async def _shown(request: Request, member: Member, run: LearningRun) -> dict[str, Any]:
    return {
        "run": run,
        "state": labels.RUNS[run.state],
        "learns": _learns(run),
        "doing": labels.doing(run.doing) if run.doing else "",
        "took": labels.span((run.ended_at - run.started_at).total_seconds()) if run.ended_at else "",
        "names": await console_of(request).membership.members.names(),
        "found": findings(run.report) if run.report else None,
        "choices": choices(run),
        "may_change": CHANGES.allows(member),
        "sees_samples": sees_samples(member),
        "width": plots.WIDTH,
        "height": plots.HEIGHT,
    }
