"""What people are told of a run of the learning loop: a headline, three lines for the channel of staff, and what they may press."""

from __future__ import annotations

from bot.replies import Choice
from core.learning import LearningRun, Report, State
from core.staff.actions import Act
from core.training.gate import told

PROMOTE = Choice(Act.PROMOTE, "Promote", "Let the new version serve", "primary")
ROLL_BACK = Choice(Act.ROLL_BACK, "Roll back", "Let the version before serve again", "danger")
KEEP = Choice(Act.KEEP, "Keep", "Leave the version that serves")
_SHOWN = {"rouge_l": "ROUGE-L", "citation": "citation", "groundedness": "groundedness", "right_to_abstain": "right to abstain"}


def headline(run: LearningRun) -> str:
    """Return what became of a run, in one line."""
    match run.state:
        case State.PROMOTED:
            return f"Learning: {run.model_id} serves now, in place of {run.against}"
        case State.CHALLENGER:
            return f"Learning: {run.model_id} was trained, {run.against} serves on"
        case State.NOTHING:
            return "Learning: nothing new"
    return "Learning failed" if run.state is State.FAILED else "Learning"


def news(run: LearningRun, console_url: str) -> str:
    """Return three lines of Markdown: what became of it, how it compares, why, with the way to its report."""
    place = f"{console_url.rstrip('/')}/console/models/runs/{run.run_id}"
    where = f"[Report]({place})" if console_url else f"Report in the console: {place}"
    compared = _compared(run.report) if run.report else ""
    return "\n\n".join(filter(None, (f"**{headline(run)}**", compared, f"{run.reason} {where}")))


def choices(run: LearningRun) -> tuple[Choice, ...]:
    """Return what an admin can do about a run: what it has done is taken back, or what it has not done is done."""
    match run.state:
        case State.PROMOTED:
            return ROLL_BACK, KEEP
        case State.CHALLENGER:
            return PROMOTE, KEEP
    return ()


def _compared(report: Report) -> str:
    changes = [f"{label} {told(report.differences[name])}" for name, label in _SHOWN.items() if name in report.differences]
    return f"{int(report.after.get('n') or 0)} held-out questions: {', '.join(changes)}"
