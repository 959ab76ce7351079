"""Bad inputs 32, 50 to 53 and 56: calls that Slack refuses, delays, breaks off or takes without saying so; streams that end."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import select

from core.storage.tables import outbox
from tests.bot.slack.conftest import OpenOffice
from tests.bot.slack.office import ANN, BOB, BOT, DIRECT, HELP, STAFF_ROOM, Office, said

REFUNDS, PARCELS = "how long does a refund take?", "how long does a parcel take?"
WHOLE = "A parcel takes 3 days. It is tracked. You can follow it on our page. [1]"


async def outcomes(desk: Office) -> list[tuple[str, int]]:
    """State and attempts of each reply."""
    async with desk.graph.database.read() as connection:
        rows = await connection.execute(select(outbox.c.state, outbox.c.attempts).order_by(outbox.c.outbox_id))
        return [(row.state, row.attempts) for row in rows]


@pytest.mark.parametrize("what", ["archived", "kicked", "thread_not_found", "channel_not_found", "restricted_action", "account_inactive"])
async def test_bad_input_32_a_place_that_takes_no_answer_is_given_up_at_once(open_office: OpenOffice, what: str) -> None:
    desk = await open_office(gate=(gate := asyncio.Event()))
    desk.slack.fail("chat.postMessage", kind="error:no_preview_please")
    await desk.slack.say(ANN, HELP, f"<@{BOT}> {PARCELS}")
    await desk.slack.until(lambda: desk.slack.count("chat.postMessage") == 1)
    if what == "archived":
        desk.slack.channels[HELP].archived = True
    elif what == "kicked":
        desk.slack.channels[HELP].members.discard(BOT)
    else:
        desk.slack.fail("chat.postMessage", times=9, kind=f"error:{what}")
    gate.set()
    await desk.quiet()
    assert desk.slack.by_bot() == []
    assert await outcomes(desk) == [("dead", 1)]
    assert desk.slack.count("chat.postMessage") == 2
    assert await desk.graph.outbox.dead() == 1


async def test_bad_input_32_an_answer_is_posted_where_the_thread_may_not_be_read(open_office: OpenOffice) -> None:
    desk = await open_office()
    desk.slack.fail("chat.postMessage", kind="500_before")  # the preview, of which nobody knows now
    desk.slack.fail("conversations.replies", times=9, kind="error:missing_scope")
    root = await desk.slack.say(ANN, HELP, f"<@{BOT}> {PARCELS}")
    await desk.quiet()
    assert desk.texts(HELP, root) == [WHOLE]


async def test_bad_input_32_a_deleted_question_with_answers_keeps_its_thread(open_office: OpenOffice) -> None:
    desk = await open_office()
    root = await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
    await desk.quiet()
    await desk.slack.remove(HELP, root)  # a tombstone now
    await desk.slack.say(ANN, HELP, PARCELS, thread_ts=root)
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 2


@pytest.mark.parametrize("channel", [HELP, DIRECT])
@pytest.mark.parametrize("fault", ["reset_after_accept", "500_after_accept", "html", "error:internal_error", "reset_before"])
async def test_bad_input_52_53_an_answer_that_was_perhaps_taken_stands_there_once(
    open_office: OpenOffice, fault: str, channel: str
) -> None:
    desk = await open_office({"echo_own": False})  # no receipt: the thread itself must tell
    desk.slack.fail("chat.postMessage", times=2, kind=fault)
    root = await desk.slack.say(ANN, channel, REFUNDS if channel == DIRECT else f"<@{BOT}> {REFUNDS}")
    await desk.quiet()
    (answer,) = desk.texts(channel, root)
    assert "Refunds take 14 days." in answer
    assert [state for state, _ in await outcomes(desk)] == ["sent"]


@pytest.mark.parametrize("fault", ["reset_after_accept", "500_after_accept", "429", "error:streaming_state_conflict"])
@pytest.mark.parametrize("channel", [HELP, DIRECT])
async def test_bad_input_53_a_preview_whose_replacement_breaks_off_becomes_one_answer(
    open_office: OpenOffice, channel: str, fault: str
) -> None:
    desk = await open_office({"echo_own": False})
    desk.slack.fail("chat.update", times=2, kind=fault)
    root = await desk.slack.say(ANN, channel, PARCELS if channel == DIRECT else f"<@{BOT}> {PARCELS}")
    await desk.quiet()
    (answer,) = desk.texts(channel, root)
    assert answer == WHOLE


async def test_bad_input_52_an_alert_that_was_perhaps_taken_stands_there_once(open_office: OpenOffice) -> None:
    desk = await open_office({"echo_own": False}, staff=BOB, staff_channel=STAFF_ROOM)
    with desk.slack.hold("chat.getPermalink") as gate:
        await desk.slack.say(ANN, HELP, f"<@{BOT}> I want a person")
        await desk.slack.until(lambda: gate.waiting)  # the customer has been told, the alert is on its way
        desk.slack.fail("chat.postMessage", kind="reset_after_accept")
    await desk.quiet()
    assert len(desk.slack.by_bot(STAFF_ROOM)) == 1
    assert len(desk.slack.by_bot(HELP)) == 1


async def test_bad_input_50_a_storm_of_429_delays_answers_keeps_their_order_and_drops_previews(open_office: OpenOffice) -> None:
    desk = await open_office()
    desk.slack.fail("chat.postMessage", times=2, kind="429", retry_after=1)
    began = time.monotonic()
    first = await desk.slack.say(ANN, HELP, f"<@{BOT}> {PARCELS}")
    await desk.slack.until(lambda: any(call.outcome == "429" for call in desk.slack.calls))
    await desk.slack.say(ANN, HELP, REFUNDS, thread_ts=first)
    others = [await desk.slack.say(BOB, HELP, f"<@{BOT}> {PARCELS} {number}") for number in range(6)]
    await desk.quiet()
    assert time.monotonic() - began >= 2
    assert ["refund" in text.lower() for text in desk.texts(HELP, first)] == [False, True]
    assert [desk.texts(HELP, root) for root in others] == [[WHOLE]] * 6
    refused = [call for call in desk.slack.calls if call.outcome == "429"]
    assert len(refused) == 2  # seven conversations waited for as long as Slack had said to the first
    assert desk.slack.count("chat.update") == 0
    assert desk.slack.count("conversations.replies") == 0  # a call that was refused posted nothing that one had to look for
    assert all(attempts < 12 for _, attempts in await outcomes(desk))


async def test_bad_input_51_what_is_not_limited_goes_on_while_another_call_is(open_office: OpenOffice) -> None:
    desk = await open_office(gate=(gate := asyncio.Event()))
    desk.slack.fail("chat.startStream", kind="429", retry_after=30)
    roots = []
    for number in range(1, 4):  # one after the other: what is said while the one before still waits would join it
        roots.append(await desk.slack.say(ANN, DIRECT, f"{PARCELS} {number}"))
        await desk.slack.until(lambda: desk.slack.count("assistant.threads.setStatus") == len(roots))
    await desk.slack.until(lambda: desk.slack.count("chat.startStream") == 1)
    gate.set()
    await desk.quiet()
    assert [desk.texts(DIRECT, root) for root in roots] == [[WHOLE]] * 3
    assert desk.slack.count("chat.startStream") == 1


async def test_bad_input_51_another_channel_goes_on_while_one_is_limited(open_office: OpenOffice) -> None:
    desk = await open_office()
    desk.slack.fail("chat.postMessage", kind="429", retry_after=60)
    await desk.slack.say(ANN, HELP, f"<@{BOT}> {REFUNDS}")
    await desk.slack.until(lambda: any(call.outcome == "429" for call in desk.slack.calls))
    root = await desk.slack.say(ANN, DIRECT, REFUNDS)
    await desk.slack.until(lambda: desk.texts(DIRECT, root))
    assert desk.slack.by_bot(HELP) == []


async def streaming(desk: Office) -> str:
    """The thread of a direct message whose answer is being streamed."""
    root = await desk.slack.say(ANN, DIRECT, PARCELS)
    await desk.slack.until(lambda: desk.slack.by_bot(DIRECT))
    assert desk.slack.by_bot(DIRECT)[0].streaming == "open"
    return root


@pytest.mark.parametrize("how", ["expired", "stopped_by_user", "not streaming", "deleted"])
async def test_bad_input_56_a_stream_that_ends_before_its_answer_leaves_one_answer(open_office: OpenOffice, how: str) -> None:
    desk = await open_office(gate=(gate := asyncio.Event()))
    root = await streaming(desk)
    stream = desk.slack.by_bot(DIRECT)[0]
    if how == "expired":
        desk.slack.stream_seconds = 0.0
    elif how == "stopped_by_user":
        await desk.slack.stop(ANN, DIRECT, stream.ts)
    elif how == "deleted":
        desk.slack.discard(stream)
    else:
        desk.slack.fail("chat.stopStream", kind="error:message_not_in_streaming_state")
        stream.streaming = "stopped"
    gate.set()
    await desk.quiet()
    (answer,) = [message for message in desk.slack.thread(DIRECT, root) if message.user == BOT]
    assert said(answer) == WHOLE
    assert any(block["type"] == "actions" for block in answer.blocks)
    assert answer.streaming != "open"
    assert desk.slack.statuses == {}


@pytest.mark.parametrize("method", ["chat.stopStream", "chat.update"])
@pytest.mark.parametrize("fault", ["500_before", "500_after_accept", "reset_after_accept", "429"])
async def test_bad_input_56_a_stream_that_cannot_be_stopped_at_once_leaves_one_answer(
    open_office: OpenOffice, method: str, fault: str
) -> None:
    desk = await open_office({"echo_own": False}, gate=(gate := asyncio.Event()))
    root = await streaming(desk)
    desk.slack.fail(method, kind=fault)
    gate.set()
    await desk.quiet()
    (answer,) = [message for message in desk.slack.thread(DIRECT, root) if message.user == BOT]
    assert (said(answer), answer.streaming) == (WHOLE, "stopped")
