"""The page of the audit log: who did what, found again, and whether anybody has changed it since."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from bot.console.auth import at_least, console_of
from bot.console.pages import page, redirect
from bot.console.parts import Console
from core.audit import Filter
from core.members import Member, Role

_AT_ONCE = 50
_MOST_ID = 2**62
Admin = Annotated[Member, Depends(at_least(Role.ADMIN, everywhere=True))]
Word = Annotated[str, Query(max_length=200)]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the page and the check of the chain."""

    @router.get("/audit")
    async def audit(
        request: Request,
        _member: Admin,
        actor: Word = "",
        action: Word = "",
        result: Word = "",
        text: Word = "",
        before: Annotated[int | None, Query(ge=1, le=_MOST_ID)] = None,
    ) -> Response:
        console, asked = console_of(request), {"actor": actor, "action": action, "result": result, "text": text}
        found = await console.audit.entries(_AT_ONCE + 1, before, Filter(**asked))
        names = await console.membership.members.names()
        kept = {name: value for name, value in asked.items() if value}
        older = urlencode(kept | {"before": found[_AT_ONCE - 1].audit_id}) if len(found) > _AT_ONCE else ""
        newest = urlencode(kept) if before else None
        return page(request, "audit.html", entries=found[:_AT_ONCE], names=names, asked=asked, older=older, newest=newest)

    @router.post("/audit/check")
    async def check(request: Request, member: Admin) -> Response:
        console = console_of(request)
        broken = await console.audit.verify()
        await console.audit.record(member.actor, "audit.check", "audit", "done" if broken is None else "failed", entry=broken)
        if broken is None:
            return redirect(request, "/audit", "The chain holds: no entry was changed, taken out or put in.")
        return redirect(request, "/audit", f"Entry {broken} is not what was recorded, or one before it was taken out.", ok=False)
