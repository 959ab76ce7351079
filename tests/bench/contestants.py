"""Frontdesk, a plain LangChain and a plain Haystack pipeline behind one face, each as its own tutorial builds it."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from bot.bootstrap import Frontdesk, frontdesk
from bot.bootstrap_models import generator_of
from bot.settings import Settings
from core.dialogue.engine import Engine
from core.dialogue.policy import Thresholds
from core.domain import Actor, Address, InboundMessage, Limits, Passage
from core.serving import weights

Ask = Callable[[str], Awaitable[object]]
MAX_TOKENS = 64
PASSAGES = 3
_INSTRUCTION = "Answer the question in one to three sentences using only these passages."


async def frontdesk_asks(passages: Sequence[Passage], stage: str) -> Ask:
    """Return Frontdesk's way of answering at a stage: `retrieve`, `direct` (the whole dialogue) or `generate`."""
    folder = tempfile.mkdtemp(prefix="frontdesk-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings = Settings(data_dir=Path(folder))
    graph = await frontdesk(settings, lambda line: None).__aenter__()  # open until the process ends
    await graph.knowledge_store.replace_source("bench", "bench", passages, keep_missing=lambda: False)
    await graph.publish("bench", "bench", lambda step, done, total: None)
    retriever = graph.retriever("bench")
    if stage == "retrieve":
        return retriever.retrieve
    engine = await _generating(graph) if stage == "generate" else await graph.engine(retriever, graph.quoting)
    return lambda question: engine.reply(_message(question))


async def _generating(graph: Frontdesk) -> Engine:
    """An engine that lets the model answer every question, so that all contestants write the same number of answers."""
    retriever, generator = graph.retriever("bench"), await generator_of(graph)
    await generator.open()
    detector = graph.person_detector(graph.embedder)
    return Engine(retriever, detector, generator, graph.quoting, Thresholds(direct=1.1, answer=0), limits=Limits(MAX_TOKENS))


def _message(question: str) -> InboundMessage:
    return InboundMessage(uuid.uuid4().hex, Address("bench", "", "", uuid.uuid4().hex), Actor("bench"), question)


async def langchain_asks(passages: Sequence[Passage], stage: str) -> Ask:
    """LangChain: FAISS store, the same embedder, and for `generate` a `HuggingFacePipeline` with the same model."""
    from langchain_community.vectorstores import FAISS
    from langchain_huggingface import HuggingFaceEmbeddings

    embeddings = HuggingFaceEmbeddings(model_name=str(_embedder_folder()), encode_kwargs={"normalize_embeddings": True})
    store = await asyncio.to_thread(FAISS.from_texts, [_text(passage) for passage in passages], embeddings)
    if stage != "generate":
        return lambda question: store.asimilarity_search_with_score(question, k=5)
    from langchain_core.prompts import PromptTemplate
    from langchain_huggingface import HuggingFacePipeline

    options = {"max_new_tokens": MAX_TOKENS, "do_sample": False, "return_full_text": False}
    model = HuggingFacePipeline.from_model_id(str(_model_folder()), task="text-generation", pipeline_kwargs=options)
    chain = PromptTemplate.from_template(_INSTRUCTION + "\n\n{context}\n\nQuestion: {question}\nAnswer:") | model

    async def ask(question: str) -> str:
        found = await store.asimilarity_search_with_score(question, k=PASSAGES)
        context = "\n\n".join(document.page_content for document, _ in found)
        return await chain.ainvoke({"context": context, "question": question})

    return ask


async def haystack_asks(passages: Sequence[Passage], stage: str) -> Ask:
    """Haystack: in-memory store, the same embedder, and for `generate` a `TransformersChatGenerator` with the same model."""
    from haystack import Document, Pipeline
    from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore
    from haystack_integrations.components.embedders.sentence_transformers import (
        SentenceTransformersDocumentEmbedder,
        SentenceTransformersTextEmbedder,
    )

    folder = str(_embedder_folder())
    documents = SentenceTransformersDocumentEmbedder(model=folder, progress_bar=False)
    documents.warm_up()
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    store.write_documents(documents.run([Document(content=_text(passage)) for passage in passages])["documents"])
    pipeline = Pipeline()
    pipeline.add_component("embedder", SentenceTransformersTextEmbedder(model=folder, progress_bar=False))
    pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=PASSAGES if stage == "generate" else 5))
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    if stage == "generate":
        _add_generator(pipeline)
    return lambda question: pipeline.run_async(_inputs(question, stage))


def _add_generator(pipeline: Any) -> None:
    from haystack.components.builders import ChatPromptBuilder
    from haystack.dataclasses import ChatMessage
    from haystack_integrations.components.generators.transformers import TransformersChatGenerator

    template = _INSTRUCTION + "\n\n{% for d in documents %}{{ d.content }}\n\n{% endfor %}Question: {{ question }}"
    pipeline.add_component("prompt", ChatPromptBuilder([ChatMessage.from_user(template)], required_variables="*"))
    options = {"max_new_tokens": MAX_TOKENS, "do_sample": False}
    pipeline.add_component("llm", TransformersChatGenerator(model=str(_model_folder()), task="text-generation", generation_kwargs=options))
    pipeline.connect("retriever.documents", "prompt.documents")
    pipeline.connect("prompt.prompt", "llm.messages")


def _inputs(question: str, stage: str) -> dict[str, Any]:
    inputs: dict[str, Any] = {"embedder": {"text": question}}
    return inputs | {"prompt": {"question": question}} if stage == "generate" else inputs


def _embedder_folder() -> Path:
    return weights.resolve(weights.MINILM, Settings().model_dir).folder


def _model_folder() -> Path:
    return weights.resolve(weights.SMOLLM, Settings().model_dir).folder


def _text(passage: Passage) -> str:
    return f"{passage.title}\n{passage.text}"


CONTESTANTS = {"frontdesk": frontdesk_asks, "langchain": langchain_asks, "haystack": haystack_asks}
