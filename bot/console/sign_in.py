"""The pages on which somebody signs in and out."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from bot.console.auth import (
    PREFIX,
    console_of,
    cookie_name,
    is_private,
    member_of,
    open_session,
    session_token,
    set_cookie,
)
from bot.console.pages import page, redirect
from bot.console.parts import Console
from bot.console.providers import CALLBACK, LASTS, ProviderError
from core.staff.actions import NotAllowedError

logger = logging.getLogger(__name__)

_NOT_PRIVATE = (
    "Over plain http anybody on the way could read along, so nobody signs in here. Open the console over https (console.public_url says "
    "so where another server ends TLS), or on the machine itself as http://127.0.0.1:8080/console/."
)
Text = Annotated[str, Form(max_length=500)]
Next = Annotated[str, Query(max_length=500)]
Short = Annotated[str, Query(max_length=200)]
Code = Annotated[str, Query(max_length=4000)]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the pages that need no session."""

    @router.get("/sign-in")
    async def sign_in(request: Request, next: Next = "") -> Response:  # the name in the address
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
    async def invited(request: Request, token: Short = "") -> Response:
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

    _add_elsewhere(router)

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        if member := member_of(request):
            await console_of(request).sign_in.end(session_token(request), member)
        response = redirect(request, "/sign-in")
        set_cookie(request, response, "session", "")
        return response


def _add_elsewhere(router: APIRouter) -> None:
    @router.get("/sign-in/elsewhere")
    async def elsewhere(request: Request, next: Next = "") -> Response:
        console = console_of(request)
        if console.provider is None or not is_private(request):
            return _page(request)
        try:
            await console.sign_in.may_start(_address(request))
            challenge, browser = await console.challenges.begin(_within(next))
            response = RedirectResponse(await console.provider.address(console.public_url.rstrip("/") + PREFIX + CALLBACK, challenge), 303)
        except ProviderError as error:
            return _page(request, str(await _failed(console, error)))
        except NotAllowedError as error:
            return _page(request, str(error))
        set_cookie(request, response, "state", browser, int(LASTS.total_seconds()))
        return response

    @router.get(CALLBACK)
    async def callback(request: Request, state: Short = "", code: Code = "", iss: Code = "") -> Response:
        console = console_of(request)
        try:
            session, next = await _redeemed(request, console, state, code, iss)
            response = _welcome(request, session, next)
        except NotAllowedError as error:
            response = _page(request, str(error))
        set_cookie(request, response, "state", "")
        return response


async def _redeemed(request: Request, console: Console, state: str, code: str, issuer: str) -> tuple[str, str]:
    """The token of a new session, and where to go on. Raises `NotAllowedError`."""
    challenge = await console.challenges.redeem(state, request.cookies.get(cookie_name(request, "state"), ""))
    if challenge is None or console.provider is None:
        raise await console.sign_in.failed("state")
    if not code or issuer not in ("", console.provider.issuer):
        raise await console.sign_in.failed("declined" if not code else "issuer")
    try:
        claimed = await console.provider.claimed(console.public_url.rstrip("/") + PREFIX + CALLBACK, challenge, code)
    except ProviderError as error:
        raise await _failed(console, error) from error
    return await console.sign_in.by_identity(claimed.identity, claimed.email), challenge.next


async def _failed(console: Console, error: ProviderError) -> NotAllowedError:
    logger.warning("signing in elsewhere failed: %s", error)
    return await console.sign_in.failed("provider")


def _page(request: Request, problem: str = "", *, next: str = "", name: str = "") -> Response:  # the name in the address
    takes_passwords = console_of(request).sign_in.takes_passwords and not _problem(request)
    said = _problem(request) or problem
    status = 403 if said else 200
    provider = None if _problem(request) else console_of(request).provider
    where = {"provider": provider.name if provider else "", "next": next, "name": name}
    return page(request, "sign_in.html", status, problem=said, takes_passwords=takes_passwords, **where)


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
