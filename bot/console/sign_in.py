"""The pages on which somebody signs in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from bot.console.auth import (
    console_of,
    is_private,
    member_of,
    open_session,
    session_token,
    set_cookie,
)
from bot.console.pages import page, redirect
from bot.console.parts import Console
from core.staff.actions import NotAllowedError

_NOT_PRIVATE = (
    "Over plain http anybody on the way could read along, so nobody signs in here. Open the console over https, or on the machine "
    "itself as http://127.0.0.1:8080/console/."
)
Text = Annotated[str, Form(max_length=500)]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the pages that need no session."""

    @router.get("/sign-in")
    async def sign_in(request: Request, next: Annotated[str, Query(max_length=500)] = "") -> Response:  # the name in the address
        return redirect(request, "/") if member_of(request) else _page(request, next=next)

    @router.post("/sign-in")
    async def with_password(request: Request, name: Text, password: Text, next: Text = "") -> Response:
        if not is_private(request):
            return _page(request)
        try:
            session = await console_of(request).sign_in.by_password(name, password, _address(request))
        except NotAllowedError as error:
            return _page(request, str(error), next=next, name=name)
        return _welcome(request, session, next)

    @router.get("/sign-in/link")
    async def invited(request: Request, token: Annotated[str, Query(max_length=200)] = "") -> Response:
        # Chat programs open links to show a preview of them: only the button uses this one up.
        name = await console_of(request).sign_in.invited(token)
        return page(request, "link.html", 200 if name else 404, token=token, name=name, problem=_problem(request))

    @router.post("/sign-in/link")
    async def with_link(request: Request, token: Text) -> Response:
        if not is_private(request):
            return _page(request)
        try:
            session = await console_of(request).sign_in.by_link(token, _address(request))
        except NotAllowedError as error:
            return _page(request, str(error))
        return _welcome(request, session, "")

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        if member := member_of(request):
            await console_of(request).sign_in.end(session_token(request), member)
        response = redirect(request, "/sign-in")
        set_cookie(request, response, "session", "")
        return response


def _page(request: Request, problem: str = "", *, next: str = "", name: str = "") -> Response:  # the name in the address
    takes_passwords = console_of(request).sign_in.takes_passwords and not _problem(request)
    said = _problem(request) or problem
    status = 403 if said else 200
    return page(request, "sign_in.html", status, problem=said, next=next, name=name, takes_passwords=takes_passwords)


def _welcome(request: Request, session: str, next: str) -> Response:
    response = redirect(request, _within(next))
    open_session(request, response, session)
    return response


def _within(path: str) -> str:
    """Where to go on: within the console only, whatever an address says."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isascii() and path.isprintable() else "/"


def _problem(request: Request) -> str:
    return "" if is_private(request) else _NOT_PRIVATE


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
