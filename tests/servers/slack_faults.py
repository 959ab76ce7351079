"""How calls of the local Slack's Web API fail and wait, by script or by chance, and what is kept of each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from tests.servers.slack_state import Json, Workspace


@dataclass(eq=False)
class Call:
    """One call of the Web API; `outcome` is ok, the error, or the fault it met."""

    method: str
    arguments: Json
    token: str | None
    at: float
    outcome: str = "open"
    answer: Json = field(default_factory=dict)


@dataclass(eq=False)
class _Fault:
    kind: str
    times: int
    retry_after: int


@dataclass(eq=False)
class Gate:
    """Where the calls of one method wait; `waiting` of them do."""

    after: bool
    waiting: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let them through."""
        self.opened.set()


@dataclass(eq=False)
class Faults(Workspace):
    """`reset` is the probability that a message is posted and its connection then broken off without an answer, `limit` that it is
    refused with 429 and not posted.
    """

    seed: int = 0
    reset: float = 0.0
    limit: float = 0.0
    retry_after: int = 1  # seconds, with `limit`
    posts: tuple[str, ...] = ("chat.postMessage",)  # the methods that `reset` and `limit` are about
    calls: list[Call] = field(default_factory=list)
    _faults: dict[str, list[_Fault]] = field(default_factory=dict)
    _gates: dict[str, Gate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._dice = random.Random(self.seed)

    def release_all(self) -> None:
        """Nobody waits any longer."""
        for gate in self._gates.values():
            gate.release()

    def count(self, method: str) -> int:
        """How often a method has been called."""
        return len(self.called(method))

    def called(self, method: str) -> list[Call]:
        """The calls of a method."""
        return [one for one in self.calls if one.method == method]

    def fail(self, method: str, times: int = 1, kind: str = "500_before", retry_after: int = 1) -> None:
        """The next calls of a method, or of `*`, fail.

        `kind` is reset_before, reset_after_accept, 500_before, 500_after_accept, 429, html, or error:<what Slack says>.
        """
        self._faults.setdefault(method, []).append(_Fault(kind, times, retry_after))

    @contextmanager
    def hold(self, method: str, after: bool = False) -> Iterator[Gate]:
        """Calls of a method wait inside, before they do anything or, with `after`, before they answer."""
        self._gates[method] = gate = Gate(after)
        try:
            yield gate
        finally:
            gate.release()
            self._gates.pop(method)

    async def wait_at(self, method: str, after: bool) -> None:
        """Wait where the method is held."""
        gate = self._gates.get(method)
        if gate is None or gate.after != after:
            return
        gate.waiting += 1
        self.changed()
        await gate.opened.wait()
        gate.waiting -= 1

    def next_fault(self, method: str) -> _Fault | None:
        """The next of the script, or one by chance."""
        for planned in (self._faults.get(method), self._faults.get("*")):
            if planned:
                planned[0].times -= 1
                return planned.pop(0) if planned[0].times <= 0 else planned[0]
        if method in self.posts:
            limited, broken = self._dice.random() < self.limit, self._dice.random() < self.reset
            if limited or broken:
                return _Fault("429" if limited else "reset_after_accept", 1, self.retry_after)
        return None

    def refused(self, request: Request, call: Call, fault: _Fault | None) -> Response | None:
        """What is said instead of doing it."""
        if fault is None or fault.kind in ("reset_after_accept", "500_after_accept"):
            return None
        call.outcome = fault.kind
        if fault.kind == "429":
            return JSONResponse({"ok": False, "error": "ratelimited"}, 429, headers={"Retry-After": str(fault.retry_after)})
        if fault.kind == "500_before":
            return PlainTextResponse("Internal Server Error", 500)
        if fault.kind == "html":
            return HTMLResponse("<!doctype html><title>Slack is down for maintenance</title>")
        if fault.kind.startswith("error:"):
            return JSONResponse({"ok": False, "error": fault.kind.removeprefix("error:")})
        assert fault.kind == "reset_before", fault.kind
        request.state.connection.reset()
        return Response()
