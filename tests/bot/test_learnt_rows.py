"""What is learnt is what was published, and what somebody else of staff approved: what is still being edited is neither."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.bootstrap import Frontdesk, frontdesk
from bot.bootstrap_retriever import wordings_of
from bot.bootstrap_training import material_of
from bot.settings import read
from core.corrections import Cause, CorrectionDraft, Ruling, State
from core.domain import Passage
from core.storage.correction_store import SqlCorrectionStore
from core.training.recipe import Recipe
from core.training.retriever_recipe import RetrieverRecipe
from tests.retrieval.simple import WordEmbedder

TOPICS = ("refund", "coupon", "pickup", "invoice", "parcel", "voucher", "basket", "warranty")
EDITED = "The next sale begins on the tenth of May, which nobody knows yet."
APPROVED = "Gift cards are valid for three years."
pytestmark = pytest.mark.slow


def row(topic: str) -> Passage:
    """A row that shares no word with another: what nearly says the same is learnt from, or judged by, as one."""
    asked = [" ".join(f"{topic}{word}{number}" for number in range(4)) for word in ("where", "when", "why")]
    return Passage(topic, topic, f"{topic} {topic}what?", " ".join(f"{topic}{number}" for number in range(8)) + ".", tuple(asked))


ROWS = [row(topic) for topic in TOPICS]


@pytest.fixture
async def graph(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Frontdesk]:
    """A FAQ that was published, and edited since: a row that is new, and one that says something else."""
    monkeypatch.setattr(Frontdesk, "embedder", WordEmbedder())
    monkeypatch.setattr(Frontdesk, "_embedder_of", lambda self, version: self.embedder)
    async with frontdesk(read(), lambda line: None) as opened:
        await fill(opened, *ROWS)
        await publish(opened)
        await fill(opened, replace(ROWS[0], text=EDITED), *ROWS[1:], row("secret"))
        yield opened


async def fill(graph: Frontdesk, *rows: Passage) -> None:
    await graph.knowledge_store.replace_source("default", "faq", rows, keep_missing=lambda: False)


async def publish(graph: Frontdesk) -> None:
    await graph.publish("default", "eve", lambda step, done, total: None)


async def learnt(graph: Frontdesk) -> str:
    """All that a model and a retriever would learn from."""
    material = await material_of(graph, None, Recipe(unanswerable=0.0, held_out=0.3), lambda step, done, total: None)
    found = await wordings_of(graph, None, RetrieverRecipe(held_out=0.3))
    answers = [message["content"] for one in (*material.parts.train, *material.parts.held_out) for message in one["messages"]]
    return "\n".join([*answers, *map(str, found.topics), *map(str, found.held_out)])


async def test_bad_input_a_row_that_nobody_published_is_not_learnt_from(graph: Frontdesk) -> None:
    found = await learnt(graph)
    assert all(topic in found for topic in TOPICS[1:])
    assert (EDITED in found, "secret" in found) == (False, False)
    await publish(graph)
    found = await learnt(graph)
    assert (EDITED in found, "secret" in found) == (True, True)


def ruled(row: Passage) -> Ruling:
    return Ruling(State.APPROVED, "console:bob", knowledge="default", row=row)


async def test_what_was_approved_is_learnt_from_before_its_row_is_published(graph: Frontdesk) -> None:
    store = SqlCorrectionStore(graph.database)
    draft = CorrectionDraft(None, "How long is a gift card valid?", APPROVED, Cause.MISSING_FAQ, "slack:W:U1", "console")
    made = Passage("a-correction", "a-correction", draft.question, draft.answer)
    assert APPROVED not in await learnt(graph)
    assert await store.decide(await store.propose(draft), 1, ruled(made))
    found = await learnt(graph)
    assert found.count(APPROVED) >= 2, "by the model and by the retriever"
    assert "secret" not in found
    assert await graph.knowledge_store.put("default", "console", replace(made, text=EDITED), await version(graph, made.passage_id))
    assert EDITED not in await learnt(graph), "what is edited after it was approved was approved by nobody"


async def version(graph: Frontdesk, passage_id: str) -> str | None:
    entry = await graph.knowledge_store.entry("default", passage_id)
    return entry.version if entry else None


async def test_to_publish_what_was_learnt_before_is_nothing_new(graph: Frontdesk) -> None:
    await graph.knowledge_store.replace_source("default", "faq", ROWS, keep_missing=lambda: False)
    store, made = SqlCorrectionStore(graph.database), replace(ROWS[2], text=APPROVED)
    draft = CorrectionDraft(None, made.title, APPROVED, Cause.WRONG_TEXT, "slack:W:U1", "console")
    assert await store.decide(await store.propose(draft), 1, ruled(made))
    before = await wordings_of(graph, None, RetrieverRecipe(held_out=0.3))
    assert ROWS[2].text not in str(before.topics) and APPROVED in str(before.topics)
    await publish(graph)
    assert (await wordings_of(graph, None, RetrieverRecipe(held_out=0.3))).sha256 == before.sha256
