"""What stands behind the counter of a test's Frontdesk: a small knowledge, a model that writes what it is told, a person detector."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from core.domain import Generation, Hit, Limits, Passage, Prompt, Retrieval, Usage

REFUND = "Refunds take 14 days. See https://shop.example/refunds for more."
PARCEL = "A parcel takes 3 days. It is tracked. You can follow it on our page."
ARTICLES = {
    "refund": (Passage("refund", "refund", "How long does a refund take?", REFUND, url="https://shop.example/refunds"), 0.95),
    "parcel": (Passage("parcel", "parcel", "How long does a parcel take?", PARCEL, url="https://shop.example/parcels"), 0.75),
}


@dataclass
class Shelf:
    """Knowledge of two articles, unless others are given: sure about refunds, fairly sure about parcels."""

    articles: dict[str, tuple[Passage, float]] = field(default_factory=lambda: dict(ARTICLES))

    async def retrieve(self, question: str, limit: int = 5) -> Retrieval:
        hits = tuple(Hit(*entry) for word, entry in self.articles.items() if word in question.lower())
        return Retrieval(hits, "index-1", "embedder@1")

    async def passage(self, passage_id: str) -> Passage | None:
        return self.articles[passage_id][0] if passage_id in self.articles else None

    async def titles(self, count: int) -> tuple[str, ...]:
        return tuple(passage.title for passage, _ in self.articles.values())[:count]


class AsksForPerson:
    """A person detector that knows one word."""

    async def wants_person(self, text: str) -> bool:
        return "person" in text


@dataclass
class Writer:
    """A model that writes the parcel article, or what it is given, in two pieces; with a `gate` it waits before the second."""

    version = "writer"
    is_open = True
    gate: asyncio.Event | None = None
    pieces: tuple[str, str] = ("A parcel takes 3 days. [1] It is tracked. [1] ", "You can follow it on our page. [1]")
    began: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)  # the questions it got
    prompts: list[Prompt] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)  # reasons of answers that mean another one here

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        self.asked.append(prompt.question)
        self.prompts.append(prompt)
        self.began.set()
        yield self.pieces[0]
        if self.gate is not None:
            await self.gate.wait()
        yield self.pieces[1]
        yield Generation("".join(self.pieces), self.version, usage=Usage(9, 20))

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...
