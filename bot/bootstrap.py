"""Builds the object graph; the only namer of concrete classes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import as_file, files

from threadpoolctl import threadpool_limits

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
from core.domain import Cue, InboundMessage, Limits
from core.errors import SettingsError, SnapshotError
from core.knowledge import KnowledgeStore
from core.ports import ChatAdapter, ConversationLog, Embedder, Generator, Inbox, Outbox, PersonDetector
from core.privacy import PrivacyDesk
from core.quota import Allowance, Budget
from core.registry import REMOTE
from core.serving import weights
from core.serving.endpoints import EndpointPool
from core.serving.extractive import ExtractiveGenerator
from core.serving.local import LocalGenerator, best_device
from core.serving.remote import RemoteGenerator
from core.serving.remote_server import OpenAIServer
from core.serving.resilient import ResilientGenerator
from core.staff.retention import Retention
from core.storage.audit import SqlAuditLog
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from core.storage.knowledge_store import SqlKnowledgeStore
from core.storage.outbox import SqlOutbox
from core.storage.privacy import SqlPrivacyDesk
from core.storage.quota import SqlBudget
from retrieval import documents, ingest, snapshot
from retrieval.embedding import SentenceEmbedder
from retrieval.person_request import PhrasePersonDetector
from retrieval.retriever import SnapshotRetriever

SAMPLE = "sample"
DEFAULT = "default"
EXTRACTIVE = ExtractiveGenerator.version  # the setting and the lineage of "no language model"

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

    def person_detector(self, embedder: Embedder) -> PersonDetector:
        """What recognises a customer who wants a person."""
        return PhrasePersonDetector(embedder)

    @cached_property
    def quoting(self) -> Generator:
        """The generator that needs no model."""
        return ExtractiveGenerator()

    def generator(self) -> Generator:
        """The configured language model. Raises `ModelError` when it cannot be had."""
        if self.settings.model == EXTRACTIVE:
            return self.quoting
        model_id = self._chosen_model()
        if model_id is None:
            self.report("No language model is at hand: answers quote the best passage. See: frontdesk doctor")
            return self.quoting
        other = self.settings.fallback_model
        return ResilientGenerator(self._model(model_id), self._model(other) if other else None)  # without one, the engine quotes

    @cached_property
    def model_name(self) -> str:
        """The language model that is configured, by its id."""
        return self._chosen_model() or "none is at hand, answers quote the best passage"

    async def endpoints(self) -> Mapping[str, str]:
        """What is wrong with each endpoint of the remote models that are configured, empty where nothing is, by model and address."""
        found: dict[str, str] = {}
        for model_id in (self.settings.model, self.settings.fallback_model):
            if model_id.startswith(REMOTE):
                async with aclosing(self._remote(model_id)) as generator:
                    found |= {f"{model_id} at {url}": problem for url, problem in (await generator.look()).items()}
        return found

    def _model(self, model_id: str) -> Generator:
        return self._remote(model_id) if model_id.startswith(REMOTE) else self._local(model_id)

    def _remote(self, model_id: str) -> RemoteGenerator:
        """A generator with endpoints of its own: it closes them. Raises `SettingsError`."""
        name, remote = model_id.removeprefix(REMOTE), self.settings.remote
        if not name or not remote.addresses:
            raise SettingsError(f"{model_id!r} needs the name of a model after the colon, and remote.urls: http://HOST:8000/v1")
        return RemoteGenerator(EndpointPool([OpenAIServer(url, remote.api_key) for url in remote.addresses]), name, model_id)

    def _local(self, model_id: str) -> LocalGenerator:
        return LocalGenerator(weights.resolve(model_id, self.settings.model_dir, self.report), self.settings.device)

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
        asked = {"slack": self.settings.slack.staff_channel, "discord": self.settings.discord.staff_channel}
        return SqlInbox(self.database, alerts={platform for platform, channel in asked.items() if channel})

    @cached_property
    def dispatch(self) -> Dispatch:
        """The one path of every inbound event."""
        return Dispatch(self.inbox, self._accepted, self.metrics)

    def worker(self, engine: Engine, adapters: Mapping[str, ChatAdapter]) -> Worker:
        """What answers accepted messages; previews go to the adapters of this process."""

        async def preview(message: InboundMessage, attempt: str, text: str | Cue) -> None:
            if message.address.platform in adapters:
                await adapters[message.address.platform].preview(message, attempt, text)

        reception = Reception(engine, self.conversation_log, self.budget)
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

    def courier(self, adapters: Mapping[str, ChatAdapter]) -> Courier:
        """What delivers replies through the adapters of this process."""
        return Courier(self.outbox, adapters, self._finished, meter=self.metrics)

    @cached_property
    def _accepted(self) -> Bell:
        return Bell()

    @cached_property
    def _finished(self) -> Bell:
        return Bell()

    async def served_knowledge(self, wanted: str | None = None) -> str:
        """Return the knowledge base to serve: the wanted or configured one, or the sample on a machine that has none yet.

        Raises `SnapshotError` when a named one is not published.
        """
        name = wanted or self.settings.knowledge
        if await self.knowledge_store.active(name) is not None:
            return name
        if wanted is None and name == DEFAULT and not set(await self.knowledge_store.names()) - {SAMPLE}:
            await self.publish_sample()
            return SAMPLE
        raise SnapshotError(f"Knowledge {name!r} is not published. Run: frontdesk knowledge publish --knowledge {name}")

    async def publish_sample(self) -> None:
        """Import and publish the sample: a FAQ about Frontdesk itself; what is unchanged costs nothing."""
        with as_file(files("retrieval") / "sample" / "frontdesk.jsonl") as path:
            reading = documents.read(path, path.name, strict=True)
            await self.knowledge_store.replace_source(SAMPLE, "sample", reading.passages(), keep_missing=lambda: False)
        await self.publish(SAMPLE, "system", lambda step, done, total: None)

    async def publish(self, knowledge: str, actor: str, progress: ingest.Progress) -> snapshot.Manifest:
        """Publish a knowledge base with the configured embedder."""
        folder = self.settings.snapshots / knowledge
        return await ingest.publish(self.knowledge_store, folder, knowledge, self.embedder, actor, progress)

    def _chosen_model(self) -> str | None:
        if self.settings.model != "auto":
            return self.settings.model
        if best_device() == "cuda" and weights.available_offline(weights.QWEN, self.settings.model_dir):
            return weights.QWEN
        return weights.SMOLLM if weights.available_offline(weights.SMOLLM, self.settings.model_dir) else None

    def _open_embedder(self, model_id: str) -> Embedder:
        found = weights.resolve(model_id, self.settings.model_dir, self.report)
        return self._embedders.setdefault(found.version, SentenceEmbedder(found.folder, found.version))

    def _embedder_of(self, version: str) -> Embedder:
        """The embedder that a manifest names: the configured one when it is the same, else that other one."""
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
    database = Database(settings.database)
    try:
        await (database.upgrade() if database.is_sqlite else database.require_newest())
        yield Frontdesk(settings, database, report)
    finally:
        await database.close()
