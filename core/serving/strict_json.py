"""JSON out of files of others: no larger or deeper than what models need, each key once, no NaN."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from core.errors import ModelError

_MAX_DEPTH = 64  # the deepest tokenizer.json we know has 9
_DEEPEST = "has more than 64 levels; what writes models never does. Get it anew from where it came from."


def parse(data: bytes, name: str) -> Any:
    """Return what `data` says. Raises `ModelError` that calls the file `name`."""
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise ModelError(f"{name!r} {_DEEPEST}") from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are some
        raise ModelError(f"{name!r} is no valid JSON ({error}). Get it anew from where it came from.") from None
    if _is_too_deep(document):
        raise ModelError(f"{name!r} {_DEEPEST}")
    return document


def mapping(data: bytes, name: str) -> dict[str, Any]:
    """Return the object that `data` holds."""
    document = parse(data, name)
    if not isinstance(document, dict):
        raise ModelError(f"{name!r} holds no JSON object.")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two keys with one name libraries take the first or the last: what was looked at must be what is used.
    found = dict(pairs)
    if len(found) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {name!r} stands there twice")
    return found


def _no_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def _is_too_deep(document: Any) -> bool:
    level = [document]
    for _ in range(_MAX_DEPTH):
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(outer: dict[str, Any] | list[Any]) -> list[Any]:
    inner = outer.values() if isinstance(outer, dict) else outer
    return [one for one in inner if isinstance(one, dict | list)]
