"""`frontdesk models promote` and so on: which versions serve. Running processes follow within seconds."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable

import click

from bot.bootstrap import Frontdesk
from bot.bootstrap_control import control_of
from bot.bootstrap_embedder import promote_embedder, rollback_embedder
from bot.bootstrap_models import follow_settings, tried
from bot.terminal import err, out, print_json, progress, with_frontdesk
from core.audit import STARTED
from core.errors import FrontdeskError
from core.registry import Alias, Kind
from core.staff.commands import canary_of
from core.staff.model_control import HEARD_SECONDS

_yes = click.option("--yes", is_flag=True, help="Do not ask.")
Work = Callable[[Frontdesk, str], Awaitable[str]]


@click.command()
@click.argument("model_id", metavar="ID")
@_yes
def promote(model_id: str, yes: bool) -> None:
    """Serve version ID from now on, if it passes its probe; an embedder with an index of its own.

    \b
    Example:
      frontdesk models promote support-llm@3f9a1c2b7d04
    """

    async def work(graph: Frontdesk, actor: str) -> str:
        version = await graph.model_registry.version(model_id)
        if version.kind is Kind.EMBEDDER:
            with progress() as advance:
                return await promote_embedder(graph, version, actor, advance)
        await _try_alone(graph, model_id)
        return await control_of(graph).promote(model_id, actor)

    change("models.promote", model_id, work, f"Serve {model_id} from now on?", yes)


@click.command()
@click.argument("kind", type=click.Choice([Kind.GENERATOR.value, Kind.EMBEDDER.value]), default=Kind.GENERATOR.value)
@_yes
def rollback(kind: str, yes: bool) -> None:
    """Serve the version that served before; an embedder with an index of what is served now.

    \b
    Example:
      frontdesk models rollback
    """

    async def work(graph: Frontdesk, actor: str) -> str:
        if kind == Kind.EMBEDDER:
            with progress() as advance:
                return await rollback_embedder(graph, actor, progress=advance)
        return await control_of(graph).rollback(kind, actor)

    change("models.rollback", kind, work, f"Serve the {kind} that served before?", yes)


@click.command()
@_yes
def reload(yes: bool) -> None:
    """Open the version that serves anew.

    \b
    Example:
      frontdesk models reload
    """
    change("models.reload", "models", lambda graph, actor: control_of(graph).reload(actor), "Open the model that serves anew?", yes)


@click.command()
@click.argument("share")
@click.argument("model_id", metavar="[ID]", default="")
@_yes
def canary(share: str, model_id: str, yes: bool) -> None:
    """Let version ID answer SHARE of the conversations; 0% writes silently beside, `off` ends it.

    \b
    Example:
      frontdesk models canary 10% support-llm@3f9a1c2b7d04
      frontdesk models canary off
    """
    part, wanted = canary_of(f"{share} {model_id}")

    async def work(graph: Frontdesk, actor: str) -> str:
        control = control_of(graph)
        return await (control.end_canary(actor) if part is None else control.canary(part, wanted, actor))

    change("models.canary", f"{share} {model_id}".strip(), work, f"Set the challenger to {share} {model_id}?".replace(" ?", "?"), yes)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(as_json: bool) -> None:
    """Tell which versions serve where, how well, and what was changed last.

    \b
    Example:
      frontdesk models status
    """
    if as_json:
        print_json(with_frontdesk(_document))
    else:
        out.print(with_frontdesk(lambda graph: control_of(graph).status()), markup=False, soft_wrap=True)


def change(name: str, target: str, work: Work, question: str, yes: bool) -> None:
    """Do what changes something for every customer: asked first, audited before and after, told on stdout."""
    if not yes:
        click.confirm(question, abort=True, err=True)
    out.print(with_frontdesk(lambda graph: _audited(graph, name, target, work)), markup=False, soft_wrap=True)


async def _audited(graph: Frontdesk, name: str, target: str, work: Work) -> str:
    actor, action, said, result = f"cli:{getpass.getuser()}", name, "it broke off", "failed"
    await graph.audit_log.record(actor, action, target, STARTED)
    try:
        await follow_settings(graph, only_first=True)
        with err.status(f"{name} {target}: waiting for every process to follow"):
            said = await work(graph, actor)
        result = "done"
        return said
    except FrontdeskError as error:
        said = str(error)
        raise
    finally:
        await graph.audit_log.record(actor, action, target, result, said=said)


async def _try_alone(graph: Frontdesk, model_id: str) -> None:
    """Where no process runs models, the probe is made here: the next start must not find a model that cannot serve."""
    if not await graph.host_board.reports(HEARD_SECONDS):
        err.print(f"No process runs models, so {model_id} is tried here: {await tried(graph, model_id)}", style="dim", markup=False)


async def _document(graph: Frontdesk) -> dict[str, object]:
    aliases = {}
    for alias in Alias:
        move = await graph.model_registry.current(Kind.GENERATOR, alias)
        if move is not None and move.model_id:
            aliases[alias.value] = {"id": move.model_id, "share": move.share, "since": move.assigned_at.isoformat(), "by": move.actor}
    hosts = [
        {"host": one.host_id, "last": one.last, "seats": [seat._asdict() | {"load": seat.load._asdict()} for seat in one.seats]}
        for one in await graph.host_board.reports(HEARD_SECONDS)
    ]
    return {"aliases": aliases, "processes": hosts}
