"""The part of the object graph that lets another embedder serve; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from bot.bootstrap import Frontdesk
from bot.bootstrap_models import SETTINGS, as_version
from core.errors import ModelError
from core.ports import Embedder
from core.registry import Alias, Assignment, Kind, ModelVersion, Step, served_before
from core.staff.model_control import MOST_MOVES
from retrieval import ingest
from retrieval.ingest import Progress, Reindexed


async def promote_embedder(graph: Frontdesk, version: ModelVersion, actor: str, progress: Progress) -> str:
    """Build an index of what is served of every knowledge base with another embedder and serve them all, or none.

    What was edited since it was published stays as it is. Raises `FrontdeskError`.
    """
    await _note_embedder(graph)
    done = await _switched(graph, version, Step.PROMOTE, actor, progress, await _move(graph))
    return f"{version.model_id} embeds from now on; indexed: {', '.join(done) or 'nothing'}."


async def rollback_embedder(graph: Frontdesk, actor: str, after: int | None = None, progress: Progress = lambda *_: None) -> str:
    """Serve with the embedder that served before, as `promote_embedder` does: what was deleted since does not come back.

    What it has indexed already is not embedded again. `after` is the move that must still be the newest, None: whichever is.
    """
    if not all(map(find_spec, ("faiss", "sentence_transformers"))):  # a surface is installed without the extra `local`
        raise ModelError("This process cannot index. Where models run: frontdesk models rollback embedder")
    move = await _move(graph)
    if after is not None and (move is None or move.assignment_id != after):
        raise _overtaken()
    before = served_before(await graph.model_registry.history(Kind.EMBEDDER, Alias.CHAMPION, MOST_MOVES))
    if before is None:
        raise ModelError("No other embedder served before this one.")
    done = await _switched(graph, await graph.model_registry.version(before), Step.ROLLBACK, actor, progress, move)
    return f"{before} embeds again; indexed: {', '.join(done) or 'nothing'}."


async def _switched(
    graph: Frontdesk, version: ModelVersion, step: Step, actor: str, progress: Progress, move: Assignment | None
) -> dict[str, Reindexed]:
    """Index and serve everything with a version, and return what that replaced; `move` must be the newest until it is done."""
    embedder = await asyncio.to_thread(_opened, graph, version)
    done: dict[str, Reindexed] = {}
    try:
        while behind := await _behind(graph, version.model_id):  # again where somebody published meanwhile, with the embedder before
            for name in behind:
                if await _move(graph) != move:
                    raise _overtaken()
                folder = graph.settings.snapshots / name
                if made := await ingest.reindex(graph.knowledge_store, folder, name, embedder, actor, progress):
                    done[name] = made
        after = move.assignment_id if move else 0
        if await graph.model_registry.assign(Kind.EMBEDDER, Alias.CHAMPION, version.model_id, step, actor, after=after) is None:
            raise _overtaken()
    except BaseException:
        await _put_back(graph, done, version.model_id, actor)
        raise
    return done


def _opened(graph: Frontdesk, version: ModelVersion) -> Embedder:
    """Return the embedder that a version is. Raises `ModelError` where it is not at hand any more. Blocks."""
    embedder, configured = graph.embedder_of_version(version), graph.settings.embedder
    if embedder.version != version.model_id:  # a folder or a download that was changed
        raise ModelError(f"{version.model_id} is not at hand any more: {version.location} is {embedder.version} now. Nothing was changed.")
    if version.location != configured and Path(version.location).expanduser().is_dir():  # who opens an index would not find it
        raise ModelError(
            f"{version.model_id} is a folder that the settings name no more: set embedder to {version.location} in every process, or "
            f"import it, `frontdesk models import {version.location} --kind embedder`, and promote that. Nothing was changed."
        )
    return embedder


async def _put_back(graph: Frontdesk, done: Mapping[str, Reindexed], model_id: str, actor: str) -> None:
    """Serve what was served before, unless somebody has published since, or has let the same embedder serve meanwhile."""
    champion = await _move(graph)
    if champion is not None and champion.model_id == model_id:
        return
    for name, one in done.items():
        if await graph.knowledge_store.active(name) == one.made:
            await graph.knowledge_store.activate(name, one.replaced, actor)


async def _move(graph: Frontdesk) -> Assignment | None:
    return await graph.model_registry.current(Kind.EMBEDDER, Alias.CHAMPION)


async def _behind(graph: Frontdesk, model_id: str) -> list[str]:
    """Return the knowledge bases that are served with another embedder."""
    found = []
    for name in await graph.knowledge_store.names():
        served = [release for release in await graph.knowledge_store.releases(name) if release.active]
        found += [name for release in served if release.embedder != model_id]
    return found


def _overtaken() -> ModelError:
    return ModelError(
        "Another embedder was promoted, or this one taken back, meanwhile, so nothing was changed. See: frontdesk models status"
    )


async def _note_embedder(graph: Frontdesk) -> None:
    """Begin the history of embedders with the configured one, so that a rollback leads back to it."""
    if await _move(graph) is None:
        is_folder = Path(graph.settings.embedder).expanduser().is_dir()
        first = await asyncio.to_thread(as_version, graph, graph.settings.embedder, is_folder, Kind.EMBEDDER)
        await graph.model_registry.register(first)
        await graph.model_registry.assign(Kind.EMBEDDER, Alias.CHAMPION, first.model_id, Step.PROMOTE, SETTINGS, after=0)
