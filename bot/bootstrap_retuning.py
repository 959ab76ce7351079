"""The part of the object graph that tunes the retriever within the learning loop; with `bot/bootstrap.py` a namer of concrete classes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.bootstrap import Frontdesk
from bot.bootstrap_models import promote_embedder
from bot.bootstrap_retriever import embedder_base, train_retriever, wordings_of
from bot.bootstrap_training import Count
from core.errors import NothingLearntError
from core.registry import Kind, ModelVersion
from core.training.progress import Watch
from core.training.retriever_recipe import RetrieverRecipe

_ACTION = "learning.retriever"


async def retuned(graph: Frontdesk, knowledge: str | None, actor: str, count: Count, watch: Watch) -> str:
    """Tune the embedder and, where held-out wordings find their passage better, publish every knowledge base with it.

    Return in a sentence what became of it; too little to learn from is no failure. Raises `FrontdeskError`.
    """
    recipe = RetrieverRecipe()
    base = await asyncio.to_thread(embedder_base, graph)
    try:
        found = await wordings_of(graph, knowledge, recipe)
        folder, outcome = await asyncio.to_thread(
            train_retriever, graph, base, recipe, found, None, lambda now: watch(now._replace(what="Retriever"))
        )
    except NothingLearntError as error:
        await graph.audit_log.record(actor, _ACTION, base.version, "refused", problem=str(error))
        return f"The retriever stays. {error}"
    version = await _registered(graph, folder, actor, count)
    await promote_embedder(graph, version, actor, count)
    await graph.audit_log.record(actor, _ACTION, version.model_id, "done", base=base.version, dataset=found.sha256)
    before, after = outcome.before.recall_at_1, outcome.after.recall_at_1
    return f"{version.model_id} retrieves now: held-out wordings found first {before:.1%} before, {after:.1%} after."


async def _registered(graph: Frontdesk, folder: Path, actor: str, count: Count) -> ModelVersion:
    known = await graph.model_registry.versions()
    version = await asyncio.to_thread(graph.artifacts.take, str(folder), known, kind=Kind.EMBEDDER, actor=actor, watch=count)
    await graph.model_registry.register(version)
    return version
