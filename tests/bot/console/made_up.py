"""A console with made-up conversations in it."""

from __future__ import annotations

from bot.bootstrap import Frontdesk
from bot.bootstrap_console import demo_store
from core.domain import utc_now
from core.staff.demo_month import DemoMonth


async def fill(graph: Frontdesk, turns: int) -> None:
    """Make up conversations and count them."""
    await demo_store(graph).fill(DemoMonth(graph.sample(), utc_now()).conversations(turns), lambda _done: None)
    await graph.figure_book.refresh_all()
