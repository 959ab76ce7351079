"""What customers thought of answers that a model wrote is learnt from, as long as they may be remembered."""

from __future__ import annotations

from dataclasses import replace

from core.domain import Citation, Decision, Hit, Lineage, Passage, Reason, Reply
from core.feedback import Feedback, FeedbackReason
from core.storage.database import Database
from core.storage.judged_examples import SqlJudgedExamples
from tests.contracts.counter import REPLY, SqlCounter

PAY = Passage("pay", "pay", "How do I pay?", "By card.")
SHIP = Passage("ship", "ship", "How do you ship?", "By post.")
FAR = Passage("far", "far", "Who are you?", "A shop.")
WRITTEN = replace(
    REPLY, decision=Decision.ANSWER, reason=Reason.COMPOSED, text="By post. [1] By card. [2]",
    lineage=Lineage("m@1", "i", "p", "e", "policy"),
    citations=(Citation("ship", "", None, 0.3), Citation("pay", "", None, 0.9)), hits=(Hit(PAY, 0.9), Hit(SHIP, 0.3), Hit(FAR, 0.1)),
)  # fmt: skip


async def judged(counter: SqlCounter, question: str, *thumbs: bool | FeedbackReason, reply: Reply = WRITTEN, actor: str = "ann") -> str:
    """Ask, and have several people judge; a reason is a thumb down."""
    turn_id = await counter.ask(question, actor=actor, reply=reply)
    for number, thumb in enumerate(thumbs):
        reason = thumb if isinstance(thumb, FeedbackReason) else None
        await counter.feedback.give(Feedback(turn_id, f"judge{number}", helpful=thumb is True, reason=reason))
    return turn_id


async def test_an_answer_that_a_model_wrote_comes_with_what_was_thought_of_it_and_what_it_was_written_from(database: Database) -> None:
    counter, source = SqlCounter(database), SqlJudgedExamples(database, 0.15)
    turn_id = await judged(counter, "How?", True)
    (one,) = await source.examples()
    assert (one.example_id, one.question, one.answer, one.liked) == (turn_id, "How?", "By post. [1] By card. [2]", True)
    assert (one.cites, one.shown, one.passage_id) == (("ship", "pay"), ("pay", "ship"), "ship")
    assert (one.source, one.origin, one.own_words) == ("feedback", "test", True)
    assert one.conversation_id  # which is on one side of the split


async def test_only_judgements_of_a_models_own_words_count_and_the_majority_of_them_decides(database: Database) -> None:
    counter, source = SqlCounter(database), SqlJudgedExamples(database, 0.15)
    await judged(counter, "most liked it", True, False, True)
    await judged(counter, "most did not", False, FeedbackReason.WRONG, True)
    await judged(counter, "nobody can tell", True, False)
    await judged(counter, "the knowledge was old", FeedbackReason.OUTDATED)
    await judged(counter, "nobody said")
    await judged(counter, "a curated answer", True, reply=replace(WRITTEN, decision=Decision.DIRECT, reason=Reason.CONFIDENT))
    await judged(counter, "a quotation for the model's words", True, reply=replace(WRITTEN, reason=Reason.QUOTED))
    await judged(counter, "no model", True, reply=replace(WRITTEN, lineage=replace(WRITTEN.lineage, model="extractive")))
    found = await source.examples()
    assert [(one.question, one.liked) for one in found] == [("most liked it", True), ("most did not", False)]


async def test_what_staff_changed_before_it_was_sent_says_nothing_of_the_model(database: Database) -> None:
    counter, source = SqlCounter(database), SqlJudgedExamples(database, 0.15)
    for question, text in (("sent as it was", None), ("changed", "By card or by post.")):
        turn_id = await counter.ask(question, reply=WRITTEN, draft=True)
        assert await counter.drafts.send(turn_id, text)
        await counter.feedback.give(Feedback(turn_id, "ann", helpful=True))
    assert [one.question for one in await source.examples()] == ["sent as it was"]


async def test_bad_input_an_erased_customer_is_in_no_later_dataset_nor_is_what_they_thought(
    database: Database,
) -> None:
    counter, source = SqlCounter(database), SqlJudgedExamples(database, 0.15)
    await judged(counter, "of ann", True)
    await judged(counter, "of bob", True, actor="bob")
    turn_id = await judged(counter, "of bob, judged by ann", actor="bob")
    await counter.feedback.give(Feedback(turn_id, "ann", helpful=False))
    assert [one.question for one in await source.examples()] == ["of ann", "of bob", "of bob, judged by ann"]
    await counter.privacy.erase("test", "w", "ann")
    assert [one.question for one in await source.examples()] == ["of bob"]
