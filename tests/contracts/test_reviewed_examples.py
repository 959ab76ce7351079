"""Answers that a reviewer found good are examples, as long as the conversation is kept."""

from __future__ import annotations

from dataclasses import replace

from core.domain import Citation, Decision, Reason
from core.members import EVERYWHERE
from core.reviews import Verdict
from core.storage.database import Database
from core.storage.reviewed_examples import SqlReviewedExamples
from core.storage.reviews import SqlReviewQueue
from tests.contracts.counter import REPLY, SqlCounter

CITED = replace(REPLY, citations=(Citation("pay", "How do I pay?", None, 0.9),))


async def test_only_good_answers_from_the_knowledge_are_examples_and_leave_with_whoever_asked(database: Database) -> None:
    counter, queue, source = SqlCounter(database), SqlReviewQueue(database), SqlReviewedExamples(database)
    for text, reply, verdict, actor in (
        ("of ann", CITED, Verdict.GOOD, "ann"),
        ("of bob", CITED, Verdict.GOOD, "bob"),
        ("wrong", CITED, Verdict.NEEDS_CORRECTION, "ann"),
        ("without a source", REPLY, Verdict.GOOD, "ann"),
        ("handed over", replace(CITED, decision=Decision.HANDOFF), Verdict.GOOD, "ann"),
    ):
        turn_id = await counter.ask(text, actor=actor, reply=reply)
        await queue.open(EVERYWHERE, turn_id, "eve")
        assert await queue.decide(EVERYWHERE, turn_id, "eve", verdict)
    await counter.ask("nobody looked", reply=CITED)
    ann, bob = await source.examples()
    assert (ann.question, ann.answer, ann.passage_id, ann.source, ann.origin, ann.own_words) == (
        "of ann", "By card.", "pay", "review", "test", True,
    )  # fmt: skip
    assert ann.conversation_id and ann.conversation_id == bob.conversation_id
    assert ann.cites == ()  # a curated answer has no marks
    await counter.privacy.erase("test", "w", "ann")
    assert await source.examples() == (bob,)


async def test_marks_in_what_a_model_wrote_are_known(database: Database) -> None:
    counter, queue = SqlCounter(database), SqlReviewQueue(database)
    turn_id = await counter.ask("how?", reply=replace(CITED, text="By card. [1]", decision=Decision.ANSWER, reason=Reason.COMPOSED))
    await queue.open(EVERYWHERE, turn_id, "eve")
    assert await queue.decide(EVERYWHERE, turn_id, "eve", Verdict.GOOD)
    (one,) = await SqlReviewedExamples(database).examples()
    assert (one.answer, one.cites) == ("By card. [1]", ("pay",))
