"""`frontdesk run`: serve."""

from __future__ import annotations

import asyncio

import click

from bot.bootstrap import frontdesk
from bot.lifecycle import ROLES, serve
from bot.settings import Settings, read
from bot.telemetry import configure_logging
from bot.terminal import report
from core.errors import FrontdeskError


def _parts(_context: click.Context, _parameter: click.Parameter, value: str) -> frozenset[str]:
    parts = frozenset(part.strip() for part in value.split(","))
    if not parts <= ROLES:
        raise click.BadParameter(f"{', '.join(sorted(parts - ROLES))} is none of {', '.join(sorted(ROLES))}.")
    return parts


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the chat page, health and metrics; 0 takes a free one.")
@click.option("--only", metavar="PARTS", default=",".join(sorted(ROLES)), show_default=True, callback=_parts, help="Parts to run here.")
def command(port: int | None, only: frozenset[str]) -> None:
    """Serve the chat page, the console and the platforms, and answer; SIGTERM drains.

    Several processes may share one database, each with parts of its own: any number of workers, any number of pages.
    Given --port, a process without a page serves health and metrics there too.

    \b
    Example:
      frontdesk run --port 9000
      frontdesk run --only worker
    """
    settings, with_port = read(), port is not None
    if port is not None:
        settings = settings.model_copy(update={"port": port})
    configure_logging(settings.log_level, settings.log_format)
    asyncio.run(_run(settings, only, with_port))


async def _run(settings: Settings, roles: frozenset[str], with_port: bool) -> None:
    try:
        async with frontdesk(settings, report) as graph:
            await serve(graph, roles, with_port=with_port)
    except ExceptionGroup as group:
        raise known(group) from group


def known(group: ExceptionGroup) -> Exception:
    """Return the error with a text for the operator, if one part of the process ended with such a one; else everything."""
    found: Exception | None = group.subgroup(FrontdeskError)
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found or group
