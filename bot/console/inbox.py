"""The queue of reviews: what should be looked at, one item at a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from starlette.responses import Response

from bot.console import labels
from bot.console.auth import at_least, console_of, not_here
from bot.console.badges import counted
from bot.console.pages import page, redirect
from bot.console.parts import Console
from core.members import Member, Role
from core.reviews import Place, ReviewItem, Verdict

_ON_A_PAGE = 40
_EXCERPT = 220
_PLACE = re.compile(r"(\d{1,3})\.(\d{1,17})\.([\w-]{1,32})", re.ASCII)  # risk, microseconds, turn
EMPTY = "Nothing waits for a review."
Reading = Annotated[Member, Depends(at_least(Role.VIEWER))]
Said = Annotated[str, Form(pattern=f"^({'|'.join(Verdict)})$")]
Reviewing = Annotated[Member, Depends(at_least(Role.AGENT))]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the queue, and what can be done with an item of it."""

    @router.get("/inbox")
    async def inbox(request: Request, member: Reading) -> Response:
        desk = console_of(request).reviews
        items = await desk.waiting(member, _ON_A_PAGE + 1, _place(request.query_params.get("after", "")))
        shown, names = items[:_ON_A_PAGE], await names_of(request)
        return page(
            request,
            "inbox.html",
            rows=[row_of(item, member, names) for item in shown],
            waiting=counted(await desk.count(member)),
            next_page=_address(shown[-1].place) if len(items) > _ON_A_PAGE else "",
            may_review=member.role >= Role.AGENT,
        )

    @router.post("/inbox/next")
    async def open_next(
        request: Request, member: Reviewing, turn: Annotated[str, Form(max_length=100)] = "", backwards: Annotated[bool, Form()] = False
    ) -> Response:
        item = await console_of(request).reviews.beside(member, turn or None, backwards=backwards)
        if item is None and turn:
            return redirect(request, "/inbox", "That was the first one." if backwards else "That was the last one that nobody else has.")
        return redirect(request, address_of(item)) if item else redirect(request, "/inbox", EMPTY)

    @router.post("/inbox/{turn_id}/open")
    async def open_item(request: Request, member: Reviewing, turn_id: str) -> Response:
        held = await console_of(request).reviews.open(member, turn_id)
        if held is None:
            raise await not_here(request, f"turn:{turn_id}")
        if held.is_yours:
            return redirect(request, address_of(held.item))
        holder = (await names_of(request)).get(held.item.holder or "", "Somebody else")
        return redirect(request, "/inbox", f"{holder} looks at this one right now.", ok=False)

    @router.post("/inbox/{turn_id}/leave")
    async def leave(request: Request, member: Reviewing, turn_id: str) -> Response:
        if not await console_of(request).reviews.leave(member, turn_id):
            raise await not_here(request, f"turn:{turn_id}")
        return redirect(request, "/inbox")

    @router.post("/inbox/{turn_id}/verdict")
    async def decide(request: Request, member: Reviewing, turn_id: str, verdict: Said) -> Response:
        desk = console_of(request).reviews
        if await desk.item(member, turn_id) is None:
            raise await not_here(request, f"turn:{turn_id}")
        if not await desk.decide(member, turn_id, Verdict(verdict)):
            return redirect(request, "/inbox", "Nothing was kept: somebody else looks at this one right now.", ok=False)
        if verdict == Verdict.NEEDS_CORRECTION:
            return redirect(request, f"/corrections/new?turn={turn_id}")
        item = await desk.beside(member, turn_id) or await desk.beside(member, None)
        return redirect(request, address_of(item)) if item else redirect(request, "/inbox", "Done. Nothing else waits for a review.")


def address_of(item: ReviewItem) -> str:
    """Return where a turn is looked at."""
    return f"/conversations/{item.conversation_id}?turn={item.record.turn_id}#turn-{item.record.turn_id}"


async def names_of(request: Request) -> dict[str, str]:
    """Return the names of members by their id."""
    return {member.member_id: member.name for member in await console_of(request).sign_in.members.all()}


def row_of(item: ReviewItem, member: Member, names: dict[str, str]) -> dict[str, Any]:
    """Return a row of the queue as pages and the live stream show it."""
    address, reply = item.record.address, item.record.reply
    other = item.holder if item.holder and item.holder != member.member_id else None
    return {
        "turn_id": item.record.turn_id,
        "conversation": f"/console/conversations/{item.conversation_id}?turn={item.record.turn_id}#turn-{item.record.turn_id}",
        "risk": int(item.signs),
        "signs": labels.signs(item.signs),
        "question": excerpt(item.record.question) or "(erased)",
        "answer": excerpt(reply.text) or "(erased)",
        "place": f"{address.platform} · {address.workspace_id}",
        "confidence": labels.score(reply.confidence),
        "asked_at": item.record.asked_at,
        "holder": names.get(other, "somebody") if other else "",
    }


def excerpt(text: str) -> str:
    """Return the beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1].rstrip() + "…"


def _address(place: Place) -> str:
    microseconds = round(place.queued_at.timestamp() * 1_000_000)
    return f"{place.risk}.{microseconds}.{place.turn_id}"


def _place(given: str) -> Place | None:
    """The place behind which a page begins. Raises 422 for what is none."""
    if not given:
        return None
    found = _PLACE.fullmatch(given)
    if not found:
        raise HTTPException(422, "Please check: after.")
    return Place(int(found[1]), datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(found[2])), found[3])
