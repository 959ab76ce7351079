"""Every correction store keeps each proposal once, clean, until somebody decides about it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.corrections import MAX_ANSWER_CHARS, Cause, CorrectionDraft
from core.text import MAX_QUESTION_CHARS
from tests.contracts.counter import Counter

DRAFT = CorrectionDraft(None, "How do I pay?", "By card or invoice.", Cause.WRONG_TEXT, "slack:W:U1", "slack")


async def test_a_proposal_waits_with_all_it_says(counter: Counter) -> None:
    draft = replace(DRAFT, turn_id=await counter.ask())
    correction_id = await counter.corrections.propose(draft)
    (waiting,) = await counter.corrections.pending(10)
    assert (waiting.correction_id, waiting.draft) == (correction_id, draft)
    assert waiting.proposed_at.tzinfo is not None


async def test_the_same_draft_proposed_twice_is_one_even_at_once(counter: Counter) -> None:
    draft = replace(DRAFT, turn_id=await counter.ask())
    first = await counter.corrections.propose(draft)
    again = await asyncio.gather(
        *(counter.corrections.propose(replace(draft, answer=f"  {draft.answer}\x00", origin="web")) for _ in range(5))
    )
    assert set(again) == {first}
    assert len(await counter.corrections.pending(10)) == 1


@pytest.mark.parametrize(
    "other", [{"author": "slack:W:U2"}, {"question": "May I pay?"}, {"answer": "By card."}, {"turn_id": None}], ids=str
)
async def test_a_draft_of_another_person_turn_or_text_is_another(other: dict[str, str | None], counter: Counter) -> None:
    draft = replace(DRAFT, turn_id=await counter.ask())
    assert await counter.corrections.propose(draft) != await counter.corrections.propose(replace(draft, **other))
    assert len(await counter.corrections.pending(10)) == 2


async def test_the_oldest_proposals_come_first_as_many_as_asked_for(counter: Counter) -> None:
    for number in range(4):
        await counter.corrections.propose(replace(DRAFT, answer=f"answer {number}"))
    assert [one.draft.answer for one in await counter.corrections.pending(3)] == ["answer 0", "answer 1", "answer 2"]


@pytest.mark.parametrize("forged", ["no-such-turn", "\x00", "\ud800", "x" * 500])
async def test_a_correction_of_a_turn_that_does_not_exist_is_kept_without_it(forged: str, counter: Counter) -> None:
    await counter.corrections.propose(replace(DRAFT, turn_id=forged))
    assert [one.draft for one in await counter.corrections.pending(10)] == [DRAFT]


async def test_hostile_texts_are_kept_clean_and_cut(counter: Counter) -> None:
    await counter.corrections.propose(
        replace(DRAFT, question="\u202eq\x00" + "x" * 9999, answer="'; DROP TABLE corrections; --\ud800" + "y" * 99_999)
    )
    (waiting,) = await counter.corrections.pending(10)
    assert (waiting.draft.question[:2], len(waiting.draft.question)) == ("qx", MAX_QUESTION_CHARS)
    assert (waiting.draft.answer[:28], len(waiting.draft.answer)) == ("'; DROP TABLE corrections; -", MAX_ANSWER_CHARS)
