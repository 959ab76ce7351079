"""`frontdesk models`: models are imported, listed and shown; what changes which serve is in `model_changes`."""

from __future__ import annotations

import asyncio
import getpass
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.markup import escape
from rich.table import Column, Table

from bot.bootstrap import Frontdesk
from bot.commands import model_changes
from bot.terminal import out, print_json, progress, with_frontdesk
from core.errors import FrontdeskError
from core.registry import Alias, Assignment, Kind, ModelVersion

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group()
def command() -> None:
    """Import models, see which there are, and change which of them serve."""


@command.command("import")
@click.argument("source")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), default=Kind.GENERATOR.value, show_default=True)
@click.option("--base", default="", metavar="ID", help="The model that an adapter belongs to: a registered version, or ORG/NAME.")
@click.option("--name", default="", help="What the version is called; else as its folder.")
@click.option("--licence", default="", metavar="TEXT", help="Under which licence it is, such as Apache-2.0.")
@_json
def import_(source: str, kind: str, base: str, name: str, licence: str, as_json: bool) -> None:
    """Take in SOURCE as a new version: a folder, ORG/NAME of the hub, or remote:NAME for a model on your server.

    A folder holds a model in safetensors, or a LoRA adapter. It is inspected before anything opens it, and copied; nothing serves
    it yet.

    \b
    Example:
      frontdesk models import out/run-7 --base HuggingFaceTB/SmolLM2-135M-Instruct
      frontdesk models import Qwen/Qwen3-4B-Instruct-2507 --licence Apache-2.0
      frontdesk models import remote:support-llm
    """
    with progress() as watch:
        version = with_frontdesk(lambda graph: _import(graph, source, Kind(kind), watch, base=base, name=name, licence=licence))
    if as_json:
        print_json(_document(version, ()))
    else:
        files = f", {len(version.files)} files, {_size(version)}" if version.files else ""
        out.print(f"Imported [bold]{escape(version.model_id)}[/bold]: {version.kind}{files}.", soft_wrap=True)


@command.command("list")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="Of this kind only.")
@_json
def list_(kind: str | None, as_json: bool) -> None:
    """List the versions of models, newest first, and the aliases they have.

    \b
    Example:
      frontdesk models list --kind generator
    """
    versions, aliases = with_frontdesk(lambda graph: _versions(graph, Kind(kind) if kind else None))
    if as_json:
        print_json([_document(version, aliases[version.model_id]) for version in versions])
        return
    table = Table(Column("id", overflow="fold"), "kind", "aliases", Column("base", overflow="fold"), "size", "created")
    for version in versions:
        named = ", ".join(map(_alias, aliases[version.model_id]))
        created = version.created_at.strftime("%Y-%m-%d %H:%M")
        table.add_row(escape(version.model_id), version.kind, named, escape(version.base), _size(version), created)
    out.print(table)


@command.command()
@click.argument("model_id", metavar="ID")
@_json
def show(model_id: str, as_json: bool) -> None:
    """Show a version: its files, where it comes from, its scores, and when it had which alias.

    \b
    Example:
      frontdesk models show support@1a2b3c4d5e6f
    """
    version, aliases, moves = with_frontdesk(lambda graph: _shown(graph, model_id))
    if as_json:
        print_json(_document(version, aliases) | {"history": [_move_document(move) for move in moves]})
        return
    facts = _document(version, aliases) | {"aliases": ", ".join(map(_alias, aliases)), "size": _size(version)}
    facts["scores"] = ", ".join(f"{name} {score:g}" for name, score in version.scores.items())
    for name, value in facts.items():
        if name != "files" and value:
            out.print(f"[dim]{name:<15}[/dim] {escape(str(value))}", soft_wrap=True)
    _print_files(version)
    _print_history(moves)


async def _import(graph: Frontdesk, source: str, kind: Kind, watch: Callable[[str, int, int], None], **said: str) -> ModelVersion:
    actor = f"cli:{getpass.getuser()}"
    try:
        known = await graph.model_registry.versions()
        version = await asyncio.to_thread(graph.artifacts.take, source, known, kind=kind, actor=actor, watch=watch, **said)
        await graph.model_registry.register(version)
    except FrontdeskError as error:
        await graph.audit_log.record(actor, "models.import", source, "refused", kind=kind.value, problem=str(error), **said)
        raise
    detail = {"model_id": version.model_id, "kind": kind.value, "base": version.base, "licence": version.licence}
    await graph.audit_log.record(actor, "models.import", source, "done", **detail)
    return version


async def _versions(graph: Frontdesk, kind: Kind | None) -> tuple[tuple[ModelVersion, ...], dict[str, list[Assignment]]]:
    return await graph.model_registry.versions(kind), await _aliases(graph)


async def _aliases(graph: Frontdesk) -> dict[str, list[Assignment]]:
    """The newest moves of all aliases, by the version that has them."""
    found: dict[str, list[Assignment]] = defaultdict(list)
    for kind in Kind:
        for alias in Alias:
            if (move := await graph.model_registry.current(kind, alias)) is not None:
                found[move.model_id].append(move)
    return found


async def _shown(graph: Frontdesk, model_id: str) -> tuple[ModelVersion, list[Assignment], list[Assignment]]:
    version = await graph.model_registry.version(model_id)
    moves = [move for alias in Alias for move in await graph.model_registry.history(version.kind, alias)]
    moves = sorted((move for move in moves if move.model_id == version.model_id), reverse=True)
    return version, (await _aliases(graph))[version.model_id], moves


def _print_files(version: ModelVersion) -> None:
    if version.files:
        table = Table(Column("file", overflow="fold"), "bytes", Column("SHA-256", overflow="fold"))
        for file in version.files:
            table.add_row(escape(file.name), f"{file.size:,}", file.sha256)
        out.print(table)


def _print_history(moves: Sequence[Assignment]) -> None:
    if moves:
        table = Table("moved", "alias", "step", "by", "reason")
        for move in moves:
            when = move.assigned_at.strftime("%Y-%m-%d %H:%M")
            table.add_row(when, _alias(move), move.step, escape(move.actor), escape(move.reason))
        out.print(table)


def _document(version: ModelVersion, aliases: Sequence[Assignment]) -> dict[str, Any]:
    fields = asdict(version) | {"kind": version.kind.value, "created_at": version.created_at.isoformat()}
    return fields | {"size": version.size, "aliases": [move.alias.value for move in aliases]}


def _move_document(move: Assignment) -> dict[str, Any]:
    return move._asdict() | {"assigned_at": move.assigned_at.isoformat()}


def _alias(move: Assignment) -> str:
    return f"{move.alias} {move.share} %" if move.alias is Alias.CHALLENGER else move.alias.value


def _size(version: ModelVersion) -> str:
    """How large, in the unit that people know from downloads; empty for a model that is not kept in files of ours."""
    for bound, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if version.size >= bound:
            return f"{version.size / bound:.1f} {unit}"
    return f"{version.size} bytes" if version.size else ""


for _changes in (model_changes.status, model_changes.promote, model_changes.rollback, model_changes.canary, model_changes.reload):
    command.add_command(_changes)
