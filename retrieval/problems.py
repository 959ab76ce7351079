"""What can be wrong with a file or a row, said so that a person can mend it."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import KnowledgeError


class BadRowError(KnowledgeError):
    """One row, or a whole file, cannot become knowledge; the text completes 'FILE line N ...'."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that was left out, and why. `line` is where it starts, None for the whole file."""

    line: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A `RowProblem` of a named source; a `warning` row was taken all the same."""

    source: str
    line: int | None
    reason: str
    warning: bool = False

    def __str__(self) -> str:
        """Read as one line: FILE line N: reason."""
        place = self.source if self.line is None else f"{self.source} line {self.line}"
        return f"{place}: {self.reason}"
