"""A local OpenAI-compatible server over real sockets, which says what a script tells it and fails as one."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from tests.servers.chat import QuietServer, Resettable, listening

ANSWER = "You pay by card. [1]"
MODEL = "support"


@dataclass(frozen=True)
class Fault:
    """What meets one chat completion.

    `status`: refused with it. `break`: the connection is reset after `pieces` words; with any out, when the gate opens. `vanish`: closed
    there as if all were well. `hang`: nothing more from there until the gate opens. Others say what is wrong with the stream: `garbage`,
    `odd`, `error`, from there on; `html`, `no_usage`, `abort`, `flood`.
    """

    kind: str
    status: int = 500
    retry_after: str = ""
    pieces: int = 0


def refusal(status: int, retry_after: str = "") -> Fault:
    """A refusal with a status."""
    return Fault("status", status, retry_after)


@dataclass(eq=False)
class ModelServer:
    """`async with ModelServer() as server:` serves on `server.url`; `stop` and `start` are those of a process."""

    models: tuple[str, ...] = (MODEL,)
    answer: str = ANSWER
    faults: deque[Fault] = field(default_factory=deque)
    always: Fault | None = None
    key: str = ""  # demanded
    lists_models: bool = True
    knows_health: bool = True
    is_healthy: bool = True
    takes_stream_options: bool = True
    loads_adapters: bool = False
    adapters_under: str = "/adapters"
    port: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)  # the bodies of chat completions
    paths: list[str] = field(default_factory=list)  # of everything
    callers: set[int] = field(default_factory=set)  # the port at the other end of each connection that asked
    left: int = 0  # answers whose reader went away
    writing: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)  # what hangs waits for it
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        """Serve, on the same port as before."""
        listener = listening(self.port)
        self.port = listener.getsockname()[1]
        options: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "timeout_graceful_shutdown": 1}
        self._server = QuietServer(uvicorn.Config(self._app(), http=Resettable, **options))
        self._task = asyncio.create_task(self._server.serve([listener]))

    async def stop(self) -> None:
        """Refuse connections from now on."""
        self.gate.set()
        self._server.should_exit = True
        await self._task

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._task.done():
            await self.stop()

    async def until(self, condition: Callable[[], object], seconds: float = 20) -> None:
        """Wait until it holds of what this server saw."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def _app(self) -> FastAPI:
        app = FastAPI()
        app.add_api_route("/health", self._health)
        app.add_api_route("/v1/models", self._models)
        app.add_api_route("/v1/chat/completions", self._complete, methods=["POST"], response_model=None)
        app.add_api_route("/v1/load_lora_adapter", self._load_adapter, methods=["POST"])
        return app

    def _saw(self, request: Request) -> None:
        self.paths.append(request.url.path)
        self.callers.add(request.client.port if request.client else 0)
        self._news.set()

    async def _health(self, request: Request) -> Response:
        self._saw(request)
        return Response(status_code=404 if not self.knows_health else 200 if self.is_healthy else 503)

    async def _models(self, request: Request) -> Response:
        self._saw(request)
        if not self.lists_models:
            return JSONResponse({"detail": "Not Found"}, 404)
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})

    async def _load_adapter(self, request: Request) -> Response:
        self._saw(request)
        body = await request.json()
        if not self.loads_adapters:
            return JSONResponse({"detail": "Not Found"}, 404)
        if not body["lora_path"].startswith(f"{self.adapters_under}/"):
            return JSONResponse({"error": {"message": f"No adapter found for {body['lora_path']}", "code": 404}}, 400)
        self.models += (body["lora_name"],)
        return Response(f"Success: LoRA adapter '{body['lora_name']}' added successfully.")

    async def _complete(self, request: Request) -> Response:
        self._saw(request)
        body = await request.json()
        self.asked.append(body)
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            return _refused(401, "invalid key")
        if body["model"] not in self.models:
            return _refused(404, f"The model `{body['model']}` does not exist.")
        if "stream_options" in body and not self.takes_stream_options:
            return _refused(422, f"Unexpected fields: stream_options in {body}")
        fault = self.faults.popleft() if self.faults else self.always
        if fault and fault.kind == "status":
            return _refused(fault.status, f"cannot read {body['messages'][-1]}", fault.retry_after)
        if fault and fault.kind == "html":
            return HTMLResponse("<h1>It works!</h1>")
        return StreamingResponse(self._counted(self._written(body, fault, request.state.connection)), media_type="text/event-stream")

    async def _counted(self, events: AsyncIterator[str]) -> AsyncIterator[str]:
        self.writing += 1
        self._news.set()
        try:
            async for event in events:
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            self.left += 1
            raise
        finally:
            self.writing -= 1
            self._news.set()

    async def _written(self, body: dict[str, Any], fault: Fault | None, connection: Resettable) -> AsyncIterator[str]:
        kind = fault.kind if fault else ""
        words = [f"{word} " for word in self.answer.split(" ")]
        words = words[: body["max_tokens"]] if kind != "flood" else words * 10_000
        yield _event(role="assistant")
        for number, word in enumerate(words):
            if fault and kind in {"break", "vanish", "hang", "garbage", "odd", "error"} and number == fault.pieces:
                async for event in self._failing(kind, number, connection):
                    yield event
                return
            yield _event(content=word)
        reason = "abort" if kind == "abort" else "length" if len(words) == body["max_tokens"] else "stop"
        yield _event(reason)
        if body.get("stream_options", {}).get("include_usage") and kind != "no_usage":
            yield _line({"choices": [], "usage": {"prompt_tokens": 42, "completion_tokens": len(words), "total_tokens": 42 + len(words)}})
        yield "data: [DONE]\n\n"

    async def _failing(self, kind: str, pieces: int, connection: Resettable) -> AsyncIterator[str]:
        match kind:
            case "break":
                if pieces:  # whoever reads has them first: a reset takes back what is not read yet
                    await self.gate.wait()
                connection.reset()
            case "hang":
                await self.gate.wait()
            case "garbage":
                yield 'data: {"choices": [{"delta": {"cont\n\n'
            case "odd":
                yield _line({"choices": [{"delta": {"content": ["a", 7]}}]})
            case "error":
                yield _line({"error": {"message": "CUDA out of memory while reading the prompt", "code": 500}})


def _event(finish_reason: str | None = None, **delta: str) -> str:
    return _line({"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})


def _line(chunk: dict[str, Any]) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


def _refused(status: int, message: str, retry_after: str = "") -> Response:
    headers = {"Retry-After": retry_after} if retry_after else {}
    return JSONResponse({"error": {"message": message, "code": status}}, status, headers=headers)
