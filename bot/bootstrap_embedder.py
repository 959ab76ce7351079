"""The part of the object graph that lets another embedder serve; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.bootstrap import Frontdesk
from bot.bootstrap_models import SETTINGS, as_version
from core.errors import ModelError
from core.registry import Alias, Assignment, Kind, ModelVersion, Step, served_before
from core.staff.model_control import MOST_MOVES
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
    before = served_before(await graph.model_registry.history(Kind.EMBEDDER, Alias.CHAMPION, MOST_MOVES))
    if before is None:
        raise ModelError("No other embedder served before this one.")
    move = await _move(graph)
    if after is not None and (move is None or move.assignment_id != after):
        raise _overtaken()
    try:
        done = await _switched(graph, await graph.model_registry.version(before), Step.ROLLBACK, actor, progress, move)
    except ImportError as error:  # a surface is installed without the extra `local`
        raise ModelError("This process cannot index. Where models run: frontdesk models rollback embedder") from error
    return f"{before} embeds again; indexed: {', '.join(done) or 'nothing'}."


async def _switched(
    graph: Frontdesk, version: ModelVersion, step: Step, actor: str, progress: Progress, move: Assignment | None
) -> dict[str, Reindexed]:
    """Index and serve everything with a version, and return what that replaced; `move` must be the newest until it is done."""
    embedder = await asyncio.to_thread(graph.embedder_of_version, version)
    if embedder.version != version.model_id:  # a folder or a download that was changed
        raise ModelError(f"{version.model_id} is not at hand any more: {version.location} is {embedder.version} now. Nothing was changed.")
    done: dict[str, Reindexed] = {}
    try:
        while behind := await _behind(graph, version.model_id):  # again where somebody published meanwhile, with the embedder before
            for name in behind:
                if await _move(graph) != move:
                    raise _overtaken()
                if made := await graph.reindex(name, actor, progress, embedder):
                    done[name] = made
        after = move.assignment_id if move else 0
        if await graph.model_registry.assign(Kind.EMBEDDER, Alias.CHAMPION, version.model_id, step, actor, after=after) is None:
            raise _overtaken()
    except BaseException:
        for name, one in done.items():  # what was served is served again, unless somebody has published since
            if await graph.knowledge_store.active(name) == one.made:
                await graph.knowledge_store.activate(name, one.replaced, actor)
        raise
    return done


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
        "Another embedder was promoted, or this one taken back, meanwhile, so nothing was changed. To try again, do the same."
    )


async def _note_embedder(graph: Frontdesk) -> None:
    """Begin the history of embedders with the configured one, so that a rollback leads back to it."""
    if await _move(graph) is None:
        is_folder = Path(graph.settings.embedder).expanduser().is_dir()
        first = await asyncio.to_thread(as_version, graph, graph.settings.embedder, is_folder, Kind.EMBEDDER)
        await graph.model_registry.register(first)
        await graph.model_registry.assign(Kind.EMBEDDER, Alias.CHAMPION, first.model_id, Step.PROMOTE, SETTINGS, after=0)
