"""What is new, without reloading: a stream of events that ends with the session, with the process, and with whoever listens."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.responses import Response, StreamingResponse

from bot.console.auth import at_least, console_of, session_token
from bot.console.badges import counts
from bot.console.inbox import names_of, row_of
from bot.console.parts import Console
from core.domain import utc_now
from core.members import Member, Role
from core.reviews import Place

EVERY_SECONDS = 2.0
HEARTBEAT_SECONDS = 15.0  # proxies close what says nothing for a minute
_AT_ONCE = 20
_OVERLAP = timedelta(seconds=10)  # what another process queues now may be committed later
_CATCH_UP = timedelta(hours=1)
_MOMENT = re.compile(r"\d{1,13}", re.ASCII)  # milliseconds
After = Annotated[int, Query(ge=0, le=10**13 - 1)]
Reading = Annotated[Member, Depends(at_least(Role.VIEWER))]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the stream."""

    @router.get("/live")
    async def live(request: Request, member: Reading, after: After = 0) -> Response:
        """`after`, or the header that browsers send by themselves: what the page has heard before it lost the stream."""
        if not is_own(request):
            await console_of(request).audit.record(member.actor, "console.live", "console", "denied", reason="origin")
            raise HTTPException(403, "This request comes from another site.")
        headers = {"x-accel-buffering": "no"}  # a proxy must not collect what is said
        return StreamingResponse(
            _events(request, member, _Told(since=_since(request, after))), media_type="text/event-stream", headers=headers
        )


def is_own(request: Request) -> bool:
    """Tell whether a page of ours asks: no other site may listen."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site not in (None, "same-origin", "none"):
        return False
    try:
        return origin is None or urlsplit(origin).netloc == request.headers.get("host")
    except ValueError:
        return False


@dataclass
class _Told:
    """What somebody who listens knows already."""

    counts: dict[str, Any] = field(default_factory=dict)
    places: set[Place] = field(default_factory=set)
    since: datetime = field(default_factory=utc_now)
    at: float = 0.0


def _since(request: Request, after: int) -> datetime:
    """The moment up to which a page knows everything; nobody catches up on more than an hour."""
    last, now = request.headers.get("last-event-id", ""), utc_now()
    heard = int(last) if _MOMENT.fullmatch(last) else after
    return min(now, max(now - _CATCH_UP, datetime.fromtimestamp(heard / 1000, UTC))) if heard else now


async def _events(request: Request, member: Member, told: _Told) -> AsyncIterator[str]:
    console = console_of(request)
    while await asyncio.shield(console.sign_in.still(session_token(request))) == member:
        for event in await asyncio.shield(_look(request, member, told)):  # a query that is cancelled costs its connection
            told.at = time.monotonic()
            yield event
        if time.monotonic() - told.at > HEARTBEAT_SECONDS:
            told.at = time.monotonic()
            yield ": still here\n\n"
        if await _closes(console.closing):
            return
    yield _event("over", {}, told)  # the page must not come back by itself


async def _look(request: Request, member: Member, told: _Told) -> list[str]:
    return [*await _counts(request, member, told), *await _reviews(request, member, told)]


async def _closes(closing: asyncio.Event) -> bool:
    """Wait for the next look; True when the process ends."""
    try:
        async with asyncio.timeout(EVERY_SECONDS):
            return await closing.wait()
    except TimeoutError:
        return False


async def _counts(request: Request, member: Member, told: _Told) -> list[str]:
    found = await counts(request, member)
    if found == told.counts:
        return []
    told.counts = found
    return [_event("counts", found, told)]


async def _reviews(request: Request, member: Member, told: _Told) -> list[str]:
    """What was queued since the last look, each item once."""
    items = await console_of(request).reviews.since(member, told.since - _OVERLAP, _AT_ONCE)
    new = [item for item in items if item.place not in told.places]
    told.places = {item.place for item in items}
    told.since = max((item.queued_at for item in items), default=told.since)
    names = await names_of(request) if new else {}
    return [_event("review", _document(row_of(item, member, names)), told) for item in new]


def _document(row: dict[str, Any]) -> dict[str, Any]:
    asked_at = row["asked_at"]
    times = {"asked_at": asked_at.isoformat(timespec="seconds"), "asked_at_text": asked_at.strftime("%Y-%m-%d %H:%M")}
    return row | times | {"signs": [sign._asdict() for sign in row["signs"]]}


def _event(name: str, data: dict[str, Any], told: _Told) -> str:
    return f"id: {int(told.since.timestamp() * 1000)}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
