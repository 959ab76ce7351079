"""`frontdesk run`: serve."""

from __future__ import annotations

import asyncio

import click

from bot.bootstrap import frontdesk
from bot.lifecycle import serve
from bot.settings import Settings, read
from bot.telemetry import configure_logging
from bot.terminal import report


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the chat page; 0 takes a free one.")
def command(port: int | None) -> None:
    """Serve the chat page; SIGTERM drains.

    \b
    Example:
      frontdesk run --port 9000
    """
    settings = read()
    if port is not None:
        settings = settings.model_copy(update={"port": port})
    configure_logging(settings.log_level, settings.log_format)
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    async with frontdesk(settings, report) as graph:
        await serve(graph)
