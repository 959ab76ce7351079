"""The page about oneself: role, workspaces, password."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from bot.console.auth import at_least, console_of, open_session
from bot.console.pages import flash, page, redirect
from bot.console.parts import Console
from core.members import Member, Role
from core.staff.passwords import LEAST_CHARS, MOST_CHARS

Own = Annotated[Member, Depends(at_least(Role.VIEWER))]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the page and its form."""

    @router.get("/account")
    async def account(request: Request, member: Own) -> Response:
        sign_in = console_of(request).sign_in
        has_password = bool(await sign_in.members.password(member.member_id))
        limits = {"least": LEAST_CHARS, "most": MOST_CHARS}
        return page(request, "account.html", takes_passwords=sign_in.takes_passwords, has_password=has_password, **limits)

    @router.post("/account/password")
    async def set_password(request: Request, member: Own, password: Annotated[str, Form()]) -> Response:
        session = await console_of(request).sign_in.set_password(member, password)
        response = redirect(request, "/account")
        open_session(request, response, session)
        flash(request, response, "Your password is set. Everybody else who was signed in as you is signed out.", session=session)
        return response
