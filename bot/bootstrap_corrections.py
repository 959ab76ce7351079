"""The part of the object graph that learns from staff; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.bootstrap import Frontdesk
from core import faq, prompting
from core.domain import Hit, Passage
from core.errors import SnapshotError
from core.examples import ExampleSource
from core.staff.corrections import Corrections
from core.staff.library import Library
from core.staff.releases import Releases
from core.staff.unanswered import Unanswered, by_words
from core.storage.correction_store import SqlCorrectionStore
from core.storage.judged_examples import SqlJudgedExamples
from core.storage.members import SqlMembers
from core.storage.reviewed_examples import SqlReviewedExamples
from core.storage.turn_book import SqlTurnBook
from core.storage.unanswered import SqlUnansweredLog
from core.training.corrected import CorrectedExamples
from core.training.dataset import Builder, Dataset
from retrieval import ingest, snapshot
from retrieval.grouping import Grouper
from retrieval.retriever import Reader, SnapshotRetriever


def corrections_of(graph: Frontdesk) -> Corrections:
    """Return where corrections are proposed and decided, whatever surface they come from."""
    database = graph.database

    async def served() -> str:
        return await served_knowledge(graph)

    store, turns = SqlCorrectionStore(database), SqlTurnBook(database)
    return Corrections(store, turns, graph.knowledge_store, served, SqlMembers(database), graph.audit_log)


async def served_knowledge(graph: Frontdesk) -> str:
    """Return the knowledge base that staff work on: the one that is served, or will be."""
    try:
        return await graph.served_knowledge(publishes=False)
    except SnapshotError:  # it is not published yet
        return graph.settings.knowledge


def library_of(graph: Frontdesk, reader: Reader | None = None) -> Library:
    """Return what the knowledge pages work with; only where `reader` has an embedder can it find, group and publish."""
    retriever = reader if isinstance(reader, SnapshotRetriever) else None

    async def served() -> str:
        return await served_knowledge(graph)

    async def find(question: str) -> tuple[Hit, ...]:
        return (await retriever.retrieve(question)).hits if retriever else ()

    async def publish(knowledge: str, actor: str, progress: ingest.Progress) -> str:
        manifest = await graph.publish(knowledge, actor, progress)
        if retriever:
            await retriever.refresh()  # this process need not wait until it looks again
        return manifest.version

    async def shown() -> tuple[Passage, ...]:
        return await served_passages(graph, await served())

    log, sure = SqlUnansweredLog(graph.database), graph.settings.policy.answer
    unanswered = Unanswered(log, Grouper(retriever.embedder) if retriever else by_words, find if retriever else None, sure)
    releases = Releases(graph.knowledge_store, graph.audit_log, publish if retriever else None)
    return Library(graph.knowledge_store, served, releases, unanswered, shown, find if retriever else None, graph.audit_log)


async def served_passages(graph: Frontdesk, knowledge: str) -> tuple[Passage, ...]:
    """Return the passages that customers are answered from, none where nothing is published. Raises `SnapshotError`."""
    version = await graph.knowledge_store.active(knowledge)
    if version is None:
        return ()
    return (await asyncio.to_thread(snapshot.contents, graph.settings.snapshots / knowledge / version)).passages


async def reviewed_rows(graph: Frontdesk, knowledge: str) -> tuple[Passage, ...]:
    """Return what may be learnt: passages that are kept as they are served, and rows as a correction was approved.

    What was imported or edited since may be taken back, or still be secret.
    """
    served, store = set(await served_passages(graph, knowledge)), graph.knowledge_store
    entries = await store.find(knowledge, "", await store.count(knowledge))
    return tuple(entry.passage for entry in entries if entry.passage in served or entry.source == faq.SOURCE)


def example_sources(graph: Frontdesk) -> tuple[ExampleSource, ...]:
    """Return where examples to learn from come from."""
    return corrected_examples(graph), SqlReviewedExamples(graph.database)


def corrected_examples(graph: Frontdesk) -> ExampleSource:
    """Return where examples with the answer that was wrong come from."""
    return CorrectedExamples(SqlCorrectionStore(graph.database), SqlTurnBook(graph.database))


def judged_examples(graph: Frontdesk) -> ExampleSource:
    """Return where answers that customers liked or disliked come from."""
    return SqlJudgedExamples(graph.database, graph.settings.policy.candidate)


async def dataset_of(graph: Frontdesk, progress: Callable[[int], None]) -> tuple[Dataset, dict[str, str]]:
    """Return what training would see, and the versions it was built with; `progress` gets how many examples there are, after each."""
    knowledge = await graph.served_knowledge()
    retriever, store = graph.retriever(knowledge), graph.knowledge_store

    async def find(question: str) -> tuple[Hit, ...]:
        return (await retriever.retrieve(question)).hits

    async def kept(passage_id: str) -> Passage | None:
        entry = await store.entry(knowledge, passage_id)
        return entry.passage if entry else None

    sources = (*example_sources(graph), judged_examples(graph))
    examples = [example for source in sources for example in await source.examples()]
    builder = Builder(find, kept, graph.settings.training.platforms, graph.settings.policy.candidate)
    dataset = await builder.build(examples, lambda: progress(len(examples)))
    manifest = await retriever.manifest()
    return dataset, {"knowledge": manifest.knowledge, "index": manifest.version, "embedder": manifest.embedder, "prompt": prompting.VERSION}
