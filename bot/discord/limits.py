"""What Discord takes no more of for a while: one kind of call in one channel, or any at all. Asking on would end in a ban."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from types import SimpleNamespace

import aiohttp
import discord

from core.errors import RateLimitedError

EVERYTHING = "calls"
PATIENCE_SECONDS = 5.0  # discord.py itself waits for shorter ones, within the time that a call may take
BAN_SECONDS = 60.0  # where its shield does not say how long
_UNLIMITED = ("/interactions/", "/webhooks/")  # Discord does not count answers to what people press and type


@dataclass
class Call:
    """A call of ours, and what it is counted as.

    The library keeps it back while a limit is used up, repeats it after a short 429, and keeps the last answer of a limit back.
    """

    counted: str
    left: bool = False
    response: aiohttp.ClientResponse | None = None

    @property
    def may_be_taken(self) -> bool:
        """Whether Discord may have done it, or will."""
        return self.left and not (self.response is not None and self.response.status == 429)


class Limits:
    """Remembers limits, so that a call which Discord would refuse is not made."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def note(self, what: str, seconds: float) -> None:
        """Remember that Discord takes no more of something for so long."""
        now = self._clock()
        self._until = {one: until for one, until in self._until.items() if until > now}
        self._until[what] = max(now + seconds, self._until.get(what, 0.0))

    def left(self, what: str = EVERYTHING) -> float:
        """Return for how many seconds Discord takes no more of something."""
        return max(self._until.get(EVERYTHING, 0.0), self._until.get(what, 0.0)) - self._clock()

    def check(self, what: str) -> None:
        """Raise `RateLimitedError` while Discord takes no more of something."""
        left = self.left(what)
        if left > 0:
            raise RateLimitedError(f"Discord takes no more of {what} for {left:.1f} s.", left)

    def watch(self) -> aiohttp.TraceConfig:
        """Return what follows every call of discord.py; `trace_request_ctx` is a `Call` if it is ours.

        It learns of a limit before the library does, and whoever asked gets `discord.RateLimited`. The library would wait past the
        end of our patience; and after a limit on all calls keep every later one waiting behind the one that met it, for ever when
        that one is cancelled.
        """
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._begins)
        trace.on_request_end.append(self._ends)
        return trace

    async def _begins(self, _: aiohttp.ClientSession, context: SimpleNamespace, call: aiohttp.TraceRequestStartParams) -> None:
        path, left = call.url.path, self.left()
        if left > 0 and "/api/" in path and not any(one in path for one in _UNLIMITED):
            raise discord.RateLimited(left)
        if isinstance(ours := context.trace_request_ctx, Call):
            ours.left, ours.response = True, None

    async def _ends(self, _: aiohttp.ClientSession, context: SimpleNamespace, call: aiohttp.TraceRequestEndParams) -> None:
        response, headers = call.response, call.response.headers
        ours = context.trace_request_ctx if isinstance(context.trace_request_ctx, Call) else None
        if ours:
            ours.response = response
        if response.status != 429 or "/api/" not in call.url.path:
            return
        by_shield = "Via" not in headers  # it never came to Discord
        is_global = by_shield or headers.get("X-RateLimit-Scope") == "global" or "X-RateLimit-Global" in headers
        seconds = _seconds(headers.get("Retry-After", ""), BAN_SECONDS if by_shield else 1.0)
        counted = EVERYTHING if is_global else ours.counted if ours else ""
        if is_global or (counted and seconds > PATIENCE_SECONDS):
            self.note(counted, seconds)
            response.close()
            raise discord.RateLimited(seconds)


def _seconds(said: str, otherwise: float) -> float:
    with suppress(ValueError):
        return max(float(said), 0.1)
    return otherwise
