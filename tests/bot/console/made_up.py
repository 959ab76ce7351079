"""A console with made-up conversations in it."""

from __future__ import annotations

from bot.bootstrap import Frontdesk
from core.domain import utc_now
from core.staff.demo_month import DemoMonth


async def fill(graph: Frontdesk, turns: int) -> None:
    """Make up conversations and count them."""
    await graph.demo_store.fill(DemoMonth(graph.sample(), utc_now()).conversations(turns), lambda _done: None)
    await graph.figure_book.refresh_all()
