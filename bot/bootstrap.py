"""Builds the object graph; the only namer of concrete classes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import as_file, files

from threadpoolctl import threadpool_limits

from bot.bootstrap_handoffs import courtesy_of, staff_places
from bot.dispatch import Dispatch
from bot.metrics import Metrics
from bot.settings import Settings
from core.audit import AuditLog
from core.delivery.courier import Courier
from core.delivery.crew import Bell
from core.delivery.reception import Reception
from core.delivery.sweeper import Sweeper
from core.delivery.worker import Worker
from core.dialogue import wording
from core.dialogue.engine import Engine
from core.dialogue.policy import Thresholds
from core.domain import Cue, InboundMessage, Limits, Passage
from core.errors import SnapshotError
from core.figures import FigureBook
from core.knowledge import KnowledgeStore
from core.ports import ChatAdapter, ConversationLog, Embedder, Generator, Inbox, Outbox, PersonDetector
from core.presence import Channels
from core.privacy import PrivacyDesk
from core.quota import Allowance, Budget
from core.registry import ARTIFACT, Alias, HostBoard, Kind, ModelRegistry, ModelVersion, VersionLog
from core.serving import headroom, weights
from core.serving.artifacts import Artifacts
from core.serving.extractive import ExtractiveGenerator
from core.staff.retention import Retention
from core.storage.audit import SqlAuditLog
from core.storage.channels import SqlChannels
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.figures import SqlFigureBook
from core.storage.host_board import SqlHostBoard
from core.storage.inbox import SqlInbox
from core.storage.knowledge_store import SqlKnowledgeStore
from core.storage.model_registry import SqlModelRegistry
from core.storage.outbox import SqlOutbox
from core.storage.privacy import SqlPrivacyDesk
from core.storage.quota import SqlBudget
from core.storage.updates import SqlUpdates
from core.storage.version_log import SqlVersionLog
from core.updates import Updates
from retrieval import documents, ingest, snapshot
from retrieval.embedding import SentenceEmbedder
from retrieval.person_request import PhrasePersonDetector
from retrieval.retriever import SnapshotReader, SnapshotRetriever

SAMPLE = "sample"
DEFAULT = "default"

Report = Callable[[str], None]


@dataclass(frozen=True)
class Frontdesk:
    """Everything that a process may need; each part is built when it is first asked for."""

    settings: Settings
    database: Database
    report: Report

    @cached_property
    def knowledge_store(self) -> KnowledgeStore:
        """The source of truth of knowledge."""
        return SqlKnowledgeStore(self.database)

    @cached_property
    def conversation_log(self) -> ConversationLog:
        """Where conversations are kept."""
        return SqlConversationLog(self.database)

    @cached_property
    def audit_log(self) -> AuditLog:
        """Who did what."""
        return SqlAuditLog(self.database)

    @cached_property
    def privacy_desk(self) -> PrivacyDesk:
        """What is kept of one person."""
        return SqlPrivacyDesk(self.database)

    @cached_property
    def figure_book(self) -> FigureBook:
        """How the bot does, by day."""
        return SqlFigureBook(self.database)

    @staticmethod
    def sample() -> tuple[Passage, ...]:
        """The passages of the sample: a FAQ about Frontdesk itself."""
        with as_file(files("retrieval") / "sample" / "frontdesk.jsonl") as path:
            return tuple(documents.read(path, path.name, strict=True).passages())

    @cached_property
    def model_registry(self) -> ModelRegistry:
        """Versions of models, and which of them serve."""
        return SqlModelRegistry(self.database)

    @cached_property
    def host_board(self) -> HostBoard:
        """What each process serves."""
        return SqlHostBoard(self.database)

    @cached_property
    def version_log(self) -> VersionLog:
        """What became of the answers of each version."""
        return SqlVersionLog(self.database)

    @cached_property
    def channels(self) -> Channels:
        """What admins have set for channels."""
        return SqlChannels(self.database)

    @cached_property
    def artifacts(self) -> Artifacts:
        """Imported models on this machine."""
        return Artifacts(self.settings.artifacts, self.settings.model_dir, self.report)

    @cached_property
    def metrics(self) -> Metrics:
        """What this process counts."""
        return Metrics()

    @cached_property
    def embedder(self) -> Embedder:
        """The configured embedder: what the next publish uses."""
        return self._open_embedder(self.settings.embedder)

    def retriever(self, knowledge: str) -> SnapshotRetriever:
        """A retriever on the served snapshot of `knowledge`, with the embedder that snapshot was built with."""
        folder = self.settings.snapshots / knowledge
        return SnapshotRetriever(self.knowledge_store, folder, knowledge, self._embedder_of)

    def reader(self, knowledge: str) -> SnapshotReader:
        """The passages of the served snapshot of `knowledge`, without an embedder."""
        return SnapshotReader(self.knowledge_store, self.settings.snapshots / knowledge, knowledge)

    def person_detector(self, embedder: Embedder) -> PersonDetector:
        """What recognises a customer who wants a person."""
        return PhrasePersonDetector(embedder)

    @cached_property
    def quoting(self) -> Generator:
        """The generator that needs no model."""
        return ExtractiveGenerator()

    async def engine(self, retriever: SnapshotRetriever, generator: Generator) -> Engine:
        """The dialogue engine on the served knowledge."""
        manifest = await retriever.manifest()
        return Engine(
            retriever,
            self.person_detector(self._embedder_of(manifest.embedder)),
            generator,
            self.quoting,
            Thresholds(**self.settings.policy.model_dump()),
            limits=Limits(self.settings.max_answer_tokens),
            contact=self.settings.contact,
        )

    @cached_property
    def inbox(self) -> Inbox:
        """Accepted messages."""
        return SqlInbox(self.database, staff_places(self.settings))

    @cached_property
    def dispatch(self) -> Dispatch:
        """The one path of every inbound event."""
        return Dispatch(self.inbox, self._accepted, self.metrics)

    def worker(self, engine: Engine, adapters: Mapping[str, ChatAdapter]) -> Worker:
        """What answers accepted messages; previews go to the adapters of this process."""

        async def preview(message: InboundMessage, attempt: str, text: str | Cue) -> None:
            if message.address.platform in adapters:
                await adapters[message.address.platform].preview(message, attempt, text)

        reception = Reception(engine, self.conversation_log, self.budget, courtesy_of(self.settings).away)
        return Worker(self.inbox, self.conversation_log, reception, preview, self._accepted, self._finished, meter=self.metrics)

    @cached_property
    def budget(self) -> Budget:
        """How much may be asked."""
        return SqlBudget(self.database, Allowance(**self.settings.limits.model_dump()))

    def sweeper(self) -> Sweeper:
        """What tells customers that their answer takes longer."""
        return Sweeper(self.outbox, wording.DELAYED, self._finished)

    def retention(self) -> Retention:
        """What erases the text of old conversations."""
        return Retention(self.privacy_desk, self.settings.retention_days)

    @cached_property
    def outbox(self) -> Outbox:
        """Replies to deliver."""
        return SqlOutbox(self.database)

    @cached_property
    def updates(self) -> Updates:
        """What customers are told besides answers."""
        return SqlUpdates(self.database)

    def courier(self, adapters: Mapping[str, ChatAdapter]) -> Courier:
        """What delivers replies through the adapters of this process."""
        return Courier(self.outbox, adapters, self._finished, meter=self.metrics)

    def ring(self) -> None:
        """Say that there may be something to deliver."""
        self._finished.ring()

    @cached_property
    def _accepted(self) -> Bell:
        return Bell()

    @cached_property
    def _finished(self) -> Bell:
        return Bell()

    async def served_knowledge(self, wanted: str | None = None, *, publishes: bool = True) -> str:
        """Return the knowledge base to serve: the wanted or configured one, or the sample where there is none yet.

        The sample is published by whoever `publishes`; a process without an embedder leaves that to the others.
        Raises `SnapshotError` when a named one is not published.
        """
        name = wanted or self.settings.knowledge
        if await self.knowledge_store.active(name) is not None:
            return name
        if wanted is None and name == DEFAULT and not set(await self.knowledge_store.names()) - {SAMPLE}:
            if publishes:
                await self.publish_sample()
            return SAMPLE
        raise SnapshotError(f"Knowledge {name!r} is not published. Run: frontdesk knowledge publish --knowledge {name}")

    async def publish_sample(self) -> None:
        """Import and publish the sample: a FAQ about Frontdesk itself; what is unchanged costs nothing."""
        await self.knowledge_store.replace_source(SAMPLE, "sample", self.sample(), keep_missing=lambda: False)
        await self.publish(SAMPLE, "system", lambda step, done, total: None)

    async def publish(self, knowledge: str, actor: str, progress: ingest.Progress) -> snapshot.Manifest:
        """Publish a knowledge base with the promoted embedder, or the configured one where none was."""
        move = await self.model_registry.current(Kind.EMBEDDER, Alias.CHAMPION)
        folder, embedder = self.settings.snapshots / knowledge, await self._publishing_embedder()
        manifest = await ingest.publish(self.knowledge_store, folder, knowledge, embedder, actor, progress)
        if await self.model_registry.current(Kind.EMBEDDER, Alias.CHAMPION) != move:  # another one serves by now: it has to index this too
            return await self.publish(knowledge, actor, progress)
        return manifest

    async def _publishing_embedder(self) -> Embedder:
        promoted = await self.model_registry.current(Kind.EMBEDDER, Alias.CHAMPION)
        if promoted is None or not promoted.model_id:
            return self.embedder
        return await asyncio.to_thread(self.embedder_of_version, await self.model_registry.version(promoted.model_id))

    def embedder_of_version(self, version: ModelVersion) -> Embedder:
        """The embedder that a registered version is, its files checked. Blocks. Raises `ModelError`."""
        if not version.location.startswith(ARTIFACT):
            return self._open_embedder(version.location)
        return self._embedders.setdefault(version.model_id, SentenceEmbedder(self.artifacts.open(version).folder, version.model_id))

    def _open_embedder(self, model_id: str) -> Embedder:
        found = weights.resolve(model_id, self.settings.model_dir, self.report)
        return self._embedders.setdefault(found.version, SentenceEmbedder(found.folder, found.version))

    def _embedder_of(self, version: str) -> Embedder:
        """The embedder that a manifest names: the configured one when it is the same, else that other one."""
        if version not in self._embedders and (self.settings.artifacts / version).is_dir():  # it was imported
            folder = self.artifacts.folder(f"{ARTIFACT}{version}")
            return self._embedders.setdefault(version, SentenceEmbedder(folder, version))
        if version not in self._embedders and self.embedder.version != version:
            return self._open_embedder(version.rpartition("@")[0])
        return self._embedders[version]

    @cached_property
    def _embedders(self) -> dict[str, Embedder]:
        return {}


@asynccontextmanager
async def frontdesk(settings: Settings, report: Report) -> AsyncIterator[Frontdesk]:
    """Open the database and give the graph; an SQLite schema is brought up to date, a PostgreSQL one must be."""
    # Ranking solves small systems in many threads: BLAS threads of its own only wait for each other (12 ms a search, not 1.8).
    threadpool_limits(1, user_api="blas")
    headroom.share_arenas()
    database = Database(settings.database)
    try:
        await (database.upgrade() if database.is_sqlite else database.require_newest())
        yield Frontdesk(settings, database, report)
    finally:
        await database.close()
