"""Reading what Slack sends: whatever is missing or of another type reads as empty, so that garbage never raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

Payload: TypeAlias = Mapping[str, Any]

_TS = re.compile(r"([0-9]{1,10})\.([0-9]{1,6})")


def part(payload: object, *path: str) -> Payload:
    """Return the object at `path`."""
    found = _at(payload, path)
    return found if isinstance(found, Mapping) else {}


def parts(payload: object, *path: str) -> list[Payload]:
    """Return the objects of the list at `path`."""
    found = _at(payload, path)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def word(payload: object, *path: str) -> str:
    """Return the text at `path`."""
    found = _at(payload, path)
    return found if isinstance(found, str) else ""


def is_true(payload: object, *path: str) -> bool:
    """Tell whether `path` holds true."""
    return _at(payload, path) is True


def timestamp(ts: str) -> tuple[int, int] | None:
    """Return the seconds and microseconds of a message's ts, None when it is none."""
    found = _TS.fullmatch(ts)
    return (int(found[1]), int(found[2].ljust(6, "0"))) if found else None


def _at(payload: object, path: tuple[str, ...]) -> object:
    for name in path:
        if not isinstance(payload, Mapping):
            return None
        payload = payload.get(name)
    return payload
