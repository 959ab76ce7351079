"""A local Discord: gateway and REST API that the unmodified discord.py speaks to; it fails as it is told to.

`python -m tests.servers.discord --port 9000 --log FILE` runs it as a process of its own; `POST /control/say` with the arguments of
`DiscordPlatform.say` as JSON, and so on, are what people do there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from tests.servers import discord_interactions, discord_methods  # noqa: F401  # they add their routes
from tests.servers import discord_wire as wire
from tests.servers.chat import QuietServer, Resettable, listening
from tests.servers.discord_faults import Call, Faults
from tests.servers.discord_people import People
from tests.servers.discord_routes import ROUTES, Asked, Handler
from tests.servers.discord_state import Channel, DiscordError, Interaction, Json, Message

_API = "/api/v10"
_CONTROLS = "say direct post start_thread edit unfurl remove react typing change delete join leave press choose submit command context"
_CONTROLS += " drop close reconnect invalidate fail"
_VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_OPEN = ("respond", "follow_up", "edit_followup", "get_followup", "delete_followup", "gateway")  # asked for without a token


@dataclass(eq=False)
class DiscordPlatform(People, Faults):
    """`async with DiscordPlatform() as server, pointed_at(server):` serves the clients that discord.py makes meanwhile."""

    port: int = 0

    async def __aenter__(self) -> Self:
        listener = listening(self.port)
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._file = self.log.open("a", encoding="utf-8") if self.log else None
        options: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "timeout_graceful_shutdown": 2}
        options |= {"ws": "websockets-sansio", "ws_ping_interval": None, "ws_per_message_deflate": False}
        self._server = QuietServer(uvicorn.Config(self._app(), http=Resettable, **options))
        self._serving = asyncio.create_task(self._server.serve([listener]))
        return self  # connections wait in the listener until it accepts

    async def __aexit__(self, *_: object) -> None:
        self.release_all()
        for one in list(self.connections):
            one.cut()
        self._server.should_exit = True
        await self._serving
        if self._file:
            self._file.close()

    def _app(self) -> Starlette:
        routes = [
            Route(_API + "/{path:path}", self._api, methods=_VERBS),
            Route("/attachments/{id}/{name}", self._attachment, methods=["GET"]),
            Route("/control/{verb}", self._control, methods=["POST"]),
            Route("/log", self._everything, methods=["GET"]),
            WebSocketRoute("/gateway", self.connect),
            WebSocketRoute("/gateway/", self.connect),
        ]
        return Starlette(routes=routes)

    async def _api(self, request: Request) -> Response:
        found = _route(request)
        if found is None:
            return JSONResponse({"message": "404: Not Found", "code": 0}, 404)
        method, at, handler = found
        try:
            body, files = await _body(request)
        except ValueError:
            return JSONResponse({"message": "The request body contains invalid JSON.", "code": 50109}, 400)
        asked = Asked(at, body, dict(request.query_params), files)
        call = Call(method, at, body, asked.query, self.clock(), [one[1] for one in files])
        self.calls.append(call)
        self.changed()
        await self.wait_at(method, after=False)
        fault, (headers, wait) = self.next_fault(method), self.spend(call)
        if refused := self.refused(request, call, fault, headers, wait):
            self.changed()
            return refused
        status, call.answer = self._answer(request, method, handler, asked)
        call.outcome = status
        self.invalid += status in (401, 403)
        await self.wait_at(method, after=True)
        self.changed()
        if fault and fault.kind == "reset_after_accept":
            request.state.connection.reset()
        elif fault:
            return PlainTextResponse("upstream connect error", int(fault.kind[:3]), headers=headers)
        return Response(status_code=204, headers=headers) if status == 204 else JSONResponse(call.answer, status, headers=headers)

    def _answer(self, request: Request, method: str, handler: Handler, asked: Asked) -> tuple[int, Any]:
        if method not in _OPEN and request.headers.get("authorization") != f"Bot {self.token}":
            return 401, {"message": "401: Unauthorized", "code": 0}
        try:
            said = handler(self, asked)
        except DiscordError as error:
            return error.status, error.body
        if isinstance(said, tuple):
            return said
        return (204, None) if said is None else (200, said)

    async def _attachment(self, request: Request) -> Response:
        held = self.files.get(request.path_params["id"])
        return Response(held) if held is not None else PlainTextResponse("Not Found", 404)

    async def _control(self, request: Request) -> Response:
        """What a verb returned, as JSON; with `wait`, an interaction is responded to before it is answered, in so many seconds."""
        if (verb := request.path_params["verb"]) not in _CONTROLS.split():
            return JSONResponse({"error": "no such verb"}, 404)
        given = await request.json()
        wait = given.pop("wait", None)
        done = getattr(self, verb)(**given)
        said = await done if asyncio.iscoroutine(done) else done
        if isinstance(said, Interaction) and wait:
            await self.until(lambda: said.response, wait)
        return JSONResponse(self._shown(said))

    def _shown(self, said: Any) -> Json:
        if isinstance(said, Message):
            return wire.message(self, said)
        if isinstance(said, Channel):
            return wire.channel(self, said)
        return {"id": str(said.id), "response": said.response} if isinstance(said, Interaction) else {}

    async def _everything(self, _request: Request) -> Response:
        return JSONResponse([wire.message(self, one) for one in self.by_bot()])


def _route(request: Request) -> tuple[str, dict[str, Any], Handler] | None:
    # By what was sent, for an emoji may hold a slash.
    path = request.scope["raw_path"].decode().partition("?")[0].removeprefix(_API)
    for verb, pattern, name, handler in ROUTES:
        if verb == request.method and (found := pattern.fullmatch(path)):
            at = {key: unquote(value) for key, value in found.groupdict().items()}
            return name, {key: int(value) if value.isdigit() else value for key, value in at.items()}, handler
    return None


async def _body(request: Request) -> tuple[Any, list[tuple[str, str, str, bytes]]]:
    body, kind = await request.body(), request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        return json.loads(body or b"{}"), []
    payload, files = {}, []
    for part in message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body).get_payload():
        name = re.search(r'name="([^"]*)"', str(part["Content-Disposition"]))
        assert name and not isinstance(part, str)
        held = part.get_payload(decode=True)
        assert isinstance(held, bytes)
        if name[1] == "payload_json":
            payload = json.loads(held)
        else:
            files.append((name[1], part.get_filename() or "file", part.get_content_type(), held))
    return payload, files


@contextmanager
def pointed_at(server: DiscordPlatform | str) -> Iterator[None]:
    """discord.py speaks to this server, or to the one at a URL: it has no setting for it."""
    import discord
    import yarl
    from discord.gateway import DiscordWebSocket
    from discord.http import Route as ClientRoute

    assert discord.__version__.startswith("2."), "the names below are its own"
    url = server if isinstance(server, str) else server.url
    before = ClientRoute.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    ClientRoute.BASE = url + _API
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url.replace("http", "ws", 1) + "/gateway")
    try:
        yield
    finally:
        ClientRoute.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before


def _parsed() -> DiscordPlatform:
    parser = argparse.ArgumentParser(description="A local Discord.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reset", type=float, default=0.0)
    parser.add_argument("--limit", type=float, default=0.0)
    parser.add_argument("--token", default=DiscordPlatform.token)
    parser.add_argument("--nonce-seconds", type=float, default=DiscordPlatform.nonce_seconds, help="how long a nonce is known again")
    parser.add_argument("--log", type=Path, help="append what becomes of every message of the bot as a line of JSON")
    return DiscordPlatform(**vars(parser.parse_args()))


async def _main(server: DiscordPlatform) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        print(server.url, flush=True)  # noqa: T201  # whoever started it waits for this line
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_main(_parsed()))
