"""`frontdesk knowledge`: rows in, a report of bad rows out; versioned snapshots."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import click
from rich.table import Table

from bot.bootstrap import DEFAULT, Frontdesk
from bot.terminal import err, out, print_json, progress, with_frontdesk
from core.domain import Hit, Passage
from core.knowledge import Release, SourceImport
from retrieval import documents
from retrieval.problems import Problem

_knowledge = click.option("--knowledge", default=DEFAULT, show_default=True, metavar="NAME", help="Knowledge base.")
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_SHOWN_PROBLEMS = 50


class _Imported(NamedTuple):
    """What one file changed, and what was wrong with it."""

    source: str
    change: SourceImport
    problems: tuple[Problem, ...]


@click.group()
def command() -> None:
    """Import, publish, search and roll back knowledge."""


@command.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@_knowledge
@click.option("--dry-run", is_flag=True, help="Read and report, change nothing.")
@click.option("--strict", is_flag=True, help="One bad row refuses its whole file.")
@_json
def import_(paths: tuple[Path, ...], knowledge: str, dry_run: bool, strict: bool, as_json: bool) -> None:
    """Read FAQ files (JSONL, JSON, CSV, YAML) and documents (Markdown, HTML), or folders of them.

    Importing a file again replaces what it gave before; rows that have gone from it are removed. Customers see the change after
    the next `frontdesk knowledge publish`.

    \b
    Example:
      frontdesk knowledge import faq.csv docs/ --knowledge default
    """
    imported = with_frontdesk(lambda graph: _import(graph, paths, knowledge, dry_run=dry_run, strict=strict))
    if as_json:
        print_json([_import_document(one) for one in imported])
    else:
        _show_import(imported, knowledge, dry_run=dry_run)


@command.command()
@_knowledge
@_json
def publish(knowledge: str, as_json: bool) -> None:
    """Embed, index and calibrate what was imported, and serve it.

    \b
    Example:
      frontdesk knowledge publish --knowledge default
    """
    with progress() as advance:
        manifest = with_frontdesk(lambda graph: graph.publish(knowledge, getpass.getuser(), advance))
    fitted = manifest.calibration
    if as_json:
        print_json({"version": manifest.version, "passages": manifest.passages, "rows": manifest.rows})
        return
    out.print(f"Published [bold]{knowledge}[/bold] {manifest.version}: {manifest.passages} passages, {manifest.rows} rows.")
    how = f"fitted on {fitted.questions} of its own questions" if fitted.questions else "shipped; alternatives would sharpen it"
    out.print(f"Confidence: {how}.", style="dim")


@command.command("list")
@_json
def list_(as_json: bool) -> None:
    """List knowledge bases and their published versions.

    \b
    Example:
      frontdesk knowledge list
    """
    releases = with_frontdesk(_releases)
    if as_json:
        print_json([{"knowledge": name, **_release_document(release)} for name, release in releases])
        return
    table = Table("knowledge", "version", "passages", "published", "serving", "embedder")
    for name, release in releases:
        published = release.published_at.strftime("%Y-%m-%d %H:%M")
        table.add_row(name, release.version, str(release.passages), published, "yes" if release.active else "", release.embedder)
    out.print(table)


@command.command()
@click.argument("version", required=False)
@_knowledge
def rollback(version: str | None, knowledge: str) -> None:
    """Serve an older version again: VERSION, or the one published before the one being served.

    \b
    Example:
      frontdesk knowledge rollback --knowledge default
    """
    served = with_frontdesk(lambda graph: _rollback(graph, knowledge, version))
    out.print(f"Serving [bold]{knowledge}[/bold] {served}.")


@command.command()
@click.argument("text")
@_knowledge
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 100))
@_json
def search(text: str, knowledge: str, limit: int, as_json: bool) -> None:
    """Print the passages found for TEXT, with the probability that each answers it.

    \b
    Example:
      frontdesk knowledge search "reset password"
    """
    hits = with_frontdesk(lambda graph: _search(graph, text, knowledge, limit))
    if as_json:
        print_json([_hit_document(hit) for hit in hits])
        return
    table = Table("score", "passage", "title", "text")
    for hit in hits:
        table.add_row(f"{hit.score:.2f}", hit.passage.passage_id, hit.passage.title, _shorten(hit.passage.text))
    out.print(table)


async def _import(graph: Frontdesk, paths: Iterable[Path], knowledge: str, *, dry_run: bool, strict: bool) -> list[_Imported]:
    paths = list(paths)
    imported = []
    for file, name in documents.find(paths):
        reading = documents.read(file, name, strict=strict)
        imported.append(await _import_one(graph, knowledge, reading, dry_run=dry_run))
    if not dry_run:
        imported += [await _forget(graph, knowledge, source) for source in await _vanished(graph, knowledge, paths)]
    return imported


async def _import_one(graph: Frontdesk, knowledge: str, reading: documents.Reading, *, dry_run: bool) -> _Imported:
    if dry_run:
        count = sum(1 for _ in reading.passages())
        return _Imported(reading.source, SourceImport(count, 0, 0, 0, ()), tuple(reading.problems))
    # With bad rows in it, what a file no longer holds may just be what could not be read: keep it.
    change = await graph.knowledge_store.replace_source(knowledge, reading.source, reading.passages(), keep_missing=lambda: reading.bad > 0)
    taken = [Problem(reading.source, None, f"id {key!r} belongs to another file; left alone") for key in change.conflicts]
    return _Imported(reading.source, change, (*reading.problems, *taken))


async def _vanished(graph: Frontdesk, knowledge: str, paths: list[Path]) -> list[str]:
    folders = [path.resolve() for path in paths if path.is_dir()]
    sources = [Path(source) for source in await graph.knowledge_store.sources(knowledge)]
    return [str(source) for source in sources if not source.exists() and any(source.is_relative_to(f) for f in folders)]


async def _forget(graph: Frontdesk, knowledge: str, source: str) -> _Imported:
    nothing: tuple[Passage, ...] = ()
    change = await graph.knowledge_store.replace_source(knowledge, source, nothing, keep_missing=lambda: False)
    return _Imported(source, change, ())


async def _releases(graph: Frontdesk) -> list[tuple[str, Release]]:
    store = graph.knowledge_store
    return [(name, release) for name in await store.names() for release in await store.releases(name)]


async def _rollback(graph: Frontdesk, knowledge: str, version: str | None) -> str:
    store = graph.knowledge_store
    wanted = version or _older(knowledge, await store.releases(knowledge))
    await store.activate(knowledge, wanted, getpass.getuser())
    return wanted


def _older(knowledge: str, releases: Sequence[Release]) -> str:
    """Return the version before the one being served, of its embedder: which embedder serves is `models rollback embedder`'s to change."""
    following = iter(releases)
    active = next((release for release in following if release.active), None)
    older = next((release for release in following if active and release.embedder == active.embedder), None)
    if older is None:
        raise click.ClickException(
            f"Knowledge {knowledge!r} has no older version with the embedder that serves. Name another one: frontdesk knowledge list"
        )
    return older.version


async def _search(graph: Frontdesk, text: str, knowledge: str, limit: int) -> tuple[Hit, ...]:
    wanted = None if knowledge == DEFAULT else knowledge
    return (await graph.retriever(await graph.served_knowledge(wanted)).retrieve(text, limit)).hits


def _show_import(imported: list[_Imported], knowledge: str, *, dry_run: bool) -> None:
    problems = [problem for one in imported for problem in one.problems]
    for problem in problems[:_SHOWN_PROBLEMS]:
        err.print(str(problem), style="yellow" if problem.warning else "red", markup=False, soft_wrap=True)
    if len(problems) > _SHOWN_PROBLEMS:
        err.print(f"... and {len(problems) - _SHOWN_PROBLEMS} more; --json lists them all")
    table = Table("file", "added", "changed", "unchanged", "removed", "bad rows")
    for one in imported:
        bad = sum(not problem.warning for problem in one.problems)
        table.add_row(Path(one.source).name, *map(str, one.change[:4]), str(bad))
    out.print(table)
    if dry_run:
        out.print("Nothing was changed (--dry-run).", style="dim")
    else:
        out.print(f"Customers see it after: frontdesk knowledge publish --knowledge {knowledge}", style="dim")


def _import_document(one: _Imported) -> dict[str, object]:
    counts = one.change._asdict() | {"conflicts": list(one.change.conflicts)}
    problems = [{"line": problem.line, "reason": problem.reason, "warning": problem.warning} for problem in one.problems]
    return {"source": one.source, **counts, "problems": problems}


def _release_document(release: Release) -> dict[str, object]:
    return release._asdict() | {"published_at": release.published_at.isoformat()}


def _hit_document(hit: Hit) -> dict[str, object]:
    passage = hit.passage
    return {
        "passage_id": passage.passage_id,
        "document_id": passage.document_id,
        "title": passage.title,
        "text": passage.text,
        "url": passage.url,
        "score": round(hit.score, 4),
    }


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:99] + "…"
