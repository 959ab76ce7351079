"""The page of the members: who may sign in, and what they may do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from bot.console.auth import at_least, console_of, not_here
from bot.console.pages import page, redirect
from bot.console.parts import Console
from core.members import Member, Role
from core.staff.actions import NotAllowedError
from core.staff.membership import MOST_NAME, scope_of

Admin = Annotated[Member, Depends(at_least(Role.ADMIN, everywhere=True))]
Name = Annotated[str, Form(max_length=MOST_NAME)]
Workspaces = Annotated[str, Form(max_length=2000)]
Asked = Annotated[str, Form(pattern="^(viewer|agent|editor|admin)$")]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the page and its forms."""

    @router.get("/members")
    async def members(request: Request, _member: Admin) -> Response:
        found = await console_of(request).membership.members.all()
        return page(request, "members.html", members=found, roles=list(Role))

    @router.post("/members")
    async def add(request: Request, member: Admin, name: Name, role: Asked, workspaces: Workspaces = "") -> Response:
        membership = console_of(request).membership
        try:
            if known := await membership.members.named(name):
                return redirect(request, "/members", f"{known.name} is a member already.", ok=False)
            return await _link(request, await membership.add(member, name, Role[role.upper()], scope_of(workspaces)))
        except NotAllowedError as error:
            return redirect(request, "/members", str(error), ok=False)

    _add_changes(router)


def _add_changes(router: APIRouter) -> None:
    @router.post("/members/{member_id}")
    async def change(request: Request, member: Admin, member_id: str, role: Asked, workspaces: Workspaces = "") -> Response:
        await _known(request, member_id)
        try:
            changed = await console_of(request).membership.change(member, member_id, Role[role.upper()], scope_of(workspaces))
        except NotAllowedError as error:
            return redirect(request, "/members", str(error), ok=False)
        return redirect(request, "/members", f"{changed.name} is {changed.role.name.lower()} from the next click on.")

    @router.post("/members/{member_id}/link")
    async def link(request: Request, member: Admin, member_id: str) -> Response:
        await _known(request, member_id)
        return await _link(request, await console_of(request).membership.invite(member, member_id))

    @router.get("/members/{member_id}/remove")
    async def ask(request: Request, _member: Admin, member_id: str) -> Response:
        return page(request, "member_remove.html", other=await _known(request, member_id))

    @router.post("/members/{member_id}/remove")
    async def remove(request: Request, member: Admin, member_id: str) -> Response:
        await _known(request, member_id)
        try:
            gone = await console_of(request).membership.remove(member, member_id)
        except NotAllowedError as error:
            return redirect(request, "/members", str(error), ok=False)
        return redirect(request, "/members", f"{gone.name} is no member any more.")


async def _known(request: Request, member_id: str) -> Member:
    """The member of an id in the address. Raises 404."""
    found = await console_of(request).membership.members.member(member_id)
    if found is None:
        raise await not_here(request, f"member:{member_id}")
    return found


async def _link(request: Request, member: Member) -> Response:
    """A page and not a redirect: the link is told once, and kept nowhere."""
    console = console_of(request)
    base = console.public_url or f"{request.scope['scheme']}://{request.headers.get('host', '')}"
    link = f"{base.rstrip('/')}/console/sign-in/link?token={await console.sign_in.link_for(member)}"
    return page(request, "member_link.html", other=member, link=link)
