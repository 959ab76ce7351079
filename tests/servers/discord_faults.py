"""How requests of the local Discord fail and wait, by script or by chance, its rate limits, and what is kept of each request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from tests.servers.discord_state import Json, World
from tests.servers.faults import Fault, Script

_PLENTY = (1000, 1.0)
_UNCOUNTED = ("respond", "follow_up", "edit_followup", "get_followup", "delete_followup")
VIA = {"Via": "1.1 google"}


@dataclass(eq=False)
class Call:
    """One request; `outcome` is the status, `code` the code of an error, or the fault that it met stands in `outcome`."""

    method: str
    at: dict[str, Any]  # the ids in its path
    json: Json
    query: dict[str, str]
    when: float
    files: list[str] = field(default_factory=list)
    outcome: int | str = "open"
    answer: Any = None


@dataclass(eq=False)
class Faults(World, Script):
    """Every request, and what meets it; `rates` are requests and seconds by method, for each channel; `a_second` those of the bot."""

    retry_after: float = 0.2
    posts: tuple[str, ...] = ("create_message",)
    calls: list[Call] = field(default_factory=list)
    rates: dict[str, tuple[int, float]] = field(default_factory=dict)
    a_second: int = 0  # 0 is no limit; Discord has 50
    invalid: int = 0  # requests that count towards a ban: 401, 403, and 429 that is not shared
    _used: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    _lately: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        World.__post_init__(self)
        Script.__post_init__(self)

    def of(self, *methods: str) -> list[Call]:
        """The requests of methods."""
        return [one for one in self.calls if one.method in methods]

    def fail(self, method: str, kind: str, times: int = 1, retry_after: float = 0.05) -> None:
        """The next requests of a method, or of any with `*`, fail.

        `kind` is reset_before, reset_after_accept, 502_before, 502_after_accept (or another status), 429, 429_shared, 429_global,
        cloudflare (429 without Via), or error:<status>:<code>.
        """
        self.planned.setdefault(method, []).append(Fault(kind, times, retry_after))

    def spend(self, call: Call) -> tuple[dict[str, str], float]:
        """The headers of a rate limit, and the seconds to wait if it is used up."""
        if call.method in _UNCOUNTED:
            return dict(VIA), 0.0
        most, per = self.rates.get(call.method, _PLENTY)
        now, major = self.clock(), int(next(iter(call.at.values()), 0) or 0)
        used = self._used.setdefault((call.method, major), [])
        used[:] = [one for one in used if one > now - per]
        if over := len(used) >= most:
            wait = max(used[-most] + per - now, 0.001)
        else:
            used.append(now)
            wait = 0.0
        after = used[-most if over else 0] + per - now
        headers = {
            "X-RateLimit-Bucket": call.method,
            "X-RateLimit-Limit": str(most),
            "X-RateLimit-Remaining": str(max(0, most - len(used))),
        }
        headers |= {"X-RateLimit-Reset": f"{now + after:.3f}", "X-RateLimit-Reset-After": f"{after:.3f}"}
        return VIA | headers, wait if over else 0.0

    def refused(self, request: Request, call: Call, fault: Fault | None, headers: dict[str, str], wait: float) -> Response | None:
        """What is said instead of doing it."""
        kind = fault.kind if fault else ""
        if (ahead := self._spend_of_all(call)) and not kind:
            return self._limited(call, "global", ahead, headers)
        if wait and not kind:
            return self._limited(call, "user", wait, headers)
        if not fault or kind.endswith("_after_accept"):
            return None
        call.outcome = kind
        if kind == "reset_before":
            request.state.connection.reset()
            return Response()
        if kind == "cloudflare":
            self.invalid += 1
            return HTMLResponse("<html>error code: 1015</html>", 429, headers={"Retry-After": str(max(1, round(fault.retry_after)))})
        if kind.startswith("429"):
            return self._limited(call, kind[4:] or "user", fault.retry_after, headers)
        if kind.startswith("error:"):
            _, status, code = kind.split(":")
            self.invalid += status in ("401", "403")
            return JSONResponse({"message": "As told", "code": int(code)}, int(status), headers=headers)
        found = re.fullmatch(r"(5\d\d)_before", kind)
        assert found, kind
        return PlainTextResponse("upstream connect error", int(found[1]), headers=VIA)

    def _spend_of_all(self, call: Call) -> float:
        """The seconds to wait if the bot has used up what it may ask of everything together."""
        if not self.a_second or call.method in _UNCOUNTED:
            return 0.0
        now = self.clock()
        self._lately[:] = [one for one in self._lately if one > now - 1]
        if len(self._lately) >= self.a_second:
            return max(self._lately[0] + 1 - now, 0.001)
        self._lately.append(now)
        return 0.0

    def _limited(self, call: Call, scope: str, wait: float, headers: dict[str, str]) -> Response:
        call.outcome = 429
        self.invalid += scope != "shared"
        more = {"Retry-After": str(max(1, round(wait))), "X-RateLimit-Scope": scope, "X-RateLimit-Remaining": "0"}
        more |= {"X-RateLimit-Global": "true"} if scope == "global" else {}
        body = {"message": "You are being rate limited.", "retry_after": wait, "global": scope == "global"}
        return JSONResponse(body, 429, headers=headers | more)
