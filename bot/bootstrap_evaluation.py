"""The part of the object graph that measures answers; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, NamedTuple

from bot.bootstrap import Frontdesk
from bot.bootstrap_models import loader_of, version_of
from core import prompting
from core.dialogue.grounding import ground
from core.domain import Generation, Limits, Passage, Prompt
from core.errors import FrontdeskError, ModelError
from core.ports import Generator
from core.registry import EXTRACTIVE, REMOTE, ModelVersion
from core.serving import entailment, likelihood
from core.serving.bases import best_device
from core.serving.likelihood import Expected
from core.serving.weights import Weights, resolve
from core.training import support
from core.training.evaluation import Written

AT_ONCE = 8  # questions that a model answers together, as customers ask
Row = Mapping[str, Any]
Count = Callable[[str, int, int], None]


class Asked(NamedTuple):
    """A question with what was retrieved for it."""

    prompt: Prompt
    reference: str
    relevant: frozenset[str]


async def asked(graph: Frontdesk, knowledge: str, rows: Sequence[Row], count: Count) -> tuple[list[Asked], dict[str, str]]:
    """Return the prompts that serving would build, and the versions they were built with; a row may withhold passages."""
    withheld = [ids_withheld(row) for row in rows]
    retriever = graph.retriever(knowledge)
    manifest = await retriever.manifest()
    found = []
    for row, hidden in zip(rows, withheld, strict=True):
        every = (await retriever.retrieve(row["question"])).hits
        hits = tuple(hit for hit in every if not _is_one(hit.passage, hidden))
        passages = tuple(hit.passage for hit in prompting.worth_reading(hits, graph.settings.policy.candidate))
        gone = hidden | {hit.passage.passage_id for hit in every if _is_one(hit.passage, hidden)}
        relevant = frozenset(map(str, row["relevant"])) - gone
        found.append(Asked(prompting.build(row["question"], passages), row["reference"] or "", relevant))
        count("retrieve", 1, len(rows))
    return found, {"index": manifest.version, "embedder": manifest.embedder, "prompt": prompting.VERSION}


def ids_withheld(row: Row) -> frozenset[str]:
    """Return the ids of passages and documents that a row keeps out of its prompt. Raises `FrontdeskError` for what is no list."""
    found = row.get("withheld") or []
    if not isinstance(found, list):  # the letters of a text would be ids, and nothing would be withheld
        raise FrontdeskError(f'"withheld" is a list of ids, as in ["ret-1"]; in the row of {row["question"][:60]!r} it is not.')
    return frozenset(map(str, found))


async def written(graph: Frontdesk, model_id: str | None, questions: Sequence[Asked], count: Count) -> tuple[str, list[Written]]:
    """Let a version answer, None: the one that serves; return its name and what it wrote. Raises `ModelError`."""
    version = await version_of(graph, model_id)
    return version.model_id, await written_by(graph, version, questions, count)


async def written_by(graph: Frontdesk, version: ModelVersion, questions: Sequence[Asked], count: Count) -> list[Written]:
    """Return what a version writes, registered or not. Raises `ModelError`."""
    generator = await loader_of(graph).load(version)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(question: Asked) -> Written:
        async with gate:
            found = await _written(generator, question, Limits(graph.settings.max_answer_tokens))
        count("answer", 1, len(questions))
        return found

    try:
        await generator.open()
        return list(await asyncio.gather(*map(one, questions)))
    finally:
        await generator.aclose()


async def judge_of(graph: Frontdesk) -> str:
    """Return the version of the entailment model that is set, empty for none: it must be there before hours of answering.

    Raises `ModelError`.
    """
    return (await asyncio.to_thread(_judge, graph)).version if graph.settings.training.entailment else ""


async def supported(graph: Frontdesk, knowledge: str, answers: Sequence[Written], count: Count) -> list[Written]:
    """Return the answers with how near their passages they are, and whether they follow from them where a model for that is set.

    Raises `ModelError`.
    """
    embedder = await graph.retriever(knowledge).embedder()
    near = await asyncio.to_thread(support.similar, answers, embedder.encode)
    if not graph.settings.training.entailment:
        return near
    return await asyncio.to_thread(support.entailed, near, partial(_chances, graph, count))


def _judge(graph: Frontdesk) -> Weights:
    return resolve(graph.settings.training.entailment, graph.settings.model_dir, graph.report)


def _chances(graph: Frontdesk, count: Count, pairs: Sequence[tuple[str, str]]) -> list[float]:
    return entailment.chances(_judge(graph), _device(graph), pairs, lambda done: count("judge", done, len(pairs)))


async def perplexity(graph: Frontdesk, model_id: str, questions: Sequence[Asked], count: Count) -> float | None:
    """Return how surprised a version is by the references, None for one that does not tell. Raises `ModelError`."""
    version = await version_of(graph, model_id)
    if version.location == EXTRACTIVE or version.location.startswith(REMOTE) or version.base.startswith(REMOTE):
        return None
    expected = [Expected(prompting.messages(one.prompt), one.reference) for one in questions if one.reference]
    own = await asyncio.to_thread(graph.artifacts.open, version)
    found, adapter = (graph.artifacts.base(version), own.folder) if version.base else (own, None)
    nats = await asyncio.to_thread(likelihood.nats, found, adapter, _device(graph), expected, lambda: count("read", 1, len(expected)))
    return math.exp(nats)


def _device(graph: Frontdesk) -> str:
    return best_device() if graph.settings.device == "auto" else graph.settings.device


async def _written(generator: Generator, question: Asked, limits: Limits) -> Written:
    started = time.perf_counter()
    generation = await _finished(generator, question.prompt, limits)
    seconds = time.perf_counter() - started
    grounded = not prompting.abstains(generation.text) and ground(generation, question.prompt) is not None
    prompt = question.prompt
    return Written(prompt.question, question.reference, generation.text, prompt.passages, question.relevant, grounded, seconds)


async def _finished(generator: Generator, prompt: Prompt, limits: Limits) -> Generation:
    async with aclosing(generator.stream(prompt, limits)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Generation):
                return piece
    raise ModelError(f"{generator.version} ended without a result")


def _is_one(passage: Passage, ids: frozenset[str]) -> bool:
    return passage.passage_id in ids or passage.document_id in ids
