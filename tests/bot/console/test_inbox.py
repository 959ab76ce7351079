"""The inbox and the conversation page: what reviewers see, take, say and may not do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.corrections import Cause, CorrectionDraft
from core.domain import Address, Citation, Decision, Hit, Passage, Reason
from core.feedback import Feedback
from core.members import Role, Scope
from tests.bot.console.desk import Desk
from tests.contracts.counter import HERE, REPLY, SqlCounter

THERE = Address("slack", "T1", "C1", "t9")
MINE = Scope(frozenset({("test", "w")}))
UNSURE = replace(REPLY, decision=Decision.ANSWER, reason=Reason.COMPOSED, confidence=0.7)
HOSTILE = "<script>window.hacked=1</script><img src=x onerror=alert(1)> [x](javascript:alert(1)) \u202eevil {{7*7}}"


@pytest.fixture
def counter(desk: Desk) -> SqlCounter:
    return SqlCounter(desk.graph.database)


async def conversation_of(desk: Desk, turn_id: str) -> str:
    async with desk.graph.database.read() as connection:
        query = f"SELECT conversation_id FROM turns WHERE turn_id = '{turn_id}'"
        conversation_id: str = (await connection.exec_driver_sql(query)).scalar_one()
        return conversation_id


async def done(desk: Desk, action: str) -> list[tuple[str, str]]:
    return [(entry.target, entry.result) for entry in await desk.graph.audit_log.entries(50) if entry.action == action]


async def test_a_reviewer_takes_the_first_says_something_and_gets_the_next(desk: Desk, counter: SqlCounter) -> None:
    second, first = await counter.ask("second", reply=UNSURE), await counter.ask("first", reply=UNSURE)
    browser = await desk.browser(Role.AGENT)
    inbox = (await browser.get("/inbox")).text
    assert inbox.index("first") < inbox.index("second")
    assert "2</span> to review" in inbox
    taken = await browser.post("/inbox/next")
    assert f"turn={first}" in taken.headers["location"]
    shown = (await browser.get(taken.headers["location"].removeprefix("/console"))).text
    assert "Is this reply right?" in shown and "low confidence" in shown
    following = await browser.post(f"/inbox/{first}/verdict", {"verdict": "good"})
    assert f"turn={second}" in following.headers["location"]
    end = await browser.post(f"/inbox/{second}/verdict", {"verdict": "skip"})
    assert end.headers["location"] == "/console/inbox"
    assert "Nothing waits for a review" in (await browser.get("/inbox")).text
    assert await done(desk, "review.decide") == [(f"turn:{second}", "done"), (f"turn:{first}", "done")]


async def test_what_somebody_looks_at_is_said_to_the_next_and_not_given(desk: Desk, counter: SqlCounter) -> None:
    turn_id = await counter.ask("?", reply=UNSURE)
    first, second = await desk.browser(Role.AGENT), await desk.browser(Role.AGENT)
    await first.post(f"/inbox/{turn_id}/open")
    refused = await second.post(f"/inbox/{turn_id}/open")
    assert refused.headers["location"] == "/console/inbox"
    assert "looks at this one right now" in (await second.get("/inbox")).text
    await second.post(f"/inbox/{turn_id}/verdict", {"verdict": "good"})
    assert await done(desk, "review.decide") == [(f"turn:{turn_id}", "refused")]
    await first.post(f"/inbox/{turn_id}/leave")
    assert "turn=" in (await second.post("/inbox/next")).headers["location"]


async def test_next_and_previous_go_through_the_queue(desk: Desk, counter: SqlCounter) -> None:
    turns = [await counter.ask(text, reply=UNSURE) for text in ("third", "second", "first")]
    browser = await desk.browser(Role.AGENT)
    assert turns[2] in (await browser.post("/inbox/next")).headers["location"]
    assert turns[1] in (await browser.post("/inbox/next", {"turn": turns[2]})).headers["location"]
    assert turns[2] in (await browser.post("/inbox/next", {"turn": turns[1], "backwards": "1"})).headers["location"]
    assert (await browser.post("/inbox/next", {"turn": turns[2], "backwards": "1"})).headers["location"] == "/console/inbox"


async def test_pages_of_a_long_queue_follow_one_another(desk: Desk, counter: SqlCounter) -> None:
    for number in range(42):
        await counter.ask(f"question-{number:02}", reply=UNSURE)
    browser = await desk.browser(Role.VIEWER)
    first = (await browser.get("/inbox")).text
    assert "question-41" in first and "question-01" not in first
    address = first.partition('href="/console/inbox?after=')[2].partition('"')[0]
    second = (await browser.get(f"/inbox?after={address}")).text
    assert "question-01" in second and "question-00" in second and "question-02" not in second


@pytest.mark.parametrize("after", ["x", "1.2", "1.2.\x00", "99999.1.a", "1.99999999999999999999.a", "1.1.%27"])
async def test_a_place_that_cannot_be_is_refused_in_words(after: str, desk: Desk) -> None:
    assert (await (await desk.browser(Role.VIEWER)).get("/inbox", params={"after": after})).status_code == 422


async def test_a_viewer_reads_and_changes_nothing(desk: Desk, counter: SqlCounter) -> None:
    turn_id = await counter.ask("?", reply=UNSURE)
    browser = await desk.browser(Role.VIEWER)
    assert "Review the next one" not in (await browser.get("/inbox")).text
    for path in ("/inbox/next", f"/inbox/{turn_id}/open", f"/inbox/{turn_id}/verdict", f"/inbox/{turn_id}/leave"):
        assert (await browser.post(path, {"verdict": "good"})).status_code == 403


async def test_bad_input_48_what_belongs_to_another_workspace_is_not_there_and_the_attempt_is_kept(desk: Desk, counter: SqlCounter) -> None:
    theirs = await counter.ask("canary", address=THERE, reply=UNSURE)
    conversation_id = await conversation_of(desk, theirs)
    browser = await desk.browser(Role.AGENT, MINE)
    assert "canary" not in (await browser.get("/inbox")).text
    for path in (f"/conversations/{conversation_id}", f"/conversations/{conversation_id}?turn={theirs}", "/conversations/nothing%00"):
        answer = await browser.get(path)
        assert (answer.status_code, "canary" in answer.text) == (404, False)
    assert (await browser.post(f"/inbox/{theirs}/open")).status_code == 404
    assert (await browser.post(f"/inbox/{theirs}/verdict", {"verdict": "good"})).status_code == 404
    assert (await browser.post(f"/inbox/{theirs}/leave")).status_code == 404
    await browser.post("/inbox/next", {"turn": theirs})
    kept = await done(desk, "console.look")
    assert (f"conversation:{conversation_id}", "denied") in kept and (f"turn:{theirs}", "denied") in kept
    assert await done(desk, "review.decide") == []


async def test_a_conversation_shows_what_led_to_each_answer_and_what_became_of_it(desk: Desk, counter: SqlCounter) -> None:
    hit = Hit(Passage("pay", "pay", "How do I pay?", "By card.", url="https://shop.example/pay"), 0.91)
    reply = replace(UNSURE, text="By card only.", hits=(hit,), citations=(Citation("pay", "How do I pay?", None, 0.91),))
    turn_id = await counter.ask("paying", reply=reply)
    await counter.feedback.give(Feedback(turn_id, "ann", helpful=False, comment="and by phone?"))
    await counter.corrections.propose(CorrectionDraft(turn_id, "paying", "By card or phone.", Cause.WRONG_TEXT, "bea", "slack"))
    browser = await desk.browser(Role.AGENT)
    text = (await browser.get(f"/conversations/{await conversation_of(desk, turn_id)}")).text
    for shown in (
        "paying",
        "How do I pay?",
        "0.91",
        "cited",
        "https://shop.example/pay",
        "and by phone?",
        "Ann Canary",
        "policy",
        "bea",
        "pending",
    ):
        assert shown in text, shown
    assert "<del>only</del><ins>or phone</ins>" in text


async def test_reading_a_conversation_is_kept_once_an_hour_for_each_member(desk: Desk, counter: SqlCounter) -> None:
    conversation_id = await conversation_of(desk, await counter.ask("?"))
    for browser in (await desk.browser(Role.VIEWER), await desk.browser(Role.AGENT)):
        for _ in range(3):
            assert (await browser.get(f"/conversations/{conversation_id}")).status_code == 200
    assert await done(desk, "conversation.read") == [(f"conversation:{conversation_id}", "done")] * 2


async def test_a_long_conversation_is_read_in_parts_and_opens_where_the_turn_is(desk: Desk, counter: SqlCounter) -> None:
    turns = [await counter.ask(f"question-{number:03}") for number in range(70)]
    browser, conversation_id = await desk.browser(Role.AGENT), await conversation_of(desk, turns[0])
    newest = (await browser.get(f"/conversations/{conversation_id}")).text
    assert "question-069" in newest and "question-019" not in newest and "last=20" in newest
    assert "question-000" in (await browser.get(f"/conversations/{conversation_id}?last=20")).text
    around = (await browser.get(f"/conversations/{conversation_id}?turn={turns[3]}")).text
    assert "question-003" in around and "question-008" in around and "question-009" not in around and "Later turns" in around
    assert (await browser.get(f"/conversations/{conversation_id}?last=99999999999999999999999")).status_code == 422


async def test_bad_input_06_13_17_hostile_text_is_words_and_nothing_else(desk: Desk, counter: SqlCounter) -> None:
    hit = Hit(Passage("x", "x", HOSTILE, HOSTILE, url="javascript:alert(1)"), 0.9)
    turn_id = await counter.ask(HOSTILE, actor=HOSTILE, reply=replace(UNSURE, text=HOSTILE, hits=(hit,)))
    await counter.feedback.give(Feedback(turn_id, "ann", helpful=False, comment=HOSTILE))
    browser = await desk.browser(Role.AGENT)
    for path in ("/inbox", f"/conversations/{await conversation_of(desk, turn_id)}", "/search", "/search?q=window+hacked"):
        text = (await browser.get(path)).text
        assert "window.hacked" in text or "hacked</mark>" in text
        assert "<script>window" not in text and "<img src=x" not in text and 'href="javascript' not in text and "{{7*7}}" in text
        assert "<bdi>" in text or '<bdi class="words">' in text
    assert HERE.workspace_id in (await browser.get("/inbox")).text
