"""`frontdesk mute`: silence everywhere."""

from __future__ import annotations

import click

from bot.bootstrap import Frontdesk
from bot.commands.model_changes import change
from core.presence import EVERYWHERE


@click.command()
def command() -> None:
    """Silence the bot in every channel of every platform, private messages too; the chat page goes on.

    \b
    Example:
      frontdesk mute
    """
    change("channel.mute", "everywhere", lambda graph, _: set_muted(graph, muted=True), "", yes=True)


async def set_muted(graph: Frontdesk, *, muted: bool) -> str:
    """Silence the bot everywhere or let it speak again; tell which."""
    await graph.channels.set_muted(EVERYWHERE, EVERYWHERE, EVERYWHERE, muted)
    return "The bot is silent everywhere now." if muted else "The bot speaks again."
