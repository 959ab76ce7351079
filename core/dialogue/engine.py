"""From a message to a reply: retrieve, decide, generate, check."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import astuple, dataclass, replace

from core import prompting
from core.dialogue import followup, wording
from core.dialogue.grounding import Grounded, backed, finished_sentences, ground, without_citations
from core.dialogue.policy import Thresholds, candidates, decide
from core.domain import (
    Citation,
    Decision,
    Exchange,
    Generation,
    Hit,
    InboundMessage,
    Limits,
    Lineage,
    Prompt,
    Reason,
    Reply,
    Retrieval,
    Timings,
    Usage,
)
from core.errors import ModelError
from core.ports import Generator, PersonDetector, Retriever
from core.text import MAX_QUESTION_CHARS, clean, hides_text, says_something

logger = logging.getLogger(__name__)

Preview = Callable[[str], Awaitable[None]]  # gets text to append to what was shown so far
CURATED = "curated"  # stands for a model in the lineage of replies that no model wrote


async def no_preview(text: str) -> None:
    """Show nothing while a reply is being written."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known before anything is said."""

    question: str
    retrieval: Retrieval
    wants_person: bool
    history: tuple[Exchange, ...]
    retrieve_ms: float


@dataclass(frozen=True, slots=True)
class _Said:
    """What is said."""

    decision: Decision
    reason: Reason
    text: str
    hits: tuple[Hit, ...] = ()  # cited
    model: str = CURATED
    usage: Usage = Usage()
    generate_ms: float = 0.0


class Engine:
    """Decides and words the reply to every message."""

    def __init__(
        self,
        retriever: Retriever,
        person_detector: PersonDetector,
        generator: Generator,
        quoting: Generator,
        thresholds: Thresholds = Thresholds(),
        *,
        limits: Limits = Limits(),
        contact: str = "",
    ) -> None:
        """`quoting` needs no model: it answers when `generator` raises `ModelError` or says what no passage backs.

        How long a model may take is for `generator` to know.
        """
        self._retriever = retriever
        self._person_detector = person_detector
        self._generator = generator
        self._quoting = quoting
        self._thresholds = thresholds
        self._limits = limits
        self._contact = contact

    async def reply(self, message: InboundMessage, history: tuple[Exchange, ...] = (), preview: Preview = no_preview) -> Reply:
        """Return the reply to `message`; `history` is oldest first. Raises `SnapshotError` when nothing is published."""
        started = time.perf_counter()
        found = await self._look(message, history)
        said = await self._say(message, found, preview)
        return self._reply(message, found, said, started)

    def apology(self) -> Reply:
        """Return what a customer is told whose message could not be answered: a person will."""
        text = wording.hand_over(wording.FAILED, self._contact)
        return self._notice(Decision.HANDOFF, Reason.FAILED, text)

    def too_many(self) -> Reply:
        """Return what a customer is told whose message is not answered because a limit is reached.

        It asks them to come back instead of handing over: a flood of messages must not become a flood of work for people.
        """
        return self._notice(Decision.CLARIFY, Reason.TOO_MANY, wording.TOO_MANY)

    def without_model(self) -> Engine:
        """Return the same dialogue, quoting passages where a model would write."""
        return Engine(
            self._retriever,
            self._person_detector,
            self._quoting,
            self._quoting,
            self._thresholds,
            limits=self._limits,
            contact=self._contact,
        )

    async def warm_up(self) -> None:
        """Ask something that nobody sees, so that the first customer does not wait for what is loaded at first use."""
        await asyncio.gather(self._retriever.retrieve("warm up"), self._person_detector.wants_person("warm up"))

    def _notice(self, decision: Decision, reason: Reason, text: str) -> Reply:
        lineage = Lineage("none", "none", prompting.VERSION, "none", self._thresholds.version)
        return Reply(decision, reason, text, (), 0.0, lineage)

    async def _look(self, message: InboundMessage, history: tuple[Exchange, ...]) -> _Found:
        started = time.perf_counter()
        question = clean(message.text)[:MAX_QUESTION_CHARS]
        if hides_text(message.text):
            logger.warning("message %s carries invisible text; it was removed from what the model sees", message.message_id)
        if not ((message.for_bot or message.overheard) and says_something(question)):
            return _Found(question, Retrieval((), "none", "none"), wants_person=False, history=history, retrieve_ms=0.0)
        retrieval, wants_person = await asyncio.gather(self._retrieve(question, history), self._person_detector.wants_person(question))
        return _Found(question, retrieval, wants_person, history, _milliseconds(started))

    async def _retrieve(self, question: str, history: tuple[Exchange, ...]) -> Retrieval:
        if not history or not followup.leans_back(question):
            return await self._retriever.retrieve(question)
        alone, context = await asyncio.gather(
            self._retriever.retrieve(question, limit=20),
            self._retriever.retrieve(followup.in_context(question, history), limit=20),
        )
        merged = followup.merge(alone, context, self._thresholds.direct)
        return replace(merged, hits=merged.hits[:5])

    async def _say(self, message: InboundMessage, found: _Found, preview: Preview) -> _Said:
        if not message.for_bot and not self._may_join_in(message, found):
            return _Said(Decision.SILENT, Reason.NOT_FOR_BOT, "")
        if not says_something(found.question):
            return _Said(Decision.CLARIFY, Reason.NOTHING_TO_READ, wording.nothing_to_read(found.question))
        if found.wants_person:
            text = wording.hand_over(wording.PERSON, self._contact)
            return _Said(Decision.HANDOFF, Reason.ASKED_FOR_PERSON, text)
        decision, reason = decide(found.retrieval.hits, self._thresholds)
        courtesy = wording.small_talk(found.question)
        if courtesy and not decision.answers:
            return _Said(Decision.CLARIFY, Reason.SMALL_TALK, courtesy)
        match decision:
            case Decision.DIRECT:
                return _Said(decision, reason, found.retrieval.hits[0].passage.text, found.retrieval.hits[:1])
            case Decision.ANSWER:
                return await self._compose(found, preview, "/".join(astuple(message.address)))
            case Decision.CLARIFY:
                offered = candidates(found.retrieval.hits, self._thresholds)
                return _Said(decision, reason, wording.clarification(offered), offered)
            case _:
                return self._no_answer(reason)

    def _may_join_in(self, message: InboundMessage, found: _Found) -> bool:
        """Unasked the bot speaks only when it is as sure as for a curated answer; a draft harms nobody, so an answer is enough."""
        if not message.overheard or not found.retrieval.hits or found.wants_person:
            return False
        least = self._thresholds.answer if message.draft else self._thresholds.direct
        return found.retrieval.hits[0].score >= least

    async def _compose(self, found: _Found, preview: Preview, conversation: str) -> _Said:
        started = time.perf_counter()
        hits = prompting.worth_reading(found.retrieval.hits, self._thresholds.candidate)
        prompt = prompting.build(found.question, tuple(hit.passage for hit in hits), found.history, conversation)
        generation = await self._generate(prompt, preview)
        if generation is not None and prompting.abstains(generation.text):
            said = self._no_answer(Reason.LOW_CONFIDENCE)
            return replace(said, model=generation.model_version, usage=generation.usage, generate_ms=_milliseconds(started))
        grounded, reason = ground(generation, prompt) if generation else None, Reason.COMPOSED
        if generation is None or grounded is None:
            quote = await _finish(self._quoting, prompt, self._limits)
            text = quote.text if generation else f"{quote.text}\n\n{wording.OR_A_PERSON}"
            generation, grounded, reason = generation or quote, Grounded(text, prompt.passages[:1]), Reason.QUOTED
        cited = tuple(hit for passage in grounded.passages for hit in hits if hit.passage == passage)
        usage, model = generation.usage, generation.model_version
        return _Said(Decision.ANSWER, reason, grounded.text, cited, model, usage, _milliseconds(started))

    async def _generate(self, prompt: Prompt, preview: Preview) -> Generation | None:
        """Return what the model wrote, None when it failed."""
        try:
            return await _finish(self._generator, prompt, self._limits, _Shown(prompt, preview).add)
        except ModelError as error:
            logger.error("the model failed, the best passage is quoted instead: %s", error)
            return None

    def _no_answer(self, reason: Reason) -> _Said:
        return _Said(Decision.HANDOFF, reason, wording.hand_over(wording.NO_ANSWER, self._contact))

    def _reply(self, message: InboundMessage, found: _Found, said: _Said, started: float) -> Reply:
        was_cut = len(clean(message.text)) > MAX_QUESTION_CHARS and said.text
        hits = found.retrieval.hits
        return Reply(
            decision=said.decision,
            reason=said.reason,
            text=f"{said.text}\n\n{wording.CUT}" if was_cut else said.text,
            citations=tuple(_citation(hit) for hit in said.hits),
            confidence=round(hits[0].score, 4) if hits else 0.0,
            lineage=Lineage(
                model=said.model,
                index=found.retrieval.index_version,
                prompt=prompting.VERSION,
                embedder=found.retrieval.embedder_version,
                policy=self._thresholds.version,
            ),
            timings_ms=Timings(found.retrieve_ms, round(said.generate_ms, 1), _milliseconds(started)),
            usage=said.usage,
            hits=hits,
        )


class _Shown:
    """Passes on finished sentences that a passage backs, and nothing more after the first one that none does."""

    def __init__(self, prompt: Prompt, preview: Preview) -> None:
        self._prompt = prompt
        self._preview = preview
        self._written = ""
        self._count = 0
        self._open = True

    async def add(self, piece: str) -> None:
        self._written += piece
        for sentence in finished_sentences(self._written)[self._count :]:
            self._count += 1
            self._open = self._open and backed(sentence, self._prompt)
            if self._open:
                await self._preview(without_citations(sentence))


async def _finish(generator: Generator, prompt: Prompt, limits: Limits, show: Preview = no_preview) -> Generation:
    async with aclosing(generator.stream(prompt, limits)) as pieces:  # a caller that goes away frees its place at once
        async for piece in pieces:
            if isinstance(piece, Generation):
                return piece
            await show(piece)
    raise ModelError(f"{generator.version} ended without a result")


def _citation(hit: Hit) -> Citation:
    return Citation(hit.passage.passage_id, hit.passage.title, hit.passage.url, round(hit.score, 4))


def _milliseconds(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
