"""The page of questions that got no answer, grouped by what they mean."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from bot.console.auth import at_least, console_of
from bot.console.pages import page
from bot.console.parts import Console
from core.members import Member, Role

Agent = Annotated[Member, Depends(at_least(Role.AGENT))]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the page."""

    @router.get("/knowledge/unanswered")
    async def unanswered(request: Request, member: Agent) -> Response:
        library = console_of(request).library
        groups = await library.unanswered.groups(member.scope)
        return page(request, "unanswered.html", groups=groups, can_find=library.can_find)
