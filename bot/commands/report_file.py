"""Where a command leaves a report: HTML or Markdown, as the ending of the file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from core.errors import FrontdeskError
from core.learning import Report

_ENDINGS = (".html", ".md")


class _ReportPath(click.Path):
    """A file that a report can be written to, told before hours of work and not after."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = Path(str(super().convert(value, param, ctx)))
        if found.suffix not in _ENDINGS:
            self.fail(f"{found} must end in {' or '.join(_ENDINGS)}", param, ctx)
        if not found.parent.is_dir():
            self.fail(f"there is no folder {found.parent}", param, ctx)
        return found


PATH = _ReportPath(dir_okay=False, writable=True, path_type=Path)


def write(path: Path, report: Report, title: str) -> None:
    """Write a report. Raises `FrontdeskError` where that cannot be done."""
    from core.training.report import html, markdown

    text = html(report, title) if path.suffix == ".html" else markdown(report, title)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FrontdeskError(f"The report cannot be written to {path}: {error.strerror}") from error
