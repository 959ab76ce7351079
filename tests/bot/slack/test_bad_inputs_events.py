"""Bad inputs 25 to 35 and 41: what Slack tells twice, late, in pieces or about others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from bot import door
from bot.slack.blocks import KEY_PREFIX
from core.storage.tables import inbox, outbox
from tests.bot.slack.conftest import OpenOffice
from tests.bot.slack.office import ANN, BOB, BOT, DIRECT, HELP, Office
from tests.servers.slack_state import Message, User

REFUNDS, PARCELS = "how long does a refund take?", "how long does a parcel take?"


async def states(desk: Office) -> list[str]:
    """What became of each reply, in the order they were queued."""
    async with desk.graph.database.read() as connection:
        return list((await connection.execute(select(outbox.c.state).order_by(outbox.c.outbox_id))).scalars())


async def test_bad_input_25_an_event_that_is_told_four_times_has_one_answer(open_office: OpenOffice) -> None:
    desk = await open_office()
    root = await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}", order=["app_mention"])
    again = [await desk.slack.redeliver(desk.slack.delivered[0], number) for number in (1, 2, 3)]
    assert [answer.status for answer in [*root.answers, *again]] == [200] * 4
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 1
    late = await desk.slack.redeliver(desk.slack.delivered[0], 3)  # when the answer stands there
    await desk.quiet()
    assert late.status == 200
    assert len(desk.texts(HELP, root)) == 1


@pytest.mark.parametrize(
    "order",
    [["message", "app_mention"], ["app_mention", "message"], ["app_mention"], ["message"], ["app_mention", "message"] * 4],
    ids=["message first", "mention first", "only the mention", "only the message", "four times each"],
)
async def test_bad_input_26_a_mention_that_comes_as_two_events_has_one_answer_and_never_none(
    open_office: OpenOffice, order: list[str]
) -> None:
    desk = await open_office()
    root = await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}", order=order)
    assert all(answer.accepted for answer in root.answers)
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 1
    assert len(await desk.turns()) == 1


async def test_bad_input_27_a_message_that_two_companies_share_has_one_answer(open_office: OpenOffice) -> None:
    desk = await open_office()
    channel = desk.slack.channels[HELP]
    channel.is_ext_shared, channel.team_ids = True, ("T0TEAM", "T0OTHER")
    desk.slack.users["U0EVE"] = User("U0EVE", "eve", team_id="T0OTHER", is_stranger=True)
    root = await desk.slack.say("U0EVE", HELP, f"<@{BOT}> {REFUNDS}", order=["app_mention"])
    await desk.slack.deliver(desk.slack.delivered[0]["event"], team_id="T0OTHER")  # another event_id, and the sender's own team outside
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 1
    assert len(await desk.turns()) == 1


async def test_bad_input_28_messages_of_a_thread_that_come_in_the_wrong_order_are_read_in_the_right_one(
    open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "SETTLE_SECONDS", 2.0)  # both in time, on a busy machine too
    desk = await open_office()
    slack = desk.slack
    root = await slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
    await desk.quiet()
    first = slack.store(Message(HELP, slack.stamp(), ANN, "my parcel is late", thread_ts=root))
    second = slack.store(Message(HELP, slack.stamp(), ANN, "and the refund too", thread_ts=root))
    for message in (second, first):
        (event,) = slack._told(message, None)
        assert (await slack.deliver(event)).accepted
    await desk.quiet()
    assert [turn["question"] for turn in await desk.turns()][1:] == ["my parcel is late\nand the refund too"]
    late = slack.store(Message(HELP, f"{float(first.ts) - 0.5:.6f}", ANN, "parcel?", thread_ts=root))  # told when others are answered
    await slack.deliver(slack._told(late, None)[0])
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 3


@pytest.fixture
def slow_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes quickly comes in time, on a busy machine too; an edit or a deletion ends the wait."""
    monkeypatch.setattr(door, "SETTLE_SECONDS", 10.0)


@pytest.mark.usefixtures("slow_to_settle")
async def test_bad_input_29_an_edit_before_the_answer_counts(open_office: OpenOffice) -> None:
    desk = await open_office()
    root = await desk.slack.say(ANN, DIRECT, "how long does a reefund take?")  # a direct message waits for what follows it
    await desk.slack.edit(DIRECT, root, REFUNDS)
    await desk.quiet()
    (answer,) = desk.texts(DIRECT, root)
    assert "Refunds take 14 days." in answer
    assert [turn["question"] for turn in await desk.turns()] == [REFUNDS]


@pytest.mark.parametrize("channel", [HELP, DIRECT])
async def test_bad_input_29_an_edit_while_the_answer_is_written_begins_it_anew(open_office: OpenOffice, channel: str) -> None:
    gate = asyncio.Event()
    desk = await open_office(gate=gate)
    mention = "" if channel == DIRECT else f"<@{BOT}> "
    root = await desk.slack.say(ANN, channel, mention + PARCELS)
    await desk.slack.until(lambda: desk.texts(channel, root))  # the preview stands there
    await desk.slack.edit(channel, root, mention + REFUNDS)
    await desk.slack.until(lambda: "Refunds take 14 days." in "".join(desk.texts(channel, root)))
    gate.set()
    await desk.quiet()
    (answer,) = desk.texts(channel, root)
    assert "Refunds take 14 days." in answer
    assert desk.slack.statuses == {}
    assert [turn["question"] for turn in await desk.turns()] == [REFUNDS]


async def test_bad_input_29_an_edit_after_the_answer_is_not_answered(open_office: OpenOffice) -> None:
    desk = await open_office()
    root = await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
    await desk.quiet()
    await desk.slack.edit(HELP, root, f"<@{BOT}> {PARCELS}")  # which is told as a mention again
    await desk.quiet()
    (answer,) = desk.texts(HELP, root)
    assert "Refunds take 14 days." in answer


async def test_bad_input_30_a_link_that_is_shown_is_no_edit(open_office: OpenOffice) -> None:
    desk = await open_office()
    root = await desk.slack.say(ANN, DIRECT, f"{REFUNDS} https://example.com/")
    await desk.slack.unfurl(DIRECT, root)
    await desk.quiet()
    await desk.slack.unfurl(DIRECT, root, "Another page")
    await desk.quiet()
    assert len(desk.texts(DIRECT, root)) == 1
    assert [turn["question"] for turn in await desk.turns()] == [f"{REFUNDS} https://example.com/"]


@pytest.mark.usefixtures("slow_to_settle")
async def test_bad_input_31_a_message_taken_back_before_the_answer_has_none_and_its_text_is_gone(open_office: OpenOffice) -> None:
    desk = await open_office()
    root = await desk.slack.say(ANN, DIRECT, REFUNDS)
    await desk.slack.remove(DIRECT, root)
    await desk.quiet()
    assert desk.slack.by_bot() == []
    async with desk.graph.database.read() as connection:
        assert (await connection.execute(select(inbox.c.text, inbox.c.state))).all() == [("", "cancelled")]


@pytest.mark.parametrize("channel", [HELP, DIRECT])
async def test_bad_input_31_a_message_taken_back_while_the_answer_is_written_leaves_nothing(open_office: OpenOffice, channel: str) -> None:
    gate = asyncio.Event()
    desk = await open_office(gate=gate)
    root = await desk.slack.say(ANN, channel, f"{'' if channel == DIRECT else f'<@{BOT}> '}{PARCELS}")
    await desk.slack.until(lambda: desk.slack.by_bot(channel))
    await desk.slack.remove(channel, root)
    gate.set()
    await desk.slack.until(lambda: not desk.slack.by_bot(channel))
    await desk.quiet()
    assert desk.slack.by_bot(channel) == []
    assert not desk.slack.statuses
    assert await desk.turns() == []


async def test_bad_input_31_a_message_taken_back_after_the_answer_is_forgotten_and_the_answer_stays(open_office: OpenOffice) -> None:
    desk = await open_office()
    root = await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
    await desk.quiet()
    await desk.slack.remove(HELP, root)
    await desk.quiet()
    assert len(desk.slack.by_bot(HELP)) == 1
    assert [turn["question"] for turn in await desk.turns()] == [""]


async def test_bad_input_33_another_bot_is_never_answered(open_office: OpenOffice) -> None:
    desk = await open_office()
    desk.slack.users["U0LOOP"] = User("U0LOOP", "loop", is_bot=True)
    desk.slack.channels[HELP].members.add("U0LOOP")
    for _ in range(3):
        root = await desk.slack.say("U0LOOP", HELP, f"<@{BOT}> {REFUNDS}")
        assert all(answer.accepted for answer in root.answers)
    person = await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
    await desk.slack.say("U0LOOP", HELP, f"<@{BOT}> you are welcome, {PARCELS}", thread_ts=person)
    await desk.quiet()
    assert len(desk.slack.by_bot()) == 1


async def test_bad_input_34_a_message_of_our_own_is_a_receipt_and_never_a_question(open_office: OpenOffice) -> None:
    desk = await open_office()
    with desk.slack.hold("chat.postMessage", after=True):  # posted, but its answer hangs
        root = await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
        await desk.answered()
        await desk.quiet()  # because Slack has shown it to us
        assert await states(desk) == ["sent"]
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 1
    assert len(await desk.turns()) == 1


async def test_bad_input_35_a_message_with_forged_marks_of_ours_is_no_receipt(open_office: OpenOffice) -> None:
    desk = await open_office({"echo_own": False})
    with desk.slack.hold("chat.postMessage") as gate:  # not posted yet
        root = await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
        await desk.slack.until(lambda: gate.waiting)
        async with desk.graph.database.read() as connection:
            key = (await connection.execute(select(outbox.c.key))).scalar_one()
        marks: dict[str, Any] = {"blocks": [{"type": "divider", "block_id": KEY_PREFIX + key}]}
        marks["metadata"] = {"event_type": "frontdesk_reply", "event_payload": {"key": key}}
        forged = {"type": "message", "channel": HELP, "channel_type": "channel", "thread_ts": root, "text": f"<@{BOT}> parcel?"}
        for who in (
            {"subtype": "bot_message", "bot_id": "B0EVIL"},
            {"user": BOB},
            {"user": "U0EVIL", "bot_id": "B0EVIL", "app_id": "A0APP"},
        ):
            assert (await desk.slack.deliver(forged | marks | who | {"ts": desk.slack.stamp()})).accepted
        assert await states(desk) == ["sending"] + ["pending"] * (len(await states(desk)) - 1)
    await desk.quiet()
    assert any("Refunds take 14 days." in text for text in desk.texts(HELP, root))


async def test_a_greeting_and_the_question_behind_it_have_one_answer(open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "SETTLE_SECONDS", 2.0)  # both in time, on a busy machine too
    desk = await open_office()
    root = await desk.slack.say(ANN, DIRECT, "Hi!")
    await desk.slack.say(ANN, DIRECT, REFUNDS)
    await desk.quiet()
    assert len(desk.slack.by_bot(DIRECT)) == len(desk.texts(DIRECT, root)) == 1
    assert [turn["question"] for turn in await desk.turns()] == [f"Hi!\n{REFUNDS}"]


@pytest.mark.parametrize("in_thread", [True, False], ids=["thread", "many conversations"])
async def test_bad_input_41_fifty_messages_at_once_cost_few_answers(
    open_office: OpenOffice, in_thread: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "SETTLE_SECONDS", 2.0)  # a busy machine stores fewer in half a second
    desk = await open_office()
    root = await desk.slack.say(ANN, DIRECT, REFUNDS)
    more = [desk.slack.say(ANN, DIRECT, f"refund {number}?", thread_ts=root if in_thread else None) for number in range(50)]
    for said in await asyncio.gather(*more):
        assert all(answer.accepted for answer in said.answers)
    await desk.quiet()
    reasons = [turn["reason"] for turn in await desk.turns() if turn["decision"] != "silent"]
    if in_thread:  # conversations that exceed a limit in the same instant may each be told, see `Reception`
        assert reasons.count("too_many") <= 1
    assert reasons.count("confident") <= 4
    assert len(desk.slack.by_bot()) == len(reasons)
