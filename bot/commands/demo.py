"""`frontdesk demo`: made-up conversations to try the console with."""

from __future__ import annotations

import getpass

import click

from bot.bootstrap import Frontdesk
from bot.bootstrap_console import demo_store
from bot.terminal import print_json, progress, with_frontdesk
from core.demo import MARK
from core.domain import utc_now
from core.errors import StorageError
from core.staff.demo_month import DemoMonth


@click.command()
@click.option("--turns", type=click.IntRange(1, 5_000_000), default=3000, show_default=True, help="Questions to make up.")
@click.option("--days", type=click.IntRange(2, 730), default=29, show_default=True, help="Days to spread them over, up to now.")
@click.option("--remove", is_flag=True, help="Take every made-up conversation out again.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(turns: int, days: int, remove: bool, as_json: bool) -> None:
    """Fill the console with a made-up month of conversations, in workspaces whose ids begin with demo-.

    They are counted in the figures of the overview until they are removed.

    \b
    Example:
      frontdesk demo --turns 3000
      frontdesk demo --remove
    """
    count = with_frontdesk(_remove if remove else lambda graph: _fill(graph, turns, days))
    if as_json:
        print_json({"removed" if remove else "turns": count})
    elif remove:
        click.echo(f"Removed {count} made-up turns.")
    else:
        click.echo(
            f"Made up {count} turns, in workspaces that begin with {MARK}. Look at them: /console/  Remove them: frontdesk demo --remove"
        )


async def _fill(graph: Frontdesk, turns: int, days: int) -> int:
    if await demo_store(graph).has_any():
        raise StorageError("There are made-up conversations already. To make others, first run: frontdesk demo --remove")
    month = DemoMonth(graph.sample(), utc_now(), days)
    with progress() as advance:
        count = await demo_store(graph).fill(month.conversations(turns), lambda done: advance("write", done, turns))
    await graph.figure_book.refresh_all()
    await graph.audit_log.record(getpass.getuser(), "demo.fill", "turns", "done", turns=count)
    return count


async def _remove(graph: Frontdesk) -> int:
    count = await demo_store(graph).remove()
    await graph.audit_log.record(getpass.getuser(), "demo.remove", "turns", "done", turns=count)
    return count
