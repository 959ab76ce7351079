"""How calls of the local Slack's Web API fail and wait, by script or by chance, and what is kept of each."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from tests.servers.faults import Fault, Script
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
class Faults(Workspace, Script):
    """Every call of the Web API, and what meets it."""

    posts: tuple[str, ...] = ("chat.postMessage",)
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        Workspace.__post_init__(self)
        Script.__post_init__(self)

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
        self.planned.setdefault(method, []).append(Fault(kind, times, retry_after))

    def refused(self, request: Request, call: Call, fault: Fault | None) -> Response | None:
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
