"""`frontdesk privacy`: what is kept of one customer, shown or erased."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import click

from bot.bootstrap import Frontdesk
from bot.terminal import print_json, with_frontdesk
from core.audit import STARTED

T = TypeVar("T")


class _User(NamedTuple):
    """A customer, as platforms name them."""

    platform: str
    workspace_id: str
    actor_id: str

    @property
    def target(self) -> str:
        """How the audit log names them: it outlives an erasure, so by a hash that only who has the id can match."""
        return "user:" + hashlib.sha256(":".join(self).encode(errors="surrogatepass")).hexdigest()[:32]


def _parsed(_context: click.Context, _parameter: click.Parameter, value: str) -> _User:
    """PLATFORM:WORKSPACE:ID, where only the id may hold another colon."""
    parts = value.split(":", 2)
    if len(parts) != 3 or not all(parts):
        raise click.BadParameter(f"{value!r} is not PLATFORM:WORKSPACE:ID, such as slack:T0123:U0456 or web:local:9f3a")
    return _User(*parts)


_user = click.option("--user", required=True, callback=_parsed, metavar="PLATFORM:WORKSPACE:ID", help="The customer.")


@click.group()
def command() -> None:
    """Show or erase what is kept of one customer."""


@command.command()
@_user
@click.option("--json", "_as_json", is_flag=True, help="One JSON document, as without it: there is no other form.")
def export(user: _User, _as_json: bool) -> None:
    """Print all that is kept of a customer as one JSON document: messages, turns and feedback.

    \b
    Example:
      frontdesk privacy export --user slack:T0123:U0456
    """
    print_json(with_frontdesk(lambda graph: _audited(graph, "privacy.export", user, graph.privacy_desk.export)))


@command.command()
@_user
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(user: _User, yes: bool) -> None:
    """Forget what a customer wrote and was told, and who they are. It cannot be undone.

    Messages that wait are not answered. What platforms show is not touched: delete it there.

    \b
    Example:
      frontdesk privacy erase --user slack:T0123:U0456
    """
    if not yes:
        click.confirm(f"Erase all that is kept of {':'.join(user)}? This cannot be undone.", abort=True, err=True)
    report = with_frontdesk(lambda graph: _audited(graph, "privacy.erase", user, graph.privacy_desk.erase))
    counts = report._asdict()
    click.echo(f"Erased: {', '.join(f'{counts[name]} {name}' for name in ('messages', 'turns', 'feedback', 'corrections'))}.")
    click.echo(f"Stopped: {counts['cancelled']} messages without an answer, {counts['dropped']} replies on their way.")


async def _audited(graph: Frontdesk, action: str, user: _User, work: Callable[[str, str, str], Awaitable[T]]) -> T:
    who, result = getpass.getuser(), "failed"
    await graph.audit_log.record(who, action, user.target, STARTED)
    try:
        done = await work(*user)
        result = "done"
        return done
    finally:
        await graph.audit_log.record(who, action, user.target, result)
