"""The page of published versions: publish, see how far it is, go back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from bot.console.auth import at_least, console_of
from bot.console.pages import page, redirect
from bot.console.parts import Console
from core.errors import NotAllowedError
from core.members import Member, Role

Reader = Annotated[Member, Depends(at_least(Role.VIEWER))]
Editor = Annotated[Member, Depends(at_least(Role.EDITOR))]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the page and its forms."""

    @router.get("/knowledge/versions")
    async def versions(request: Request, member: Reader) -> Response:
        library = console_of(request).library
        name = await library.served()
        return page(
            request,
            "versions.html",
            name=name,
            releases=await library.store.releases(name),
            is_changed=await library.is_changed(),
            stage=library.releases.stage,
            can_publish=library.releases.can_publish,
            may_edit=member.role >= Role.EDITOR,
        )

    @router.get("/knowledge/versions.json")
    async def progress(request: Request, _member: Reader) -> dict[str, Any]:
        return console_of(request).library.releases.stage._asdict()

    @router.post("/knowledge/publish")
    async def publish(request: Request, member: Editor) -> Response:
        library = console_of(request).library
        try:
            await library.releases.publish(member, await library.served())
        except NotAllowedError as error:
            return redirect(request, "/knowledge/versions", str(error), ok=False)
        return redirect(request, "/knowledge/versions")

    @router.post("/knowledge/rollback")
    async def roll_back(request: Request, member: Editor, version: Annotated[str, Form(max_length=100)]) -> Response:
        library = console_of(request).library
        try:
            await library.releases.roll_back(member, await library.served(), version)
        except NotAllowedError as error:
            return redirect(request, "/knowledge/versions", str(error), ok=False)
        return redirect(request, "/knowledge/versions", f"Version {version} is served in two seconds, by every process.")
