"""A local Slack: Web API, events over HTTP or Socket Mode, interactions, OAuth; it fails as it is told to.

`python -m tests.servers.slack --port 9000 --events-url http://127.0.0.1:9001/slack/events --log FILE` runs it as a process of its own;
`POST /control/say` with the arguments of `SlackPlatform.say` as JSON, and so on, are what people do there.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute

from tests.servers.chat import QuietServer, Resettable, listening
from tests.servers.slack_api import answer
from tests.servers.slack_faults import Call, Faults
from tests.servers.slack_people import People
from tests.servers.slack_state import Json, SlackError

_ENCODED = ("blocks", "attachments", "metadata", "view", "chunks", "prompts", "loading_messages")
_CONTROLS = "say edit unfurl remove react join stop uninstall press press_in_view command shortcut submit close open_home deliver".split()


@dataclass(eq=False)
class SlackPlatform(People, Faults):
    """`async with SlackPlatform(events_url=...) as server:` serves on `server.url`; clients use `base_url=f"{server.url}/api/"`."""

    port: int = 0
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        listener = listening(self.port)
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._file = self.log.open("a", encoding="utf-8") if self.log else None
        self._client = httpx.AsyncClient(timeout=None, trust_env=False, verify=False)
        options: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "timeout_graceful_shutdown": 2}
        options |= {"ws": "websockets-sansio", "ws_ping_interval": None}
        self._server = QuietServer(uvicorn.Config(self._app(), http=Resettable, **options))
        self._serving = asyncio.create_task(self._server.serve([listener]))
        if self.refresh_every:
            self._spawn(self.refreshing())
        return self  # connections wait in the listener until it accepts

    async def __aexit__(self, *_: object) -> None:
        self.release_all()
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._server.should_exit = True
        await self._serving
        if self._client:
            await self._client.aclose()
        if self._file:
            self._file.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _app(self) -> Starlette:
        routes = [
            Route("/api/{method}", self._api, methods=["GET", "POST"]),
            Route("/response/{name}", self._response, methods=["POST"]),
            Route("/oauth/v2/authorize", self._authorize, methods=["GET"]),
            Route("/control/{verb}", self._control, methods=["POST"]),
            Route("/log", self._everything, methods=["GET"]),
            WebSocketRoute("/link", self.connect),
        ]
        return Starlette(routes=routes)

    async def _api(self, request: Request) -> Response:
        method = request.path_params["method"]
        try:
            token, arguments = await _asked(request)
        except ValueError:
            return JSONResponse({"ok": False, "error": "json_not_object"})
        call = Call(method, arguments, token, self.clock())
        self.calls.append(call)
        self.changed()
        await self.wait_at(method, after=False)
        fault = self.next_fault(method)
        if refused := self.refused(request, call, fault):
            return refused
        said = answer(self, method, arguments, token)
        call.outcome, call.answer = said.get("error", "ok"), said
        self._tell_own()
        await self.wait_at(method, after=True)
        self.changed()
        if fault and fault.kind == "500_after_accept":
            return PlainTextResponse("Internal Server Error", 500)
        if fault:
            request.state.connection.reset()
        if request.headers.get("content-type") == "application/json":
            said |= {"warning": "missing_charset"}
            said["response_metadata"] = said.get("response_metadata", {}) | {"warnings": ["missing_charset"]}
        return JSONResponse(said, headers={"x-oauth-scopes": self.scopes})

    def _tell_own(self) -> None:
        while self._echoes:
            self._spawn(self.deliver(self._echoes.pop(0)))

    async def _response(self, request: Request) -> Response:
        try:
            status, said = self.respond(request.path_params["name"], await request.json())
        except SlackError as error:
            status, said = 400, error.error
        self._tell_own()
        return PlainTextResponse(said) if status == 200 else JSONResponse({"ok": False, "error": said}, status)

    async def _authorize(self, request: Request) -> Response:
        """Somebody says yes at once; `team` and `user` may choose where and who."""
        asked = request.query_params
        if asked.get("client_id") != self.client_id:
            return PlainTextResponse("invalid_client_id", 400)
        code = self.number("code-")
        redirect = asked.get("redirect_uri", "")
        self.codes[code] = {"redirect_uri": redirect, "team": asked.get("team", self.team_id), "user": asked.get("user", "U0ANN")}
        return RedirectResponse(f"{redirect}?{urlencode({'code': code, 'state': asked.get('state', '')})}", 302)

    async def _control(self, request: Request) -> Response:
        if (verb := request.path_params["verb"]) not in _CONTROLS:
            return JSONResponse({"error": "no such verb"}, 404)
        said = await getattr(self, verb)(**await request.json())
        answers = getattr(said, "answers", [said] if said else [])
        return JSONResponse({"ts": said if isinstance(said, str) else None, "answers": [[one.status, one.body] for one in answers]})

    async def _everything(self, _request: Request) -> Response:
        return JSONResponse([self.wire(one, metadata=True) | {"channel": one.channel} for one in self.by_bot()])


async def _asked(request: Request) -> tuple[str | None, Json]:
    """The token and the arguments: of the query, a form or JSON, which takes no token."""
    arguments: Json = dict(request.query_params)
    body = (await request.body()).decode()
    if request.headers.get("content-type", "").startswith("application/json"):
        if not isinstance(given := json.loads(body or "{}"), dict):
            raise ValueError("no object")
        given.pop("token", None)
    else:
        given = dict(parse_qsl(body, keep_blank_values=True))
    arguments |= given
    for name in _ENCODED:
        if isinstance(arguments.get(name), str) and arguments[name][:1] in ("[", "{"):
            with suppress(ValueError):  # then the method says what it thinks of it
                arguments[name] = json.loads(arguments[name])
    token = arguments.pop("token", None)
    scheme, _, held = request.headers.get("authorization", "").partition(" ")
    if scheme == "Bearer":
        token = held
    elif scheme == "Basic":
        arguments["client_id"], _, arguments["client_secret"] = base64.b64decode(held).decode().partition(":")
    return token, arguments


def _parsed() -> SlackPlatform:
    parser = argparse.ArgumentParser(description="A local Slack.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reset", type=float, default=0.0)
    parser.add_argument("--limit", type=float, default=0.0)
    parser.add_argument("--events-url", default="")
    parser.add_argument("--retry-pause", type=float, default=0.0, help="seconds between deliveries of an event until it is accepted")
    parser.add_argument("--refresh-every", type=float, help="seconds after which the oldest connection of Socket Mode is renewed")
    parser.add_argument("--echo-own", action="store_true", help="tell the app of its own messages")
    parser.add_argument("--transport", choices=("http", "socket"), default="http")
    parser.add_argument("--log", type=Path, help="append what becomes of every message of the bot as a line of JSON")
    return SlackPlatform(**vars(parser.parse_args()))


async def _main(server: SlackPlatform) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        print(server.url, flush=True)  # noqa: T201  # whoever started it waits for this line
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_main(_parsed()))
