"""A local chat platform over HTTP that loses connections and refuses in a hurry: what a delivery guarantee is measured against.

`python -m tests.servers.chat --port 9000 --seed 1 --reset 0.05 --limit 0.03 --log FILE` runs it as a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

RETRY_AFTER = "0.2"


@dataclass(frozen=True)
class Stored:
    """One message as it stands in a channel."""

    channel: str
    thread: str
    key: str
    text: str
    id: str
    at: float = field(default_factory=time.time, compare=False)  # seconds since the epoch


@dataclass(eq=False)
class ChatServer:
    """`async with ChatServer(reset=0.05) as server:` serves on `server.url`.

    `reset` is the probability that a message is stored and its connection then broken off without an answer, `limit` that it is
    refused with 429 and not stored. Only with `nonce` does the platform know keys again: otherwise a message that is sent twice
    is there twice. Channels in `gone` answer 410.
    """

    port: int = 0
    seed: int = 0
    reset: float = 0.0
    limit: float = 0.0
    nonce: bool = False
    log: Path | None = None
    gone: set[str] = field(default_factory=set)
    messages: list[Stored] = field(default_factory=list)
    requests: int = 0

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        listener = self._listen()
        options: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "timeout_graceful_shutdown": 2}
        self._server = QuietServer(uvicorn.Config(self._app(), http=Resettable, **options))
        self._task = asyncio.create_task(self._server.serve([listener]))
        return self  # connections wait in the listener until it accepts

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        await self._task
        if self.log:
            self._file.close()

    def _listen(self) -> socket.socket:
        listener = listening(self.port)
        self.port = listener.getsockname()[1]
        self._dice = random.Random(self.seed)
        if self.log:
            self._file = self.log.open("a", encoding="utf-8")
        return listener

    def _app(self) -> Starlette:
        routes = [
            Route("/messages", self._post, methods=["POST"]),
            Route("/messages", self._find, methods=["GET"]),
            Route("/log", self._everything, methods=["GET"]),
        ]
        return Starlette(routes=routes)

    async def _post(self, request: Request) -> Response:
        self.requests += 1
        message = await request.json()
        limited, broken = self._dice.random() < self.limit, self._dice.random() < self.reset
        if message["channel"] in self.gone:
            return JSONResponse({"error": "gone"}, 410)
        if limited:
            return JSONResponse({"error": "too many messages"}, 429, headers={"Retry-After": RETRY_AFTER})
        stored = self._store(message)
        if broken:
            request.state.connection.reset()
        return JSONResponse({"id": stored.id})

    async def _find(self, request: Request) -> Response:
        asked = request.query_params
        found = self._known(asked["channel"], asked["thread"], asked["key"])
        return JSONResponse({"id": found.id if found else None})

    async def _everything(self, _request: Request) -> Response:
        return JSONResponse([asdict(message) for message in self.messages])

    def _store(self, message: dict[str, Any]) -> Stored:
        known = self._known(message["channel"], message["thread"], message["key"])
        if self.nonce and known:
            return known
        fields = {name: message[name] for name in ("channel", "thread", "key", "text")}
        stored = Stored(**fields, id=f"m{len(self.messages) + 1}")
        self.messages.append(stored)
        if self.log:
            self._file.write(json.dumps(asdict(stored)) + "\n")
            self._file.flush()
        return stored

    def _known(self, channel: str, thread: str, key: str) -> Stored | None:
        return next((one for one in self.messages if (one.channel, one.thread, one.key) == (channel, thread, key)), None)


def listening(port: int) -> socket.socket:
    """A listener on loopback."""
    listener = socket.create_server(("127.0.0.1", port))
    # asyncio leaves sockets of `create_server` with Nagle's algorithm on: 44 ms a request instead of 2.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class Resettable(H11Protocol):
    """Hands itself to the request, which may break its connection off."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": self}

    def reset(self) -> None:
        """Send RST, unless the connection has gone already: SO_LINGER of 0 s makes close() do so."""
        if self.transport.is_closing():
            return
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class QuietServer(uvicorn.Server):
    """Leaves the signals of the process alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _parsed() -> ChatServer:
    parser = argparse.ArgumentParser(description="A chat platform that loses connections.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reset", type=float, default=0.0)
    parser.add_argument("--limit", type=float, default=0.0)
    parser.add_argument("--nonce", action="store_true", help="know keys again")
    parser.add_argument("--log", type=Path, help="append every stored message as a line of JSON")
    return ChatServer(**vars(parser.parse_args()))


async def _main(server: ChatServer) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        print(server.url, flush=True)  # noqa: T201  # whoever started it waits for this line
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_main(_parsed()))
