"""FAQ files (JSONL, JSON, YAML, CSV) to passages, row by row; a bad row is reported and the next one read."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NoReturn, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints, ValidationError, field_validator

from core.domain import Passage
from core.markup import URL
from core.text import clean, says_something
from retrieval.problems import BadRowError, RowProblem

MAX_ROW_CHARS = 131_072
MAX_LINE = 2**20
_MAX_YAML_DEPTH = 100  # libyaml's binding recurses in C: 100,000 brackets end the process
_UNCLOSED_LINES = 200  # a quoted field that runs on for more lines is an unclosed quote, not a text
_DELIMITERS = ",;\t"
_TO_CLOSING_QUOTE = re.compile(r'[^"]*(?:""[^"]*)*"(?!")')
_LISTS = ("alternatives", "tags")

Row: TypeAlias = tuple[int, Passage] | RowProblem  # the line (or item) a row starts at


def _cleaned(value: object) -> object:
    return clean(value) if isinstance(value, str) else value


_CLEAN = BeforeValidator(_cleaned)  # comes last: pydantic applies it first
Short = Annotated[str, StringConstraints(max_length=200), _CLEAN]
Long = Annotated[str, StringConstraints(max_length=2000), _CLEAN]


class _FaqRow(BaseModel):
    """The columns of `contracts.md`; unknown ones are ignored."""

    id: Annotated[str, StringConstraints(max_length=200), Field(coerce_numbers_to_str=True), _CLEAN] | None = None
    question: Long
    answer: Annotated[str, StringConstraints(max_length=50_000), _CLEAN]
    alternatives: list[Long] = []
    url: Annotated[str, _CLEAN] | None = None
    category: Short | None = None
    locale: Annotated[str, StringConstraints(max_length=35), _CLEAN] | None = None
    tags: list[Short] = []

    @field_validator("question", "answer")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not says_something(value):
            raise ValueError("is empty")
        return value

    @field_validator("alternatives", "tags", mode="before")
    @classmethod
    def _none_is_empty(cls, value: object) -> object:
        return [] if value is None else value

    @field_validator("url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value and not URL.fullmatch(value):
            raise ValueError("is no http(s) address")
        return value or None


def passage_of(fields: object) -> Passage:
    """Return the passage of one FAQ row. Raises `BadRowError` with every reason when it is not one."""
    if not isinstance(fields, dict):
        raise BadRowError("is no object with question and answer")
    try:
        row = _FaqRow.model_validate(fields)
    except ValidationError as error:
        raise BadRowError("; ".join(_reason(detail) for detail in error.errors(include_url=False))) from error
    alternatives = [text for text in row.alternatives if says_something(text) and text != row.question]
    row_id = row.id or "q-" + hashlib.sha256(row.question.encode()).hexdigest()[:12]
    return Passage(
        passage_id=row_id,
        document_id=row_id,
        title=row.question,
        text=row.answer,
        alternatives=tuple(dict.fromkeys(alternatives)),
        url=row.url,
        category=row.category,
        locale=row.locale,
        tags=tuple(row.tags),
    )


def jsonl(lines: Iterable[str]) -> Iterator[Row]:
    """Read one JSON object per line."""
    for number, line in enumerate(lines, 1):
        if len(line) >= MAX_LINE:
            yield RowProblem(number, f"is longer than {MAX_LINE:,} characters")
        elif line.strip():
            yield _row(number, lambda line=line: _json(line))


def json_list(text: str) -> Iterator[Row]:
    """Read a JSON list of objects; rows are counted, since JSON keeps no line of an item."""
    items = _json(text)
    if not isinstance(items, list):
        raise BadRowError("is no list of objects; one object per line belongs into a .jsonl file")
    for number, item in enumerate(items, 1):
        yield _row(number, lambda item=item: item)


def yaml_list(text: str) -> Iterator[Row]:
    """Read a YAML list of objects."""
    import yaml  # part of the extra `documents`

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_size(yaml.parse(text, Loader=loader))
        root = yaml.compose(text, Loader=loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise BadRowError(f"is no readable YAML: {' '.join(str(error).split())}") from error
    if root is None:
        return
    if not isinstance(root, yaml.SequenceNode):
        raise BadRowError("is no YAML list of objects")
    for node in root.value:
        yield _row(node.start_mark.line + 1, lambda node=node: _yaml(node))


def csv_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Read CSV with a header; the delimiter is a comma, semicolon or tab, `alternatives` and `tags` are split at `|`."""
    numbered = enumerate(lines, 1)
    start, first = next(((number, line) for number, line in numbered if line.strip()), (0, ""))
    if not first:
        return
    delimiter = max(_DELIMITERS, key=first.count)
    header = _header(first, delimiter)
    for number, last, record in _records((line for _, line in numbered), start + 1, delimiter):
        if record.strip():
            row = _row(number, lambda record=record: _csv_fields(header, record, delimiter))
            if isinstance(row, RowProblem) and last > number:
                row = RowProblem(number, f"{row.reason} Lines {number} to {last} were left out.")
            yield row


def _row(number: int, read: Any) -> Row:
    try:
        return number, passage_of(read())
    except BadRowError as error:
        return RowProblem(number, str(error))


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique)
    except RecursionError as error:
        raise BadRowError("is nested too deep") from error
    except json.JSONDecodeError as error:
        raise BadRowError(f"is no JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except ValueError as error:  # Python refuses to read a number of more than 4,300 digits
        raise BadRowError("holds a number that is too long") from error


def _no_constant(name: str) -> NoReturn:
    raise BadRowError(f"holds {name}, which is no JSON value")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        repeated = [name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1]
        raise BadRowError(f"has the key {repeated[0]!r} twice")
    return fields


def _check_size(events: Iterable[Any]) -> None:
    """Refuse what PyYAML cannot bear: deep nesting, and merges of merges, which grow without end."""
    from yaml.events import CollectionEndEvent, CollectionStartEvent

    depth = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _MAX_YAML_DEPTH:
            raise BadRowError(f"is nested too deep at line {event.start_mark.line + 1}")
        if getattr(event, "value", None) == "<<" or getattr(event, "tag", None) == "tag:yaml.org,2002:merge":
            raise BadRowError(f"merges mappings with << at line {event.start_mark.line + 1}, which is not read; write them out")


def _yaml(node: Any) -> Any:
    from yaml.constructor import ConstructorError, SafeConstructor

    try:
        fields = SafeConstructor().construct_document(node)
    except (ConstructorError, RecursionError, ValueError) as error:
        raise BadRowError(f"is no plain YAML: {' '.join(str(error).split())}") from error
    if isinstance(fields, dict):
        keys = [key.value for key, _ in node.value]
        _unique([(str(key), None) for key in keys])
    return fields


def _header(line: str, delimiter: str) -> list[str]:
    header = [clean(name).lower() for name in _split(line, delimiter)]
    missing = {"question", "answer"} - set(header)
    if missing:
        raise BadRowError(f"has no column {' and '.join(sorted(missing))}; its columns are {', '.join(header)}")
    _unique([(name, None) for name in header if name])
    return header


def _records(lines: Iterator[str], number: int, delimiter: str) -> Iterator[tuple[int, int, str]]:
    """Join the lines of quoted fields, the first of which is `number`; yields (first line number, last one, record).

    A quote that never closes would swallow the rest of the file: such a line is given alone, to be reported, and reading goes on
    behind it.
    """
    pending = deque[str]()
    while True:
        taken: list[str] = []
        is_open = False
        while not taken or is_open:
            line = pending.popleft() if pending else next(lines, None)
            if line is None or len(taken) > _UNCLOSED_LINES or sum(map(len, taken)) > MAX_LINE:
                pending.extendleft(reversed([*taken[1:], *([line] if line is not None else [])]))
                taken = taken[:1]
                break
            taken.append(line)
            is_open = _ends_open(line, delimiter, is_open)
        if not taken:
            return
        yield number, number + len(taken) - 1, "".join(taken)
        number += len(taken)


def _ends_open(line: str, delimiter: str, is_open: bool) -> bool:
    """Tell whether a quoted field goes on behind `line`. A quote opens a field at its start only: `5" disk` holds no open one."""
    opening = re.compile(rf'(?:\A|{delimiter})"')
    position = 0
    while True:
        if not is_open:
            found = opening.search(line, position)
            if found is None:
                return False
            position = found.end()
        closing = _TO_CLOSING_QUOTE.match(line, position)
        if closing is None:
            return True
        position, is_open = closing.end(), False


def _csv_fields(header: list[str], record: str, delimiter: str) -> dict[str, Any]:
    cells = _split(record, delimiter)
    if len(cells) > len(header):
        raise BadRowError(f"has {len(cells)} cells, the header has {len(header)}; quote texts that hold the delimiter {delimiter!r}")
    fields: dict[str, Any] = {name: cell or None for name, cell in zip(header, cells, strict=False)}
    for name in _LISTS:
        fields[name] = [part.strip() for part in (fields.get(name) or "").split("|") if part.strip()]
    return fields


def _split(record: str, delimiter: str) -> list[str]:
    if len(record) > MAX_ROW_CHARS:
        raise BadRowError(f"is longer than {MAX_ROW_CHARS:,} characters")
    try:
        return next(csv.reader([record], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise BadRowError(f"is no CSV row ({error}); is a quote left open?") from error


def _reason(detail: Any) -> str:
    field = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "missing" or (detail["type"] == "string_type" and detail["input"] is None):
        return f"{field} is missing"
    return f"{field} {detail['msg'].removeprefix('Value error, ')}"
