"""`frontdesk db`: migrations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import click

from bot.settings import read
from core.storage.database import Database, newest_revision


@click.group()
def command() -> None:
    """Migrations of the database."""


@command.command()
def upgrade() -> None:
    """Bring the schema to this version's newest migration.

    \b
    Example:
      frontdesk db upgrade
    """
    _with_database(lambda database: database.upgrade())
    click.echo(f"The database is at migration {newest_revision()}.")


@command.command()
def current() -> None:
    """Print the migration the schema is at.

    \b
    Example:
      frontdesk db current
    """
    click.echo(_with_database(lambda database: database.revision()) or "no migration yet")


def _with_database(work: Callable[[Database], Awaitable[str | None]]) -> str | None:
    async def run() -> str | None:
        database = Database(read().database)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
