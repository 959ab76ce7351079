"""The page of the models: versions, who serves what, and changing it."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from bot.console import learning
from bot.console.auth import at_least, console_of
from bot.console.pages import page, redirect
from bot.console.parts import Console
from core.members import EVERYWHERE, Member, Role
from core.staff.commands import Caller, Order
from core.staff.rights import Person

PLATFORM = "console"
_PATIENCE = 8.0  # seconds; a model of some GB takes minutes, and a browser should not wait for it
_UNDER_WAY = "This takes a while: the model is being loaded and probed. What comes of it is told below under “Last changes”."
Reader = Annotated[Member, Depends(at_least(Role.VIEWER))]
Admin = Annotated[Member, Depends(learning.CHANGES)]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the page and its forms."""
    under_way: set[asyncio.Task[Response]] = set()

    @router.get("/models")
    async def models(request: Request, member: Reader) -> Response:
        console = console_of(request)
        found, names = await console.models.overview(), await console.membership.members.names()
        runs = learning.rows(await console.learning.runs())
        return page(request, "models.html", found=found, runs=runs, names=names, may_change=learning.CHANGES.allows(member))

    @router.get("/models/order")
    async def ask(
        request: Request, member: Admin, name: Annotated[str, Query(max_length=20)], argument: Annotated[str, Query(max_length=300)] = ""
    ) -> Response:
        outcome = await console_of(request).commands.propose(caller_of(member), Order(name, argument))
        if not outcome.ok:
            return redirect(request, "/models", outcome.text, ok=False)
        return page(request, "model_order.html", question=outcome.text, name=name, argument=argument)

    @router.post("/models/order")
    async def carry_out(
        request: Request, member: Admin, name: Annotated[str, Form(max_length=20)], argument: Annotated[str, Form(max_length=300)] = ""
    ) -> Response:
        async def work() -> Response:
            outcome = await console_of(request).commands.carry_out(caller_of(member), Order(name, argument))
            return redirect(request, "/models", outcome.text, ok=outcome.ok)

        task = asyncio.create_task(work())
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        done, _ = await asyncio.wait([task], timeout=_PATIENCE)
        return task.result() if done else redirect(request, "/models", _UNDER_WAY)


def caller_of(member: Member) -> Caller:
    """Return who gives a command; the group is the role, where it is for the whole installation."""
    groups = frozenset({member.role.name} if member.scope == EVERYWHERE else ())
    person = Person(member.member_id, PLATFORM, is_guest=False, is_stranger=False, is_bot=False, groups=groups)
    return Caller(person, PLATFORM, PLATFORM, known_as=member.actor)
