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
from core.training import finding
from core.training.gate import Bar, told
from core.training.progress import Watch
from core.training.retriever_recipe import RetrieverRecipe

_ACTION = "learning.retriever"


async def retuned(graph: Frontdesk, knowledge: str | None, actor: str, count: Count, watch: Watch) -> str:
    """Tune the embedder and, where held-out wordings surely find their passage better than by what serves, publish with it everywhere.

    Return in a sentence what became of it; too little to learn from is no failure. Raises `FrontdeskError`.
    """
    recipe = RetrieverRecipe()
    base = await asyncio.to_thread(embedder_base, graph)
    try:
        found = await wordings_of(graph, knowledge, recipe)
        folder, _ = await asyncio.to_thread(
            train_retriever, graph, base, recipe, found, None, lambda now: watch(now._replace(what="Retriever"))
        )
    except NothingLearntError as error:
        await graph.audit_log.record(actor, _ACTION, base.version, "refused", problem=str(error))
        return f"The retriever stays. {error}"
    version = await _registered(graph, folder, actor, count)
    served = await graph.retriever(await graph.served_knowledge(knowledge)).embedder()
    if served.version == version.model_id:
        return f"{version.model_id} retrieves already."
    tuned = await asyncio.to_thread(graph.embedder_of_version, version)
    better, asked = await asyncio.to_thread(finding.compared, found, served.encode, tuned.encode)
    said = f"MRR@10 of {asked} held-out wordings: {told(better)} against {served.version}."
    if asked < Bar().fewest or better.low <= 0:  # a single wording that moves up is chance, and to publish takes minutes
        await graph.audit_log.record(actor, _ACTION, version.model_id, "refused", problem=said)
        return f"The retriever stays: that {version.model_id} finds better is not sure. {said}"
    await promote_embedder(graph, version, actor, count)
    await graph.audit_log.record(actor, _ACTION, version.model_id, "done", base=base.version, dataset=found.sha256)
    return f"{version.model_id} retrieves now. {said}"


async def _registered(graph: Frontdesk, folder: Path, actor: str, count: Count) -> ModelVersion:
    known = await graph.model_registry.versions()
    version = await asyncio.to_thread(graph.artifacts.take, str(folder), known, kind=Kind.EMBEDDER, actor=actor, watch=count)
    await graph.model_registry.register(version)
    return version
