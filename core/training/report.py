"""A report of a run, to read and to keep."""

from __future__ import annotations

from html import escape

from core.learning import Report
from core.training.gate import told


def markdown(report: Report, title: str) -> str:
    """Return a report as Markdown."""
    lines = [f"# {title}", "", "| figure | before | after | difference (95 %) |", "|---|---|---|---|"]
    for name, after in report.after.items():
        found = report.differences.get(name)
        lines.append(f"| {name} | {_shown(report.before.get(name))} | {_shown(after)} | {told(found) if found else ''} |")
    lines += ["", *(f"{part}: `{version}`  " for part, version in report.versions.items())]
    return "\n".join([*lines, ""])


def html(report: Report, title: str) -> str:
    """Return a report as a page."""
    return f"<!doctype html><meta charset=utf-8><title>{escape(title)}</title><pre>{escape(markdown(report, title))}</pre>"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
