"""The part of the object graph that lets another embedder serve; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.bootstrap import Frontdesk
from bot.bootstrap_models import SETTINGS, as_version
from core.errors import ModelError
from core.registry import Alias, Kind, ModelVersion, Step
from retrieval.ingest import Progress, Reindexed


async def promote_embedder(graph: Frontdesk, version: ModelVersion, actor: str, progress: Progress) -> str:
    """Build an index of what is served of every knowledge base with another embedder and serve them all, or none.

    What was edited since it was published stays as it is. Raises `FrontdeskError`.
    """
    await _note_embedder(graph)
    move = await graph.model_registry.current(Kind.EMBEDDER, Alias.CHAMPION)
    embedder = await asyncio.to_thread(graph.embedder_of_version, version)
    done: dict[str, Reindexed] = {}
    try:
        while behind := await _behind(graph, version.model_id):  # again where somebody published meanwhile, with the embedder before
            for name in behind:
                if await graph.model_registry.current(Kind.EMBEDDER, Alias.CHAMPION) != move:
                    raise _overtaken()
                if made := await graph.reindex(name, actor, progress, embedder):
                    done[name] = made
        after = move.assignment_id if move else 0
        if await graph.model_registry.assign(Kind.EMBEDDER, Alias.CHAMPION, version.model_id, Step.PROMOTE, actor, after=after) is None:
            raise _overtaken()
    except BaseException:
        for name, one in done.items():  # what was served is served again, unless somebody has published since
            if await graph.knowledge_store.active(name) == one.made:
                await graph.knowledge_store.activate(name, one.replaced, actor)
        raise
    return f"{version.model_id} embeds from now on; indexed: {', '.join(done) or 'nothing'}."


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
    if await graph.model_registry.current(Kind.EMBEDDER, Alias.CHAMPION) is None:
        is_folder = Path(graph.settings.embedder).expanduser().is_dir()
        first = await asyncio.to_thread(as_version, graph, graph.settings.embedder, is_folder, Kind.EMBEDDER)
        await graph.model_registry.register(first)
        await graph.model_registry.assign(Kind.EMBEDDER, Alias.CHAMPION, first.model_id, Step.PROMOTE, SETTINGS, after=0)
