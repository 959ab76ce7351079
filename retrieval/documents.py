"""Files to passages: finds them, decodes them, hands them to the reader of their kind, and reports what could not be read."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from core.domain import Passage
from core.errors import KnowledgeError
from core.text import fold, hides_text
from retrieval import faq_rows
from retrieval.chunking import html_to_markdown, markdown_passages
from retrieval.faq_rows import Row
from retrieval.problems import BadRowError, Problem, RowProblem

MAX_WHOLE_FILE = 50 * 1024 * 1024  # formats that cannot be read line by line
# More bad rows than good ones means the wrong file or the wrong columns; in a handful of rows it means nothing.
MAX_BAD_SHARE = 0.5
_FEW_ROWS = 20
_INSTRUCTION = re.compile(
    r"\b(?:ignore|disregard|forget)\b.{0,30}\b(?:instructions?|prompts?|rules|above|previous)\b|\bsystem prompt\b"
    r"|\byou are now\b|\bact as\b.{0,20}\b(?:assistant|ai|model|bot)\b|<\|[^|>]{0,30}\|>",
    re.IGNORECASE,
)

Reader: TypeAlias = Callable[[Path, str], Iterator[Row]]


@dataclass
class Reading:
    """The passages of one file as they are read, and the problems found so far."""

    source: str
    rows: Iterable[Row]
    strict: bool = False
    problems: list[Problem] = field(default_factory=list)
    good: int = 0
    bad: int = 0

    def passages(self) -> Iterator[Passage]:
        """Yield the good rows. Raises `KnowledgeError` when the file as a whole must be refused."""
        seen_ids: set[int] = set()
        answers: dict[int, tuple[int, int]] = {}
        for row in self._guarded():
            if isinstance(row, RowProblem):
                self._reject(row.line, row.reason)
                continue
            line, passage = row
            if hash(passage.passage_id) in seen_ids:
                self._reject(line, f"id {passage.passage_id!r} stands earlier in this file")
                continue
            seen_ids.add(hash(passage.passage_id))
            self._warn(line, passage, answers)
            self.good += 1
            yield passage
        if self.good + self.bad > _FEW_ROWS and self.bad > MAX_BAD_SHARE * (self.good + self.bad):
            raise KnowledgeError(
                f"{self.source}: {self.bad} of {self.good + self.bad} rows are bad, so nothing was imported. Is it the right file?"
            )

    def _guarded(self) -> Iterator[Row]:
        try:
            yield from self.rows
        except BadRowError as error:
            yield RowProblem(None, str(error))
        except UnicodeDecodeError as error:
            raise KnowledgeError(f"{self.source}: {_encoding_problem(Path(self.source), error)}") from error
        except OSError as error:
            raise KnowledgeError(f"{self.source}: cannot be read: {error.strerror or error}") from error

    def _reject(self, line: int | None, reason: str) -> None:
        problem = Problem(self.source, line, reason)
        if self.strict:
            raise KnowledgeError(f"{problem}. Nothing was imported from this file (--strict).")
        self.problems.append(problem)
        self.bad += 1

    def _warn(self, line: int, passage: Passage, answers: dict[int, tuple[int, int]]) -> None:
        texts = (passage.title, passage.text, *passage.alternatives)
        if any(_INSTRUCTION.search(fold(text)) for text in texts) or any(map(hides_text, texts)):
            self._note(line, "reads like instructions to a model; it is served as text and never followed")
        if passage.curated:
            question, answer = hash(fold(passage.title).lower()), hash(passage.text)
            first_line, first_answer = answers.setdefault(question, (line, answer))
            if first_answer != answer:
                self._note(line, f"asks the same as line {first_line} but answers otherwise; both were taken, review them")

    def _note(self, line: int, reason: str) -> None:
        self.problems.append(Problem(self.source, line, reason, warning=True))


def find(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield (file, document name) for each file and, recursively, each readable file of each folder.

    Raises `KnowledgeError` for a path that is missing, a named file of an unknown kind and a name that is not UTF-8.
    """
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in _READERS)
            yield from ((file, _named(file.relative_to(path).as_posix())) for file in inside)
        elif not path.exists():
            raise KnowledgeError(f"{path}: there is no such file or folder")
        elif path.suffix.lower() not in _READERS:
            raise KnowledgeError(
                f"{path}: {path.suffix or 'a file without an ending'} cannot be read; known are {', '.join(sorted(_READERS))}"
            )
        else:
            yield path, _named(path.name)


def _named(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise KnowledgeError(f"{name!r}: this file name is not UTF-8. Rename it.") from error
    return name


def read(path: Path, name: str, *, strict: bool = False) -> Reading:
    """Return the reading of one file; nothing is opened before its passages are asked for."""
    return Reading(str(path.resolve()), _READERS[path.suffix.lower()](path, name), strict)


def _lines(path: Path, longest: int = -1) -> Iterator[str]:
    """Yield the lines of a file; of one longer than `longest` only the start, so that no file fills the memory."""
    with path.open(encoding=_encoding(path), newline="") as file:
        while line := file.readline(longest):
            yield line
            while line and len(line) == longest and not line.endswith(("\r", "\n")):
                line = file.readline(longest)


def _whole(path: Path) -> str:
    size = path.stat().st_size
    if size > MAX_WHOLE_FILE:
        raise BadRowError(f"has {size // 2**20} MiB; {path.suffix} is read whole, up to {MAX_WHOLE_FILE // 2**20} MiB. Use .jsonl or .csv")
    return "".join(_lines(path))


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


def _encoding_problem(path: Path, error: UnicodeDecodeError) -> str:
    line = _first_undecodable_line(path, error.encoding)
    return f"line {line} is neither UTF-8 nor UTF-16. Save the file as UTF-8. Nothing was imported from it."


def _first_undecodable_line(path: Path, encoding: str) -> int:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def _jsonl(path: Path, _name: str) -> Iterator[Row]:
    return faq_rows.jsonl(_lines(path, faq_rows.MAX_LINE))


def _csv(path: Path, _name: str) -> Iterator[Row]:
    return faq_rows.csv_rows(_lines(path, faq_rows.MAX_LINE))


def _json(path: Path, _name: str) -> Iterator[Row]:
    yield from faq_rows.json_list(_whole(path))


def _yaml(path: Path, _name: str) -> Iterator[Row]:
    yield from faq_rows.yaml_list(_whole(path))


def _markdown(path: Path, name: str) -> Iterator[Row]:
    yield from ((1, passage) for passage in markdown_passages(name, _whole(path)))


def _html(path: Path, name: str) -> Iterator[Row]:
    markdown, url = html_to_markdown(_whole(path))
    yield from ((1, passage) for passage in markdown_passages(name, markdown, url))


_READERS: dict[str, Reader] = {
    ".csv": _csv,
    ".htm": _html,
    ".html": _html,
    ".json": _json,
    ".jsonl": _jsonl,
    ".markdown": _markdown,
    ".md": _markdown,
    ".yaml": _yaml,
    ".yml": _yaml,
}
