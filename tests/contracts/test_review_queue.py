"""The queue of reviews: what comes in, in which order, for whom, and that nobody looks at what somebody else looks at."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import tuple_

from core.domain import Address, Decision, Reason, Reply, utc_now
from core.feedback import Feedback
from core.members import EVERYWHERE, Scope
from core.reviews import Place, Sign, Verdict
from core.storage.database import Database
from core.storage.reviews import ORDER, SqlReviewQueue, first_waiting
from tests.contracts.counter import HERE, REPLY, SqlCounter

ELSEWHERE = Address("test", "other", "c", "t9")
UNSURE = replace(REPLY, decision=Decision.ANSWER, reason=Reason.COMPOSED, confidence=0.7)
QUOTED = replace(REPLY, decision=Decision.ANSWER, reason=Reason.QUOTED, confidence=0.8)
HANDED = replace(REPLY, decision=Decision.HANDOFF, reason=Reason.ASKED_FOR_PERSON)


@pytest.fixture
def queue(database: Database) -> SqlReviewQueue:
    return SqlReviewQueue(database)


@pytest.fixture
def counter(database: Database) -> SqlCounter:
    return SqlCounter(database)


async def waiting(queue: SqlReviewQueue, scope: Scope = EVERYWHERE) -> list[str]:
    return [item.record.question for item in await queue.waiting(scope, 50) if item.signs != Sign.SAMPLED]


async def thumb_down(counter: SqlCounter, turn_id: str) -> None:
    assert await counter.feedback.give(Feedback(turn_id, "ann", helpful=False))


async def fill(counter: SqlCounter) -> dict[str, str]:
    asked = {"handed": HANDED, "ungrounded": QUOTED, "unsure": UNSURE, "good": REPLY, "bad": REPLY}
    turns = {text: await counter.ask(text, reply=reply) for text, reply in asked.items()}
    turns["this is useless"] = await counter.ask("this is useless")
    await thumb_down(counter, turns["bad"])
    return turns


async def test_the_worst_comes_first_and_what_is_good_not_at_all(queue: SqlReviewQueue, counter: SqlCounter) -> None:
    await fill(counter)
    assert await waiting(queue) == ["bad", "unsure", "ungrounded", "this is useless", "handed"]


async def test_of_the_same_risk_the_newest_comes_first_and_pages_follow_one_another(queue: SqlReviewQueue, counter: SqlCounter) -> None:
    for number in range(5):
        await counter.ask(f"q{number}", reply=UNSURE)
    first = await queue.waiting(EVERYWHERE, 2)
    second = await queue.waiting(EVERYWHERE, 2, first[-1].place)
    assert [item.record.question for item in (*first, *second)] == ["q4", "q3", "q2", "q1"]
    assert await queue.count(EVERYWHERE, 100) == 5
    assert await queue.count(EVERYWHERE, 3) == 3


@pytest.mark.parametrize("scope", [Scope(), Scope(frozenset({("test", "other")})), Scope(frozenset({("slack", "w")}))], ids=str)
async def test_nothing_outside_the_scope_is_seen_taken_or_judged(scope: Scope, queue: SqlReviewQueue, counter: SqlCounter) -> None:
    turn_id = await counter.ask("mine", reply=UNSURE)
    assert await queue.waiting(scope, 10) == ()
    assert await queue.count(scope, 10) == 0
    assert await queue.item(scope, turn_id) is None
    assert await queue.open(scope, turn_id, "eve") is None
    assert await queue.open_next(scope, "eve") is None
    assert not await queue.decide(scope, turn_id, "eve", Verdict.GOOD)
    assert await waiting(queue) == ["mine"]


async def test_a_scope_of_several_workspaces_is_one_queue(queue: SqlReviewQueue, counter: SqlCounter) -> None:
    await counter.ask("here", reply=QUOTED)
    await counter.ask("there", address=ELSEWHERE, reply=UNSURE)
    await counter.ask("far", address=replace(HERE, workspace_id="far"), reply=UNSURE)
    assert await waiting(queue, Scope(frozenset({("test", "w"), ("test", "other")}))) == ["there", "here"]


async def test_what_one_has_opened_the_next_does_not_get(queue: SqlReviewQueue, counter: SqlCounter) -> None:
    turns = await fill(counter)
    first, second = await queue.open_next(EVERYWHERE, "ann"), await queue.open_next(EVERYWHERE, "bob")
    assert first and second
    assert (first.record.question, second.record.question) == ("bad", "unsure")
    held = await queue.open(EVERYWHERE, turns["bad"], "bob")
    assert held is not None
    assert (held.is_yours, held.item.holder) == (False, "ann")
    assert not await queue.decide(EVERYWHERE, turns["bad"], "bob", Verdict.GOOD)
    assert await queue.decide(EVERYWHERE, turns["bad"], "ann", Verdict.GOOD)


async def test_many_who_ask_at_once_get_something_else_each(queue: SqlReviewQueue, counter: SqlCounter) -> None:
    for number in range(6):
        await counter.ask(f"q{number}", reply=UNSURE)
    found = await asyncio.gather(*(queue.open_next(EVERYWHERE, f"member-{number}") for number in range(6)))
    assert len({item.record.turn_id for item in found if item}) == 6


async def test_a_lock_ends_with_its_time_or_when_it_is_given_back(queue: SqlReviewQueue, counter: SqlCounter) -> None:
    turn_id = await counter.ask("?", reply=UNSURE)
    await queue.open(EVERYWHERE, turn_id, "ann", seconds=0)
    held = await queue.open(EVERYWHERE, turn_id, "bob")
    assert held is not None and held.is_yours
    await queue.release(turn_id, "ann")  # not hers any more
    assert await queue.open_next(EVERYWHERE, "ann") is None
    await queue.release(turn_id, "bob")
    assert await queue.open_next(EVERYWHERE, "ann") is not None


async def test_next_and_previous_go_through_the_queue_in_its_order(queue: SqlReviewQueue, counter: SqlCounter) -> None:
    for number in range(3):
        await counter.ask(f"q{number}", reply=UNSURE)
    first = await queue.open_next(EVERYWHERE, "ann")
    assert first is not None
    second = await queue.open_next(EVERYWHERE, "ann", first.place)
    assert second is not None
    back = await queue.open_next(EVERYWHERE, "ann", second.place, backwards=True)
    assert [first.record.question, second.record.question, back and back.record.question] == ["q2", "q1", "q2"]
    assert await queue.open_next(EVERYWHERE, "ann", first.place, backwards=True) is None


async def test_what_is_judged_waits_no_longer_until_a_customer_finds_it_unhelpful(queue: SqlReviewQueue, counter: SqlCounter) -> None:
    turn_id = await counter.ask("?", reply=UNSURE)
    assert await queue.decide(EVERYWHERE, turn_id, "ann", Verdict.GOOD)
    assert await waiting(queue) == []
    await thumb_down(counter, turn_id)
    (item,) = await queue.waiting(EVERYWHERE, 5)
    assert (item.signs, item.verdict) == (Sign.UNSURE | Sign.UNHELPFUL, None)
    assert await queue.decide(EVERYWHERE, turn_id, "ann", Verdict.NEEDS_CORRECTION)
    await thumb_down(counter, turn_id)  # said again, it is nothing new
    assert await waiting(queue) == []


async def test_who_takes_back_a_thumb_takes_it_from_the_queue(queue: SqlReviewQueue, counter: SqlCounter) -> None:
    turn_id = await counter.ask("?", reply=UNSURE)
    await thumb_down(counter, turn_id)
    await counter.feedback.give(Feedback(turn_id, "bob", helpful=False))
    await counter.feedback.give(Feedback(turn_id, "ann", helpful=True))
    assert [item.signs for item in await queue.waiting(EVERYWHERE, 5)] == [Sign.UNSURE | Sign.UNHELPFUL]
    await counter.feedback.give(Feedback(turn_id, "bob", helpful=True))
    assert [item.signs for item in await queue.waiting(EVERYWHERE, 5)] == [Sign.UNSURE]


async def test_any_turn_can_be_opened_and_one_that_is_not_there_cannot(queue: SqlReviewQueue, counter: SqlCounter) -> None:
    turn_id = await counter.ask("all is well")
    held = await queue.open(EVERYWHERE, turn_id, "ann")
    assert held is not None and held.is_yours
    assert await queue.decide(EVERYWHERE, turn_id, "ann", Verdict.GOOD)
    assert await queue.open(EVERYWHERE, "nothing\x00", "ann") is None


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (UNSURE, Sign.UNSURE),
        (QUOTED, Sign.UNGROUNDED),
        (HANDED, Sign.HANDED_OVER),
        (replace(HANDED, reason=Reason.LOW_CONFIDENCE), Sign.UNSURE | Sign.HANDED_OVER),
        (replace(REPLY, decision=Decision.CLARIFY, reason=Reason.CLOSE_CANDIDATES), Sign.UNSURE),
    ],
    ids=lambda value: value.reason if isinstance(value, Reply) else "",
)
async def test_signs_are_known_when_a_turn_is_written(reply: Reply, expected: Sign, queue: SqlReviewQueue, counter: SqlCounter) -> None:
    turn_id = await counter.ask("?", reply=reply)
    item = await queue.item(EVERYWHERE, turn_id)
    assert item is not None
    assert item.signs == expected


async def test_silence_and_notices_are_nobodys_work(queue: SqlReviewQueue, counter: SqlCounter) -> None:
    await counter.ask("?", reply=replace(REPLY, decision=Decision.SILENT, reason=Reason.NOT_FOR_BOT, text=""))
    await counter.ask("this is useless", reply=replace(REPLY, decision=Decision.CLARIFY, reason=Reason.TOO_MANY))
    assert await queue.waiting(EVERYWHERE, 5) == ()


async def test_what_came_since_a_moment_comes_oldest_first(queue: SqlReviewQueue, counter: SqlCounter) -> None:
    await counter.ask("before", reply=UNSURE)
    (before,) = await queue.waiting(EVERYWHERE, 1)
    for text in ("first", "second"):
        await counter.ask(text, reply=UNSURE)
    assert [item.record.question for item in await queue.since(EVERYWHERE, before.queued_at, 5)] == ["first", "second"]


@pytest.mark.parametrize("scope", [EVERYWHERE, Scope(frozenset({("test", "w"), ("test", "w2")}))], ids=["everywhere", "two workspaces"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_what_waits_is_read_in_order_from_an_index(scope: Scope, database: Database, explained: Callable[..., Any]) -> None:
    place = Place(int(Sign.UNSURE), utc_now(), "x")
    plan = await explained(database, first_waiting(scope, 30, tuple_(*ORDER) < tuple(place)))
    read = [step for step in plan if "reviews" in step]
    assert read and all(re.match(r"SEARCH reviews USING (COVERING )?INDEX reviews_waiting", step) for step in read), plan
    assert scope.workspaces or not [step for step in plan if "TEMP B-TREE" in step], plan
