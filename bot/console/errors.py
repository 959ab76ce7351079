"""What people see when something is refused or breaks: a page, or JSON for scripts; never the text of an exception."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.console.auth import PREFIX, SAFE_METHODS, SignInNeededError
from bot.console.pages import headers, page
from core.errors import FrontdeskError, OutOfReachError
from core.staff.actions import NotAllowedError

logger = logging.getLogger(__name__)

_TITLES = {401: "Please sign in", 403: "Not allowed", 404: "Not found", 405: "Not possible here", 422: "Something is missing"}
_CODES = {401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 422: "invalid"}
_BROKEN = "Something went wrong on our side. It is in the log. Please try again, or tell whoever runs this."
_AWAY = "The database does not answer at the moment. Please try again in a minute."


def add_handlers(app: FastAPI) -> None:
    """Have every error of the console become a page."""
    app.add_exception_handler(SignInNeededError, _sign_in_needed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(NotAllowedError, _not_allowed)
    app.add_exception_handler(FrontdeskError, _failed)


class Shield:
    """Adds the headers of the console to every response, and turns what nobody caught into a page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, started = Request(scope, receive), False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                known = {name.lower() for name, _ in message["headers"]}
                added = [(name.encode(), value.encode()) for name, value in headers(request).items()]
                message["headers"] = [*message["headers"], *(one for one in added if one[0] not in known)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:  # the one place where a page that broke becomes one that says so
            logger.exception("%s %s failed", request.method, request.scope["path"])
            if started:
                raise
            await refusal(request, 500, _BROKEN)(scope, receive, send_with_headers)


def refusal(request: Request, status: int, message: str) -> Response:
    """Return an error as whoever asked can read it."""
    if _wants_page(request):
        return page(request, "error.html", status, title=_TITLES.get(status, "Something went wrong"), message=message)
    return JSONResponse({"error": {"code": _CODES.get(status, "error"), "message": message}}, status)


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


async def _sign_in_needed(request: Request, _error: Any) -> Response:
    if not _wants_page(request):
        return refusal(request, 401, "Nobody is signed in, or the session is over.")
    wanted = request.scope["path"].removeprefix(PREFIX) if request.method in SAFE_METHODS else "/"
    return RedirectResponse(f"{PREFIX}/sign-in" + (f"?next={quote(wanted)}" if wanted != "/" else ""), 303)


async def _http_error(request: Request, error: Any) -> Response:
    detail = error.detail if error.status_code in (401, 403, 422) or error.detail != "Not Found" else "There is no such page."
    return refusal(request, error.status_code, str(detail))


async def _invalid(request: Request, error: Any) -> Response:
    fields = ", ".join(dict.fromkeys(str(detail["loc"][-1]) for detail in error.errors()))
    return refusal(request, 422, f"Please check: {fields}.")


async def _not_allowed(request: Request, error: Any) -> Response:
    return refusal(request, 403, str(error))  # made to be read by whoever asked


async def _failed(request: Request, error: Any) -> Response:
    logger.error("%s %s failed: %s", request.method, request.scope["path"], error)
    return refusal(request, 503, _AWAY) if isinstance(error, OutOfReachError) else refusal(request, 500, _BROKEN)
