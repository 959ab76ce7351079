"""`frontdesk db`: migrations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import click

from bot.settings import read
from core.errors import OutOfReachError
from core.storage.database import Database, newest_revision

_SECONDS_BETWEEN_TRIES = 0.5


@click.group()
def command() -> None:
    """Migrations of the database."""


@command.command()
@click.option("--wait", type=click.IntRange(0), default=0, metavar="SECONDS", help="How long a database that does not answer yet may take.")
def upgrade(wait: int) -> None:
    """Bring the schema to this version's newest migration.

    \b
    Example:
      frontdesk db upgrade
      frontdesk db upgrade --wait 60
    """
    _with_database(lambda database: _upgrade(database, wait))
    click.echo(f"The database is at migration {newest_revision()}.")


@command.command()
def current() -> None:
    """Print the migration the schema is at.

    \b
    Example:
      frontdesk db current
    """
    click.echo(_with_database(lambda database: database.revision()) or "no migration yet")


async def _upgrade(database: Database, patience: int) -> None:
    """Upgrade; only what says that nobody answers is tried again: a wrong password stays wrong."""
    give_up = time.monotonic() + patience
    while True:
        try:
            return await database.upgrade()
        except OutOfReachError:
            if time.monotonic() >= give_up:
                raise
        await asyncio.sleep(_SECONDS_BETWEEN_TRIES)


def _with_database(work: Callable[[Database], Awaitable[str | None]]) -> str | None:
    async def run() -> str | None:
        database = Database(read().database)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
