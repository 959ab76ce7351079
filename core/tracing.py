"""Which workspace, conversation and turn the code that is running works for, so that every log line can name them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_ids: ContextVar[Mapping[str, str]] = ContextVar("ids", default=MappingProxyType({}))


@contextmanager
def log_context(*, workspace: str = "", conversation_id: str = "", turn_id: str = "") -> Iterator[None]:
    """Name these ids in every log line of the block, and of the tasks and threads it starts; blocks nest."""
    given = {"workspace": workspace, "conversation_id": conversation_id, "turn_id": turn_id}
    token = _ids.set(MappingProxyType({**_ids.get(), **{name: value for name, value in given.items() if value}}))
    try:
        yield
    finally:
        _ids.reset(token)


def current_ids() -> Mapping[str, str]:
    """Return the ids that are set here, by name."""
    return _ids.get()
