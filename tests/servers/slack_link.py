"""Socket Mode of the local Slack: connections, envelopes, acknowledgements, and connections that are told to go."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.servers.slack_state import Json, Workspace

MOST_LINKS = 10
_DEBUG = {"host": "applink-local", "build_number": 1, "approximate_connection_time": 18060}


@dataclass(eq=False)
class Link:
    """One connection of the app."""

    socket: WebSocket
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: dict[str, asyncio.Future[Json | None]] = field(default_factory=dict)

    async def listen(self) -> None:
        """Take acknowledgements until the app goes."""
        try:
            while True:
                said = json.loads(await self.socket.receive_text())
                waiting = self._asked.pop(said.get("envelope_id", ""), None)
                if waiting and not waiting.done():
                    waiting.set_result(said)
        except WebSocketDisconnect:
            pass
        finally:
            self.closed.set()
            for waiting in self._asked.values():
                if not waiting.done():
                    waiting.set_result(None)

    async def ask(self, envelope: Json, seconds: float) -> Json | str:
        """The acknowledgement, or why there is none."""
        self._asked[envelope["envelope_id"]] = waiting = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await self.socket.send_json(envelope)
                return await waiting or "connection_closed"
        except TimeoutError:
            return "timeout"
        except (WebSocketDisconnect, RuntimeError):  # it went while we were writing
            return "connection_closed"
        finally:
            self._asked.pop(envelope["envelope_id"], None)

    async def disconnect(self, reason: str, close: bool = True) -> None:
        """Tell it to go, and go."""
        try:
            await self.socket.send_json({"type": "disconnect", "reason": reason, "debug_info": _DEBUG})
            if close:
                await self.socket.close()
        except (WebSocketDisconnect, RuntimeError):
            pass  # it has gone itself


@dataclass(eq=False)
class Links(Workspace):
    """The connections of the app, oldest first; each envelope goes to one of them, in turn."""

    links: list[Link] = field(default_factory=list)
    envelopes: list[Json] = field(default_factory=list)  # everything sent, in order
    ack_seconds: float = 30.0  # Slack waits 3
    retries: int = 3  # of an event that is not acknowledged
    connect_seconds: float = 30.0  # how long an event waits for a connection
    warning_seconds: float = 0.2  # between the warning of a connection and its end
    refresh_every: float | None = None
    _turn: int = 0

    async def connect(self, socket: WebSocket) -> None:
        """A client opens a connection: a ticket is good once, and ten connections are the most."""
        ticket = socket.query_params.get("ticket", "")
        if ticket not in self.tickets:
            await socket.close()  # before accepting: the handshake is answered with 403
            return
        self.tickets.remove(ticket)
        await socket.accept()
        link = Link(socket)
        if len(self.links) >= MOST_LINKS:
            await link.disconnect("too_many_websockets")
            return
        hello = {"type": "hello", "num_connections": len(self.links) + 1, "debug_info": _DEBUG}
        await socket.send_json(hello | {"connection_info": {"app_id": self.app_id}})
        self.links.append(link)
        self.changed()
        try:
            await link.listen()
        finally:
            self.links.remove(link)
            self.changed()

    async def send(self, kind: str, payload: Json, retries: int, first: int = 0) -> Json | str:
        """An envelope to one connection after the other until one acknowledges it."""
        reason: str = "timeout" if first else ""
        for attempt in range(first, first + retries + 1):
            try:
                await self.until(lambda: self.links, self.connect_seconds)
            except TimeoutError:
                return "no_connection"
            self._turn += 1
            link = self.links[self._turn % len(self.links)]
            envelope: Json = {"envelope_id": self.number("envelope-"), "type": kind, "payload": payload}
            envelope["accepts_response_payload"] = kind != "events_api"
            if kind == "events_api":
                envelope |= {"retry_attempt": attempt, "retry_reason": reason}
            self.envelopes.append(envelope)
            self.changed()
            said = await link.ask(envelope, self.ack_seconds)
            if isinstance(said, dict):
                return said
            reason = said
        return reason

    async def refresh(self) -> None:
        """Renew the oldest connection: it is warned, then closed."""
        if not self.links:
            return
        link = self.links[0]
        await link.disconnect("warning", close=False)
        try:
            async with asyncio.timeout(self.warning_seconds):
                await link.closed.wait()
        except TimeoutError:
            await link.disconnect("refresh_requested")

    async def refreshing(self) -> None:
        """Renew a connection every so often; runs until it is cancelled."""
        while self.refresh_every:
            await asyncio.sleep(self.refresh_every)
            await self.refresh()
