"""What members see of the learning loop: its runs and their reports, and the words of customers in them only as far as their scope goes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.audit import AuditLog
from core.learning import LearningRun, RunBook
from core.members import EVERYWHERE, Member

_RUNS = 20
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class LearningDesk:
    """Looks runs up."""

    book: RunBook
    audit: AuditLog

    async def runs(self) -> tuple[LearningRun, ...]:
        """Return the newest runs with the figures of their reports."""
        found = [await self.book.run(run.run_id) for run in await self.book.runs(_RUNS)]
        return tuple(_without_samples(run) for run in found if run)

    async def run(self, member: Member, run_id: str) -> LearningRun | None:
        """Return a run, None for one that is not known.

        Held-out questions may be customers' words from any workspace: only who may read all of them sees them, noted once in an hour.
        """
        run = await self.book.run(run_id)
        if run is None or not (run.report and run.report.samples):
            return run
        if not sees_samples(member):
            return _without_samples(run)
        await self.audit.note(member.actor, "learning.read", f"run:{run.run_id}", seconds=_HOUR)
        return run

    async def export(self, member: Member, run_id: str, form: str) -> LearningRun | None:
        """Return a run whose report somebody takes away as a file, None where there is no report; kept in the audit log."""
        run = await self.run(member, run_id)
        if run is None or run.report is None:
            return None
        await self.audit.record(member.actor, "learning.export", f"run:{run.run_id}", "done", form=form, samples=len(run.report.samples))
        return run


def sees_samples(member: Member) -> bool:
    """Tell whether a member sees the questions in a report."""
    return member.scope == EVERYWHERE


def _without_samples(run: LearningRun) -> LearningRun:
    return replace(run, report=replace(run.report, samples=()) if run.report else None)
