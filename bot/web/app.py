"""The HTTP side of the chat page: the page itself, its one streaming call, health and metrics."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp

from bot.dispatch import NotAcceptedError
from bot.live import Line
from bot.reply_document import reply_document
from bot.web.protection import BodyLimit, SameOrigin, SecurityHeaders, refusal
from core.domain import Actor, Address, InboundMessage, Passage, Reply
from core.ports import ConversationLog

_STATIC = Path(__file__).parent / "static"
_CONVERSATION_ID = re.compile(r"[\w-]{32}")
_SUGGESTIONS = 4
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the page needs besides the dialogue."""

    line: Line
    conversation_log: ConversationLog
    passage: Callable[[str], Awaitable[Passage | None]]
    suggestions: Callable[[int], Awaitable[tuple[str, ...]]]
    model: Callable[[], str]


class _ChatRequest(BaseModel):
    message: str
    conversation_id: str | None = None
    message_id: str | None = Field(None, pattern=r"^[\w-]{16,64}$")  # the same when a message is sent again


Health = Callable[[], Awaitable[dict[str, str]]]  # part -> what is wrong with it, empty when all is well
Handler = Callable[[Request], Awaitable[Response]]
_NONE: Mapping[str, Handler] = MappingProxyType({})


def build(
    page: Surroundings | None,
    health: Health,
    metrics: Callable[[], Awaitable[bytes]],
    signed: Mapping[str, Handler] = _NONE,
    pages: Mapping[str, Handler] = _NONE,
    console: ASGIApp | None = None,
) -> FastAPI:
    """Return the ASGI application: the page if there is one, health and metrics; by path, what platforms send and pages of theirs.

    `console` is mounted at /console, behind the same limits and headers.
    """
    app = FastAPI(title="Frontdesk", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(SameOrigin)
    app.add_middleware(BodyLimit)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    if page is not None or pages:
        app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    if page is not None:
        _add_page(app, page)
    _add_health(app, health, metrics)
    for path, handler in signed.items():
        app.router.add_route(path, handler, methods=["POST"])
    for path, handler in pages.items():
        app.router.add_route(path, handler, methods=["GET"])
    if console is not None:
        app.mount("/console", console, name="console")
    return app


def _add_page(app: FastAPI, surroundings: Surroundings) -> None:
    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(_STATIC / "index.html")

    @app.get("/api/welcome")
    async def welcome() -> dict[str, Any]:
        return {"suggestions": await surroundings.suggestions(_SUGGESTIONS), "model": surroundings.model()}

    @app.get("/api/passage")
    async def passage(id: str) -> dict[str, Any]:  # the name of the parameter in the address
        found = await surroundings.passage(id)
        if found is None:
            raise HTTPException(404, "This source is no longer part of the help articles.")
        return {"title": found.title, "text": found.text, "url": found.url}

    @app.post("/api/chat", response_class=EventSourceResponse)
    async def chat(asked: _ChatRequest) -> AsyncIterator[ServerSentEvent]:
        async for event in _answer(surroundings, asked):
            yield event


def _add_health(app: FastAPI, health: Health, metrics: Callable[[], Awaitable[bytes]]) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz(response: Response) -> dict[str, Any]:
        failing = await health()
        response.status_code = 503 if failing else 200
        return {"status": "failing" if failing else "ready", "failing": failing}

    @app.get("/metrics")
    async def exposition() -> Response:
        return Response(await metrics(), headers={"content-type": _METRICS_TYPE})


async def _answer(surroundings: Surroundings, asked: _ChatRequest) -> AsyncIterator[ServerSentEvent]:
    """Yield previews while the reply is written, then the reply."""
    address = await _address(surroundings.conversation_log, asked.conversation_id)
    # A visitor is known by the conversation alone; a part of its id tells them apart, and is no key to it.
    actor = Actor(f"visitor-{address.thread_id[:8]}")
    message = InboundMessage(asked.message_id or uuid.uuid4().hex, address, actor, asked.message)
    try:
        async for said in surroundings.line.say(message):
            if isinstance(said, Reply):
                yield ServerSentEvent(event="reply", data=reply_document(said) | {"conversation_id": address.thread_id})
            else:
                yield ServerSentEvent(event="token", data={"text": said})
    except NotAcceptedError as error:
        yield ServerSentEvent(event="error", data={"message": str(error)})


async def _address(log: ConversationLog, conversation_id: str | None) -> Address:
    """The conversation to go on with; an id that nobody was given starts a new one, under an id that cannot be guessed."""
    if conversation_id and _CONVERSATION_ID.fullmatch(conversation_id):
        known = Address("web", "local", "chat", conversation_id)
        if await log.history(known, limit=1):
            return known
    return Address("web", "local", "chat", secrets.token_urlsafe(24))


async def _http_error(_request: Request, error: Any) -> JSONResponse:
    return refusal(error.status_code, str(error.detail))


async def _validation_error(_request: Request, error: Any) -> JSONResponse:
    fields = ", ".join(str(detail["loc"][-1]) for detail in error.errors())
    return refusal(422, f"This needs JSON with a message; check: {fields}.")
