"""What waits for somebody, as numbers in the navigation of every page."""

from __future__ import annotations

from fastapi import Depends, Request

from bot.console import labels
from bot.console.auth import console_of, signed_in
from core.members import Member

_MOST = 1000  # as far as it is counted


async def counts(request: Request, member: Member) -> dict[str, str]:
    """Return by name how many wait for a member."""
    return {name: counted(await count(member)) for name, count in console_of(request).counters.items()}


async def for_navigation(request: Request, member: Member = Depends(signed_in)) -> None:
    """Count what waits, for a page that somebody reads."""
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        request.state.badges = await counts(request, member)


def shown(request: Request) -> dict[str, str]:
    """Return what the navigation shows; the live stream tells where nothing was counted for this response."""
    found: dict[str, str] = getattr(request.state, "badges", {})
    return {name: found.get(name, "0") for name in console_of(request).counters}


def counted(number: int) -> str:
    """Return how many wait, as far as it is counted."""
    return f"{_MOST - 1:,}+" if number >= _MOST else labels.count(number)
