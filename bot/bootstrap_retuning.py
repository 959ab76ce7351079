"""The part of the object graph that tunes the retriever within the learning loop; with `bot/bootstrap.py` a namer of concrete classes."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.bootstrap import Frontdesk
from bot.bootstrap_embedder import promote_embedder
from bot.bootstrap_retriever import embedder_base, folder_of, train_retriever, wordings_of
from bot.bootstrap_training import Count, trained_from
from core.audit import Filter
from core.errors import FrontdeskError, NothingLearntError
from core.learning import STOPPED
from core.registry import Alias, Kind, ModelVersion
from core.training import finding, workplace
from core.training.gate import Bar, told
from core.training.progress import Watch
from core.training.retriever_recipe import RetrieverRecipe
from core.training.wordings import Wordings

_ACTION = "learning.retriever"


async def retuned(graph: Frontdesk, knowledge: str | None, actor: str, count: Count, watch: Watch) -> str:
    """Tune the embedder and, where held-out wordings surely find their passage better than by what serves, index with it what is served.

    Return in a sentence what became of it, nothing where the same wordings were judged before. Whatever fails keeps nobody from learning
    answers, and is tried again by the next run. Raises `TrainingError` when the run was stopped.
    """
    recipe, folder = RetrieverRecipe(), Path()
    try:
        base = await asyncio.to_thread(embedder_base, graph)
        found = await wordings_of(graph, knowledge, recipe)
        folder = folder_of(graph, base, recipe, found)
        if await graph.audit_log.entries(1, wanted=Filter(action=_ACTION, text=f'"judged": "{folder.name}"')):
            return ""
        await asyncio.to_thread(train_retriever, graph, base, recipe, found, None, lambda now: watch(now._replace(what="Retriever")))
        version = await _registered(graph, folder, actor, count)
        result, said = await _judged(graph, knowledge, version, found, actor, count)
    except FrontdeskError as error:
        if str(error) == STOPPED:
            raise
        return await _stays(graph, actor, folder, error)
    await graph.audit_log.record(actor, _ACTION, version.model_id, result, base=base.version, judged=folder.name)
    await asyncio.to_thread(workplace.tidy, folder)
    return said


async def _stays(graph: Frontdesk, actor: str, folder: Path, error: FrontdeskError) -> str:
    """Note why the retriever stays; where nothing was gained that is a judgement too."""
    judged = ""
    if isinstance(error, NothingLearntError) and folder.name:
        judged = folder.name
        await asyncio.to_thread(workplace.tidy, folder)
    await graph.audit_log.record(actor, _ACTION, graph.settings.embedder, "refused", problem=str(error), judged=judged)
    return f"The retriever stays. {error}"


async def _judged(
    graph: Frontdesk, knowledge: str | None, version: ModelVersion, found: Wordings, actor: str, count: Count
) -> tuple[str, str]:
    """Index with a version where it surely finds better than what serves; return what became of it, and why in a sentence."""
    served = await graph.retriever(await graph.served_knowledge(knowledge)).embedder()
    history = await graph.model_registry.history(Kind.EMBEDDER, Alias.CHAMPION)
    alike = await _alike(graph, version)
    if served.version in alike and history and history[0].model_id in alike:
        return "done", f"{served.version} retrieves already."
    if alike & {move.model_id for move in history}:
        return "refused", f"The retriever stays: {version.model_id} has served before, and somebody took it back."
    if served.version == version.model_id:  # a run was cut off while it indexed
        await promote_embedder(graph, version, actor, count)
        return "done", f"{version.model_id} retrieves now."
    tuned = await asyncio.to_thread(graph.embedder_of_version, version)
    better, asked = await asyncio.to_thread(finding.compared, found, served.encode, tuned.encode)
    said = f"MRR@10 of {asked} held-out wordings: {told(better)} against {served.version}."
    if asked < Bar().fewest or better.low <= 0:  # a single wording that moves up is chance, and to index takes minutes
        return "refused", f"The retriever stays: that {version.model_id} finds better is not sure. {said}"
    await promote_embedder(graph, version, actor, count)
    return "done", f"{version.model_id} retrieves now. {said}"


async def _alike(graph: Frontdesk, version: ModelVersion) -> set[str]:
    """Return the versions that were tuned by the same recipe on the same wordings and from the same base, whatever they are called."""
    recipe, base = version.recipe.rpartition(" code=")[0], trained_from(graph, version)
    known = await graph.model_registry.versions(Kind.EMBEDDER)
    same = [one for one in known if one.dataset_sha256 == version.dataset_sha256 and one.recipe.startswith(f"{recipe} ")]
    return {one.model_id for one in same if trained_from(graph, one) in ("", base)}  # "": its folder is on another machine


async def _registered(graph: Frontdesk, folder: Path, actor: str, count: Count) -> ModelVersion:
    known = await graph.model_registry.versions()
    version = await asyncio.to_thread(graph.artifacts.take, str(folder), known, kind=Kind.EMBEDDER, actor=actor, watch=count)
    await graph.model_registry.register(version)
    return version
