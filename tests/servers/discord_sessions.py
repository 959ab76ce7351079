"""Sessions of the local Discord's gateway and the connections they are heard over."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.servers.discord_state import Json

GUILDS, MEMBERS, CONTENT = 1 << 0, 1 << 1, 1 << 15
_OF_GUILD = {"MESSAGE": 1 << 9, "MESSAGE_REACTION": 1 << 10, "TYPING": 1 << 11, "THREAD": GUILDS, "CHANNEL": GUILDS, "GUILD": GUILDS}
_OF_GUILD |= {"MESSAGE_DELETE": 1 << 9}  # of many at once
_OF_DIRECT = {"MESSAGE": 1 << 12, "MESSAGE_REACTION": 1 << 13, "TYPING": 1 << 14}


@dataclass(eq=False)
class Session:
    """What a bot that has identified itself hears; it outlives its connection."""

    id: str
    shard: int
    count: int
    intents: int
    sequence: int = 0
    sent: list[Json] = field(default_factory=list)
    socket: Connection | None = None
    resumed: int = 0

    def hear(self, event: str, data: Json) -> None:
        """Keep an event, and send it if somebody is there."""
        self.sequence += 1
        frame = {"op": 0, "t": event, "s": self.sequence, "d": data}
        self.sent.append(frame)
        if self.socket:
            self.socket.send(frame)

    def wants(self, event: str, direct: bool) -> bool:
        """Whether it asked for such events."""
        if event == "INTERACTION_CREATE":
            return True
        kind = event.rpartition("_")[0]
        needed = (_OF_DIRECT if direct else _OF_GUILD).get(kind, 0)
        return bool(self.intents & needed)


@dataclass(eq=False)
class Connection:
    """One socket; what is sent waits in a queue."""

    socket: WebSocket
    queue: asyncio.Queue[Json | int] = field(default_factory=asyncio.Queue)
    session: Session | None = None
    beats: int = 0

    def __post_init__(self) -> None:
        self.pack = _packing(self.socket.query_params.get("compress"))

    def send(self, frame: Json) -> None:
        """Send, after what waits already."""
        self.queue.put_nowait(frame)

    def close(self, code: int) -> None:
        """Close, after what waits already."""
        self.queue.put_nowait(code)

    def cut(self) -> None:
        """Break the connection off."""
        self.socket.state.connection.reset()

    async def write(self) -> None:
        """Send what is queued; runs until the connection ends."""
        with suppress(WebSocketDisconnect, RuntimeError):  # it went while we were writing
            while not isinstance(frame := await self.queue.get(), int):
                text = json.dumps(frame)
                if self.pack:
                    await self.socket.send_bytes(self.pack(text.encode()))
                else:
                    await self.socket.send_text(text)
            await self.socket.close(frame)


def _packing(asked: str | None) -> Callable[[bytes], bytes] | None:
    """One stream of compressed messages for the whole connection."""
    if asked == "zlib-stream":
        deflate = zlib.compressobj()
        return lambda data: deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)
    if asked == "zstd-stream":  # asked for by clients that have the library
        import zstandard

        stream = zstandard.ZstdCompressor().compressobj()
        return lambda data: stream.compress(data) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return None
