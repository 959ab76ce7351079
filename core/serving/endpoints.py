"""Several servers of one model: who is asked next, who is left alone for how long, and who is well again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from core.domain import Usage
from core.errors import ModelError
from core.prompting import Message
from core.serving.breaker import Breaker, Outcome, Permit

logger = logging.getLogger(__name__)

HEALTH_SECONDS = 10.0  # between two looks at an endpoint that failed


class Ending(NamedTuple):
    """Why a server stopped writing, `stop` or `length`, and what it counted, None where it does not count."""

    reason: str
    usage: Usage | None


class ServerError(ModelError):
    """One server did not answer. `blamed`: it is the server's fault, so it is asked after the others until it is well again."""

    def __init__(self, message: str, *, blamed: bool = True, busy_seconds: float = 0.0, lacks_model: bool = False) -> None:
        super().__init__(message)
        self.blamed = blamed
        self.busy_seconds = busy_seconds  # how long it wants to be left alone
        self.lacks_model = lacks_model


class Server(Protocol):
    """One server of language models."""

    @property
    def url(self) -> str:
        """Where it is; names it in logs and errors."""
        ...

    def write(self, model: str, chat: Sequence[Message], max_tokens: int) -> AsyncGenerator[str | Ending, None]:
        """Yield pieces of text, then one `Ending`. Raises `ServerError`. Closing the iterator cancels the work at the server."""
        ...

    async def models(self) -> tuple[str, ...]:
        """Return the names of the models it lists, none where it has no list. Raises `ServerError`."""
        ...

    async def is_healthy(self) -> bool:
        """Tell whether it says that it works."""
        ...

    async def load_adapter(self, name: str, path: str) -> None:
        """Have it serve a LoRA adapter as the model `name`; `path` is where the server finds it. Raises `ServerError`."""
        ...

    async def aclose(self) -> None:
        """Close its connections."""
        ...


@dataclass(eq=False)
class Endpoint:
    """A server, and how it has behaved."""

    server: Server
    breaker: Breaker
    open_requests: int = 0
    busy_until: float = float("-inf")  # it said so itself
    suspect_since: float | None = None  # when it last failed, or was last looked at; None: it is well


class EndpointPool:
    """The endpoints of one generator, which closes them. For one event loop: choosing waits for nothing, so nothing comes between."""

    def __init__(self, servers: Sequence[Server], clock: Callable[[], float] = time.monotonic) -> None:
        """The order of `servers` decides between those that are equally busy; `clock` counts seconds."""
        self.endpoints = tuple(Endpoint(server, Breaker(server.url, clock)) for server in servers)
        self._clock = clock
        self._looks: set[asyncio.Task[None]] = set()

    def visit(self, tried: Collection[Endpoint] = ()) -> Visit | None:
        """Return a visit of the endpoint with the fewest open requests, suspects last; None when no other may be asked now."""
        self._look_after_suspects()
        ready = [endpoint for endpoint in self.endpoints if endpoint not in tried and endpoint.busy_until <= self._clock()]
        ready.sort(key=lambda endpoint: (endpoint.suspect_since is not None, endpoint.open_requests))  # stable: ties keep their order
        for endpoint in ready:
            permit = endpoint.breaker.enter()
            if permit is not None:
                others = any(other.suspect_since is None for other in ready if other is not endpoint)
                return Visit(endpoint, permit, self._clock, has_alternative=others)
        return None

    def why_none(self) -> str:
        """Say why no endpoint may be asked now."""
        now = self._clock()
        return "; ".join(
            f"{endpoint.server.url} asked to be left alone for {endpoint.busy_until - now:.0f} s more"
            if endpoint.busy_until > now
            else f"{endpoint.server.url} failed too often lately and was not asked"
            for endpoint in self.endpoints
        )

    async def aclose(self) -> None:
        """Stop looking and close every connection."""
        looks = tuple(self._looks)
        for task in looks:
            task.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        for endpoint in self.endpoints:
            await endpoint.server.aclose()

    def _look_after_suspects(self) -> None:
        """Ask those that failed for their health, beside the customers and only while there are any: an unused pool calls nobody."""
        now = self._clock()
        for endpoint in self.endpoints:
            if endpoint.suspect_since is not None and now - endpoint.suspect_since >= HEALTH_SECONDS:
                endpoint.suspect_since = now
                task = asyncio.create_task(self._look(endpoint, now))
                self._looks.add(task)
                task.add_done_callback(self._looks.discard)

    async def _look(self, endpoint: Endpoint, began: float) -> None:
        if await endpoint.server.is_healthy() and endpoint.suspect_since == began:  # it has not failed again meanwhile
            endpoint.suspect_since = None
            logger.info("%s is well again", endpoint.server.url)


class Visit:
    """One request to one endpoint: a block that counts it while it is open, and notes what came of it."""

    def __init__(self, endpoint: Endpoint, permit: Permit, clock: Callable[[], float], *, has_alternative: bool) -> None:
        self.endpoint = endpoint
        self.has_alternative = has_alternative  # another one that is well could be asked instead
        self._permit = permit
        self._clock = clock
        self._outcome = Outcome.UNKNOWN
        endpoint.open_requests += 1

    def succeeded(self) -> None:
        """Note that the whole answer came; whoever takes its end may never ask for more."""
        self._outcome = Outcome.SUCCESS
        self.endpoint.suspect_since = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.endpoint.open_requests -= 1
        if isinstance(error, ServerError) and self._outcome is Outcome.UNKNOWN:
            self._failed(error)
        self.endpoint.breaker.leave(self._permit, self._outcome)

    def _failed(self, error: ServerError) -> None:
        if error.busy_seconds > 0:
            self.endpoint.busy_until = self._clock() + error.busy_seconds
        if error.blamed:
            self._outcome = Outcome.FAILURE
            self.endpoint.suspect_since = self._clock()
