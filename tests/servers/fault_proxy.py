"""A TCP proxy that breaks connections on request, between a client under test and a real server."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum, auto
from pathlib import Path
from typing import Self

_CHUNK = 65536
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close() sends RST instead of FIN


class Fault(StrEnum):
    """What happens to a connection instead of being passed through."""

    NONE = auto()
    RESET = auto()  # at the next request, which is not forwarded
    ACCEPT_THEN_RESET = auto()  # the next request is forwarded; its answer is thrown away
    HALF_OPEN = auto()  # nothing is forwarded and nothing is answered, the connection stays
    SLOW_CLOSE = auto()  # the upstream's end is passed on `close_delay` seconds later


@dataclass(eq=False)
class Connection:
    """One connection; its faults may be changed while it is open."""

    fault: Fault
    latency: float  # seconds that everything the client sends waits before it is forwarded
    close_delay: float
    down: asyncio.StreamWriter
    up: asyncio.StreamWriter | None = None

    def reset(self) -> None:
        """Send RST to the client now."""
        if not self.down.is_closing():
            self.down.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self.close()

    def close(self) -> None:
        """Drop both sides without waiting for anything that is still to be written."""
        for side in (self.down, self.up):
            if side is not None:
                side.transport.abort()

    async def forward(self, client: asyncio.StreamReader, up: asyncio.StreamWriter) -> None:
        """Pass on what the client sends."""
        while chunk := await client.read(_CHUNK):
            await asyncio.sleep(self.latency)
            if self.fault is Fault.RESET:
                raise ConnectionResetError
            if self.fault is not Fault.HALF_OPEN:
                up.write(chunk)
                await up.drain()
        up.write_eof()

    async def answer(self, upstream: asyncio.StreamReader) -> None:
        """Pass on what the upstream sends."""
        while chunk := await upstream.read(_CHUNK):
            if self.fault in (Fault.ACCEPT_THEN_RESET, Fault.RESET):
                raise ConnectionResetError
            if self.fault is not Fault.HALF_OPEN:
                self.down.write(chunk)
                await self.down.drain()
        if self.fault is Fault.SLOW_CLOSE:
            await asyncio.sleep(self.close_delay)
        if self.fault is not Fault.HALF_OPEN:
            self.down.write_eof()


@dataclass(eq=False)
class FaultProxy:
    """`async with FaultProxy(("127.0.0.1", 8080)) as proxy:` listens on `proxy.port`; the upstream may be a Unix socket's path.

    `fault`, `latency` and `close_delay` are what new connections begin with; `planned` goes first, one fault a connection.
    """

    upstream: tuple[str, int] | Path
    fault: Fault = Fault.NONE
    latency: float = 0.0
    close_delay: float = 1.0
    planned: deque[Fault] = field(default_factory=deque)
    accepted: int = 0
    port: int = 0
    _connections: dict[Connection, asyncio.Task[None] | None] = field(default_factory=dict)
    _server: asyncio.Server | None = None

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The open connections, oldest first."""
        return tuple(self._connections)

    def inject(self, fault: Fault = Fault.NONE, latency: float = 0.0) -> None:
        """Set the faults of every open and every new connection."""
        self.fault, self.latency = fault, latency
        for connection in self._connections:
            connection.fault, connection.latency = fault, latency

    def reset_connections(self) -> None:
        """Send RST to every client now."""
        for connection in self.connections:
            connection.reset()

    def refuse(self) -> None:
        """Close the listener: new connections are refused, open ones go on."""
        if self._server is not None:
            self._server.close()
        self._server = None

    async def restore(self) -> None:
        """Listen again, on the same port."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        await self.restore()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.refuse()
        for task in (tasks := [task for task in self._connections.values() if task]):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, down: asyncio.StreamWriter) -> None:
        self.accepted += 1
        fault = self.planned.popleft() if self.planned else self.fault
        connection = Connection(fault, self.latency, self.close_delay, down)
        self._connections[connection] = asyncio.current_task()
        try:
            upstream, connection.up = await self._connect()
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(connection.forward(client, connection.up))
                pumps.create_task(connection.answer(upstream))
        except* OSError:  # the upstream is gone or broke off, or a fault asks for it: the client is told the hard way
            connection.reset()
        finally:
            connection.close()
            del self._connections[connection]

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, Path):
            return await asyncio.open_unix_connection(self.upstream)
        return await asyncio.open_connection(*self.upstream)
