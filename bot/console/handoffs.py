"""The pages of customers who wait for a person: who they are, what was said, and what can be done; the same as in chat."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from bot.console.auth import at_least, console_of, not_here
from bot.console.pages import page, redirect
from bot.console.parts import Console
from core.domain import utc_now
from core.drafts import MAX_WORDS_CHARS
from core.handoff import Handoff, Helper, State, word_key
from core.members import Member, Role

_AT_ONCE = 100
WHY = {
    "asked": "asked for a person",
    "low_confidence": "no reliable answer",
    "angry": "no reliable answer, angry",
    "policy": "not for the bot",
    "error": "something went wrong",
    "repeated_thumbs_down": "answers did not help",
}
Viewer = Annotated[Member, Depends(at_least(Role.VIEWER))]
Agent = Annotated[Member, Depends(at_least(Role.AGENT))]
Words = Annotated[str, Form(max_length=MAX_WORDS_CHARS)]
Once = Annotated[str, Form(max_length=64)]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the list, the page of each, and its forms."""

    @router.get("/handoffs")
    async def handoffs(request: Request, member: Viewer, closed: bool = False) -> Response:
        return page(request, "handoffs.html", **await _listed(request, member, closed))

    @router.get("/handoffs/rows")
    async def rows(request: Request, member: Viewer, closed: bool = False) -> Response:
        return page(request, "handoffs_rows.html", **await _listed(request, member, closed))

    @router.get("/handoffs/{handoff_id}")
    async def handoff(request: Request, member: Viewer, handoff_id: str) -> Response:
        shown = await _shown(request, member, handoff_id)
        return page(request, "handoff.html", once=secrets.token_urlsafe(16), may_act=member.role >= Role.AGENT, **shown)

    @router.get("/handoffs/{handoff_id}/thread")
    async def thread(request: Request, member: Viewer, handoff_id: str) -> Response:
        return page(request, "handoff_thread.html", **await _shown(request, member, handoff_id))

    _add_forms(router)


def _add_forms(router: APIRouter) -> None:
    @router.post("/handoffs/{handoff_id}/claim")
    async def claim(request: Request, member: Agent, handoff_id: str) -> Response:
        found = await _known(request, member, handoff_id)
        problem = await console_of(request).handoffs.claim(found, _helper(member))
        return redirect(request, f"/handoffs/{found.handoff_id}", problem or "This customer is yours.", ok=not problem)

    @router.post("/handoffs/{handoff_id}/answer")
    async def answer(request: Request, member: Agent, handoff_id: str, text: Words, once: Once) -> Response:
        """`once` comes from the page: a form that is sent twice says it once."""
        found = await _known(request, member, handoff_id)
        key = word_key("console", found.handoff_id, f"{member.member_id}/{once}")
        problem = await console_of(request).handoffs.write(found, _helper(member), text, key)
        return redirect(request, f"/handoffs/{found.handoff_id}", problem, ok=not problem)

    @router.post("/handoffs/{handoff_id}/return")
    async def give_back(request: Request, member: Agent, handoff_id: str) -> Response:
        return await _close(request, member, handoff_id, State.RETURNED)

    @router.post("/handoffs/{handoff_id}/solve")
    async def solve(request: Request, member: Agent, handoff_id: str) -> Response:
        return await _close(request, member, handoff_id, State.SOLVED)


async def _close(request: Request, member: Member, handoff_id: str, state: State) -> Response:
    found = await _known(request, member, handoff_id)
    return redirect(request, "/handoffs", await console_of(request).handoffs.close(found, _helper(member), state))


async def _listed(request: Request, member: Member, closed: bool) -> dict[str, Any]:
    found = await console_of(request).handoffs.book.page(member.scope, _AT_ONCE, closed=closed)
    return {"handoffs": found, "closed": closed, "why": WHY, "age": _age}


async def _shown(request: Request, member: Member, handoff_id: str) -> dict[str, Any]:
    handoff, book = await _known(request, member, handoff_id), console_of(request).handoffs.book
    packet, lines = await book.packet(handoff.handoff_id), await book.lines(handoff.handoff_id)
    return {"handoff": handoff, "packet": packet, "lines": lines, "why": WHY, "age": _age}


async def _known(request: Request, member: Member, handoff_id: str) -> Handoff:
    """The hand-off of an id in the address. Raises 404."""
    found = await console_of(request).handoffs.book.handoff(handoff_id, member.scope)
    if found is None:
        raise await not_here(request, f"handoff:{handoff_id}")
    return found


def _helper(member: Member) -> Helper:
    return Helper(member.actor, member.name)


def _age(since: datetime) -> str:
    """Return how long ago something was, in one unit."""
    minutes = int((utc_now() - since).total_seconds() // 60)
    if minutes < 60:
        return f"{max(minutes, 0)} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
