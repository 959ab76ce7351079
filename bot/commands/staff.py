"""`frontdesk staff`: who may sign in to the console."""

from __future__ import annotations

import getpass

import click
from rich.markup import escape
from rich.table import Table

from bot.bootstrap import Frontdesk
from bot.bootstrap_console import link_at, membership_of, sign_in_of
from bot.terminal import err, out, print_json, with_frontdesk
from core.errors import FrontdeskError, SettingsError
from core.members import EVERYWHERE, Member, Role, Scope
from core.staff.actions import NotAllowedError
from core.staff.membership import scope_of

_ROLES = [role.name.lower() for role in Role]


def _scope(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> Scope | None:
    try:
        return scope_of(" ".join(value)) if value else None
    except NotAllowedError as error:
        raise click.BadParameter(str(error)) from error


_workspaces = click.option(
    "--workspace",
    "scope",
    multiple=True,
    callback=_scope,
    metavar="PLATFORM:ID",
    help="Only this one, again for more. Default: every one.",
)


@click.group()
def command() -> None:
    """Say who may sign in to the console."""


@command.command()
@click.argument("name")
@click.option("--role", type=click.Choice(_ROLES), help="What they may do: a viewer unless said otherwise.")
@_workspaces
def add(name: str, role: str | None, scope: Scope | None) -> None:
    """Let NAME sign in, and print a link that is good for one sign-in within 15 minutes.

    NAME is what others see; where staff sign in with the account of an organisation, it is the e-mail address there. For a member it
    prints another link, and changes what they may do if --role or --workspace is given.

    \b
    Example:
      frontdesk staff add ann@example.com --role editor
      frontdesk staff add bob --role agent --workspace slack:T0123456789
    """
    link, member = with_frontdesk(lambda graph: _add(graph, name, role, scope))
    err.print(f"{member.name} is {member.role.name.lower()} in {_where(member.scope)}. Once, within 15 minutes:", markup=False, style="dim")
    click.echo(link)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(as_json: bool) -> None:
    """List who may sign in.

    \b
    Example:
      frontdesk staff list
    """
    members = with_frontdesk(lambda graph: membership_of(graph).members.all())
    if as_json:
        print_json([_document(member) for member in members])
        return
    table = Table("name", "role", "workspaces")
    for member in members:
        table.add_row(escape(member.name), member.role.name.lower(), escape(_where(member.scope)))
    out.print(table)


@command.command()
@click.argument("name")
def remove(name: str) -> None:
    """Let NAME in no longer; whoever is signed in as NAME is out at the next click.

    \b
    Example:
      frontdesk staff remove bob
    """
    member = with_frontdesk(lambda graph: _remove(graph, name))
    click.echo(f"Removed: {member.name}.")


async def _add(graph: Frontdesk, name: str, role: str | None, scope: Scope | None) -> tuple[str, Member]:
    membership = membership_of(graph, _operator())
    known = await membership.members.named(name)
    wanted = Role[role.upper()] if role else known.role if known else Role.VIEWER
    where = scope or (known.scope if known else EVERYWHERE)
    member = known or await membership.add(None, name, wanted, where)
    if (member.role, member.scope) != (wanted, where):
        member = await membership.change(None, member.member_id, wanted, where)
    await membership.invite(None, member.member_id)
    settings = graph.settings
    if not settings.port and not settings.console.public_url:
        raise SettingsError("Nobody knows where the console is: set console.public_url, or a port.")
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104  # a name for browsers, nothing listens
    return link_at(graph, f"http://{host}:{settings.port}", await sign_in_of(graph).link_for(member)), member


async def _remove(graph: Frontdesk, name: str) -> Member:
    membership = membership_of(graph, _operator())
    known = await membership.members.named(name)
    if known is None:
        names = ", ".join(one.name for one in await membership.members.all())
        raise FrontdeskError(f"Nobody is called {name!r}. Members: {names or 'none'}.")
    return await membership.remove(None, known.member_id)


def _operator() -> str:
    return f"cli:{getpass.getuser()}"


def _where(scope: Scope) -> str:
    return "every workspace" if scope.workspaces is None else ", ".join(sorted(map(":".join, scope.workspaces)))


def _document(member: Member) -> dict[str, object]:
    workspaces = None if member.scope.workspaces is None else sorted(map(":".join, member.scope.workspaces))
    return {"id": member.member_id, "name": member.name, "role": member.role.name.lower(), "workspaces": workspaces}
