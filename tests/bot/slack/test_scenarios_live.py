"""What a thread shows while an answer is written, and that one message stays of it."""

from __future__ import annotations

import asyncio

import pytest

from bot.slack import live
from core.domain import Address
from core.storage.previews import SqlPreviews
from tests.bot.slack.conftest import OpenOffice
from tests.bot.slack.office import ANN, BOB, BOT, DIRECT, HELP, Office, said
from tests.servers.slack_state import Message

PARCELS = "how long does a parcel take?"
BEGUN = "A parcel takes 3 days. It is tracked."
WHOLE = f"{BEGUN} You can follow it on our page. [1]"


async def ask(desk: Office, channel: str, thread: str | None = None) -> str:
    return await desk.slack.say(ANN, channel, PARCELS if channel == DIRECT else f"<@{BOT}> {PARCELS}", thread_ts=thread)


def ours(desk: Office, channel: str, thread: str) -> list[Message]:
    return [message for message in desk.slack.thread(channel, thread) if message.user == BOT]


async def only(desk: Office, channel: str, thread: str) -> Message:
    """The one message that stands there in the end, whole, with its buttons."""
    await desk.quiet()
    (message,) = ours(desk, channel, thread)
    assert said(message) == WHOLE
    assert "feedback_good" in str(message.blocks[-1]["elements"])
    assert message.streaming != "open"
    assert desk.slack.statuses == {}
    return message


async def test_a_direct_answer_is_streamed_and_becomes_the_answer_itself(open_office: OpenOffice) -> None:
    desk = await open_office(gate=(gate := asyncio.Event()))
    root = await ask(desk, DIRECT)
    await desk.slack.until(lambda: ours(desk, DIRECT, root))
    (stream,) = ours(desk, DIRECT, root)
    assert stream.streaming == "open"
    assert stream.text.startswith("A parcel takes 3 days.")
    (started,) = desk.slack.called("chat.startStream")
    assert (started.arguments["recipient_user_id"], started.arguments["recipient_team_id"]) == (ANN, "T0TEAM")
    gate.set()
    assert (await only(desk, DIRECT, root)).ts == stream.ts
    assert desk.slack.count("chat.postMessage") == 0


async def test_a_channel_shows_the_answer_growing_in_one_message(open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "EDIT_SECONDS", 0.0)
    desk = await open_office(gate=(gate := asyncio.Event()))
    root = await ask(desk, HELP)
    await desk.slack.until(lambda: desk.slack.count("assistant.threads.setStatus"))
    await desk.slack.until(lambda: ours(desk, HELP, root))
    (preview,) = ours(desk, HELP, root)
    assert preview.text.endswith(" …")
    assert preview.blocks == []
    gate.set()
    assert (await only(desk, HELP, root)).ts == preview.ts
    assert desk.slack.count("chat.startStream") == 0


async def test_a_status_says_that_the_work_begins(open_office: OpenOffice) -> None:
    desk = await open_office()
    with desk.slack.hold("chat.startStream"):
        root = await ask(desk, DIRECT)
        await desk.slack.until(lambda: desk.slack.statuses)
        assert desk.slack.statuses == {(DIRECT, root): live.STATUS}
    await only(desk, DIRECT, root)


@pytest.mark.parametrize(
    "fault", ["error:method_not_supported_for_channel_type", "error:missing_scope", "429", "500_before", "reset_before"]
)
async def test_without_a_stream_the_answer_comes_whole(open_office: OpenOffice, fault: str) -> None:
    desk = await open_office()
    desk.slack.fail("chat.startStream", kind=fault)
    root = await ask(desk, DIRECT)
    await only(desk, DIRECT, root)
    assert desk.slack.count("chat.postMessage") == 1


async def test_more_streams_than_slack_allows_in_a_minute_are_not_begun(open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STREAMS_A_MINUTE", 1)
    desk = await open_office(gate=(gate := asyncio.Event()))
    roots = []
    for number in range(3):
        roots.append(await ask(desk, DIRECT))
        await desk.slack.until(lambda number=number: desk.slack.count("assistant.threads.setStatus") == number + 1)
    await desk.slack.until(lambda: desk.slack.count("chat.startStream") == 1)
    gate.set()
    for root in roots:
        await only(desk, DIRECT, root)
    assert desk.slack.count("chat.startStream") == 1


async def test_an_append_that_fails_costs_nothing(open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "APPEND_SECONDS", 0.0)
    desk = await open_office(gate=(gate := asyncio.Event()))
    desk.slack.fail("chat.appendStream", times=5, kind="500_after_accept")
    root = await ask(desk, DIRECT)
    await desk.slack.until(lambda: ours(desk, DIRECT, root))
    gate.set()
    await only(desk, DIRECT, root)


@pytest.mark.parametrize("echo_own", [True, False])
@pytest.mark.parametrize("fault", ["reset_after_accept", "500_after_accept"])
@pytest.mark.parametrize("channel", [HELP, DIRECT])
async def test_a_preview_of_which_nobody_knows_where_it_is_becomes_the_answer(
    open_office: OpenOffice, channel: str, fault: str, echo_own: bool
) -> None:
    desk = await open_office({"echo_own": echo_own})
    desk.slack.fail("chat.startStream" if channel == DIRECT else "chat.postMessage", kind=fault)
    await only(desk, channel, await ask(desk, channel))


@pytest.mark.parametrize("channel", [HELP, DIRECT])
async def test_a_lost_preview_that_cannot_become_the_answer_is_taken_away(open_office: OpenOffice, channel: str) -> None:
    desk = await open_office()
    desk.slack.fail("chat.startStream" if channel == DIRECT else "chat.postMessage", kind="reset_after_accept")
    desk.slack.fail("chat.update", times=9, kind="error:edit_window_closed")
    await only(desk, channel, await ask(desk, channel))


async def test_in_a_thread_the_second_answer_is_a_message_of_its_own(open_office: OpenOffice) -> None:
    desk = await open_office()
    root = await ask(desk, DIRECT)
    first = await only(desk, DIRECT, root)
    desk.slack.fail("chat.startStream", kind="reset_after_accept")  # what is looked for must not be the first
    await ask(desk, DIRECT, root)
    await desk.quiet()
    assert [said(message) for message in ours(desk, DIRECT, root)] == [WHOLE, WHOLE]
    assert first in ours(desk, DIRECT, root)


@pytest.mark.parametrize("method", ["assistant.threads.setStatus", "chat.postMessage"])
async def test_a_call_that_hangs_until_the_answer_is_out_leaves_nothing_behind(
    open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(live, "_PATIENCE_SECONDS", 0.1)
    desk = await open_office(gate=(written := asyncio.Event()))
    with desk.slack.hold(method) as gate:
        root = await ask(desk, HELP)
        await desk.slack.until(lambda: gate.waiting)
        written.set()
        if method == "chat.postMessage":
            await desk.slack.until(lambda: gate.waiting == 2)  # the preview and the answer
        else:
            await desk.slack.until(lambda: ours(desk, HELP, root))
    await desk.quiet()
    await desk.slack.until(lambda: len(ours(desk, HELP, root)) == 1)  # what came too late is taken away beside the answer
    await only(desk, HELP, root)


@pytest.mark.parametrize("channel", [HELP, DIRECT])
async def test_a_preview_that_became_the_answer_before_its_own_call_returned_stays(
    open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    monkeypatch.setattr(live, "_PATIENCE_SECONDS", 0.1)
    desk = await open_office(gate=(written := asyncio.Event()))
    with desk.slack.hold("chat.startStream" if channel == DIRECT else "chat.postMessage", after=True) as gate:
        root = await ask(desk, channel)
        await desk.slack.until(lambda: gate.waiting)
        written.set()
        await desk.sent()
    await only(desk, channel, root)


async def leave(previews: SqlPreviews, address: Address) -> None:
    """Begin to take a preview away when it is known where it is, and die over it."""
    async with asyncio.timeout(30):
        while (kept := await previews.of(address)) is None or kept.reference is None:  # noqa: ASYNC110  # the database rings no bell
            await asyncio.sleep(0.01)
    assert await previews.leave(address)


async def test_a_preview_that_somebody_has_begun_to_take_away_is_no_place_for_an_answer(open_office: OpenOffice) -> None:
    """Its deletion may be under way for as long as Slack likes, and would take the answer with it."""
    desk = await open_office(gate=(written := asyncio.Event()))
    root = await ask(desk, HELP)
    await desk.slack.until(lambda: ours(desk, HELP, root))
    (preview,) = ours(desk, HELP, root)
    await leave(SqlPreviews(desk.graph.database), Address("slack", "T0TEAM", HELP, str(root)))
    written.set()
    assert (await only(desk, HELP, root)).ts != preview.ts


async def test_a_person_who_takes_over_while_an_answer_is_written_is_not_talked_into(open_office: OpenOffice) -> None:
    desk = await open_office(gate=(gate := asyncio.Event()), staff=BOB)
    root = await ask(desk, HELP)
    await desk.slack.until(lambda: ours(desk, HELP, root))
    await desk.slack.say(BOB, HELP, "I am on it.", thread_ts=root)
    gate.set()
    await desk.slack.until(lambda: not ours(desk, HELP, root))
    await desk.quiet()
    assert ours(desk, HELP, root) == []
    assert desk.slack.statuses == {}


async def test_nothing_is_kept_of_a_preview_when_its_answer_is_out(open_office: OpenOffice) -> None:
    desk = await open_office()
    for channel in (HELP, DIRECT):
        await ask(desk, channel)
        await desk.quiet()
        async with desk.graph.database.read() as connection:
            assert (await connection.exec_driver_sql("SELECT count(*) FROM previews")).scalar() == 0
