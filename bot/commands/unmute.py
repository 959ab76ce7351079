"""`frontdesk unmute`: the end of silence everywhere."""

from __future__ import annotations

import click

from bot.commands.model_changes import change
from bot.commands.mute import set_muted


@click.command()
def command() -> None:
    """Let the bot speak again, as each channel was set before.

    \b
    Example:
      frontdesk unmute
    """
    change("channel.unmute", "everywhere", lambda graph, _: set_muted(graph, muted=False), "", yes=True)
