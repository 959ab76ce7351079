"""The part of the object graph that tunes the retriever within the learning loop; with `bot/bootstrap.py` a namer of concrete classes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.bootstrap import Frontdesk
from bot.bootstrap_models import promote_embedder
from bot.bootstrap_retriever import embedder_base, folder_of, train_retriever, wordings_of
from bot.bootstrap_training import Count
from core.audit import Filter
from core.errors import NothingLearntError, TrainingError
from core.learning import STOPPED
from core.registry import Kind, ModelVersion
from core.training import finding, workplace
from core.training.gate import Bar, told
from core.training.progress import Watch
from core.training.retriever_recipe import RetrieverRecipe
from core.training.wordings import Wordings

_ACTION = "learning.retriever"


async def retuned(graph: Frontdesk, knowledge: str | None, actor: str, count: Count, watch: Watch) -> str:
    """Tune the embedder and, where held-out wordings surely find their passage better than by what serves, publish with it everywhere.

    Return in a sentence what became of it, nothing where the same wordings were judged before: what people decided since then stands.
    What cannot be tuned keeps nobody from learning answers. Raises `FrontdeskError` when publishing fails, or when the run was stopped.
    """
    recipe, folder = RetrieverRecipe(), Path()
    try:
        base = await asyncio.to_thread(embedder_base, graph)
        found = await wordings_of(graph, knowledge, recipe)
        folder = folder_of(graph, base, recipe, found)
        if await graph.audit_log.entries(1, wanted=Filter(action=_ACTION, text=folder.name)):
            return ""
        await asyncio.to_thread(train_retriever, graph, base, recipe, found, None, lambda now: watch(now._replace(what="Retriever")))
    except TrainingError as error:
        if str(error) == STOPPED:
            raise
        return await _stays(graph, actor, folder, error)
    version = await _registered(graph, folder, actor, count)
    result, said = await _judged(graph, knowledge, version, found, actor, count)
    await graph.audit_log.record(actor, _ACTION, version.model_id, result, base=base.version, judged=folder.name)
    await asyncio.to_thread(workplace.tidy, folder)
    return said


async def _stays(graph: Frontdesk, actor: str, folder: Path, error: TrainingError) -> str:
    """Note why nothing was tuned; where nothing was gained that is a judgement too."""
    judged = ""
    if isinstance(error, NothingLearntError) and folder.name:
        judged = folder.name
        await asyncio.to_thread(workplace.tidy, folder)
    await graph.audit_log.record(actor, _ACTION, graph.settings.embedder, "refused", problem=str(error), judged=judged)
    return f"The retriever stays. {error}"


async def _judged(
    graph: Frontdesk, knowledge: str | None, version: ModelVersion, found: Wordings, actor: str, count: Count
) -> tuple[str, str]:
    """Publish with a version where it surely finds better than what serves; return what became of it, and why in a sentence."""
    served = await graph.retriever(await graph.served_knowledge(knowledge)).embedder()
    if served.version == version.model_id:
        return "done", f"{version.model_id} retrieves already."
    tuned = await asyncio.to_thread(graph.embedder_of_version, version)
    better, asked = await asyncio.to_thread(finding.compared, found, served.encode, tuned.encode)
    said = f"MRR@10 of {asked} held-out wordings: {told(better)} against {served.version}."
    if asked < Bar().fewest or better.low <= 0:  # a single wording that moves up is chance, and to publish takes minutes
        return "refused", f"The retriever stays: that {version.model_id} finds better is not sure. {said}"
    await promote_embedder(graph, version, actor, count)
    return "done", f"{version.model_id} retrieves now. {said}"


async def _registered(graph: Frontdesk, folder: Path, actor: str, count: Count) -> ModelVersion:
    known = await graph.model_registry.versions()
    version = await asyncio.to_thread(graph.artifacts.take, str(folder), known, kind=Kind.EMBEDDER, actor=actor, watch=count)
    await graph.model_registry.register(version)
    return version
