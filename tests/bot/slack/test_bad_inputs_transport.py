"""Bad inputs 43 to 45, 54, 55 and 59: requests nobody signed, told again, or that cannot be kept; connections that go."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.slack import app
from core.errors import StorageError
from core.storage.feedback import SqlFeedbackLog
from tests.bot.slack.conftest import OpenOffice
from tests.bot.slack.office import ANN, BOT, DIRECT, HELP, Office
from tests.servers.slack_events import Answer

QUESTION = f"<@{BOT}> how long does a refund take?"


@dataclass
class Wire:
    """Records what Slack posts, and posts it again just as it was."""

    desk: Office
    sent: list[tuple[str, str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._post = self.desk.slack.post
        self.desk.slack.post = self._recorded  # type: ignore[method-assign]

    async def _recorded(self, body: str, kind: str, headers: Any = None, **spoiled: Any) -> Answer:
        stamp = spoiled.pop("timestamp", None) or time.time()
        self.sent.append((body, kind, stamp))
        return await self._post(body, kind, headers, timestamp=stamp, **spoiled)

    async def again(self, number: int = -1, later: float = 0.0) -> Answer:
        """The same bytes with the same signature; or as if they had been signed that much earlier."""
        body, kind, stamp = self.sent[number]
        return await self._post(body, kind, timestamp=stamp - later)


@pytest.mark.parametrize(
    ("headers", "spoiled"),
    [
        ({}, {"secret": "another"}),
        ({"X-Slack-Signature": ""}, {}),
        ({"X-Slack-Signature": "v0=\u00e4".encode()}, {}),
        ({"X-Slack-Request-Timestamp": "yesterday"}, {}),
        ({"X-Slack-Request-Timestamp": ""}, {}),
        ({"X-Slack-Request-Timestamp": "9" * 400}, {}),
        ({"X-Slack-Request-Timestamp": "-1"}, {}),
    ],
    ids=["wrong secret", "no signature", "no ascii", "no number", "no timestamp", "huge", "negative"],
)
async def test_bad_input_43_a_request_that_slack_did_not_sign_is_refused_and_not_written_down(
    open_office: OpenOffice, caplog: pytest.LogCaptureFixture, headers: dict[str, Any], spoiled: dict[str, str]
) -> None:
    desk = await open_office()
    body = json.dumps(desk.slack.envelope({"type": "message", "channel": DIRECT, "user": ANN, "text": "s3cret-words", "ts": "1.000001"}))
    answer = await desk.slack.post(body, "application/json", headers, **spoiled)
    assert answer.status == 401
    assert "s3cret" not in answer.body
    assert "s3cret" not in caplog.text
    assert "was refused" in caplog.text
    assert (await desk.graph.inbox.backlog()).waiting == 0


async def test_bad_input_44_an_event_that_is_replayed_is_answered_once(open_office: OpenOffice) -> None:
    desk = await open_office({"echo_own": False})  # what is recorded last is what a person did
    wire = Wire(desk)
    root = await desk.slack.say(ANN, HELP, QUESTION, order=["app_mention"])
    await desk.quiet()
    assert (await wire.again()).status == 200
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 1
    assert (await wire.again(later=301)).status == 401


async def test_bad_input_44_a_command_that_is_replayed_is_answered_once(open_office: OpenOffice) -> None:
    desk = await open_office({"echo_own": False})  # what is recorded last is what a person did
    wire = Wire(desk)
    await desk.slack.command(ANN, HELP, "/support", "how long does a refund take?")
    await desk.quiet()
    before = len(desk.slack.ephemerals)
    assert (await wire.again()).status == 200
    await desk.quiet()
    assert len(desk.slack.ephemerals) == before == 2  # that it looks, and the answer
    assert len(await desk.turns()) == 1
    assert (await wire.again(later=301)).status == 401


async def test_bad_input_44_a_press_that_is_replayed_counts_once(open_office: OpenOffice) -> None:
    desk = await open_office({"echo_own": False})  # what is recorded last is what a person did
    wire = Wire(desk)
    root = await desk.slack.say(ANN, HELP, QUESTION)
    await desk.quiet()
    (answer,) = desk.slack.by_bot()
    for action in ("person", "feedback_good"):
        await desk.slack.press(ANN, HELP, answer.ts, action)
        assert (await wire.again()).status == 200
        assert (await wire.again(later=301)).status == 401
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 2
    assert len(await SqlFeedbackLog(desk.graph.database).of((await desk.turns())[0]["turn_id"])) == 1


async def test_bad_input_44_an_answer_that_is_shared_twice_stands_there_once(open_office: OpenOffice) -> None:
    desk = await open_office({"echo_own": False})  # what is recorded last is what a person did
    wire = Wire(desk)
    await desk.slack.command(ANN, HELP, "/support", "how long does a refund take?")
    await desk.quiet()
    await desk.slack.press(ANN, HELP, desk.slack.ephemerals[-1].ts, "share")
    await desk.slack.until(lambda: desk.slack.by_bot(HELP))
    assert (await wire.again()).status == 200
    await desk.quiet()
    assert len(desk.slack.by_bot(HELP)) == 1


@pytest.mark.parametrize("away", [-360.0, 360.0])
async def test_bad_input_45_a_wrong_clock_refuses_everything_and_readiness_says_so(open_office: OpenOffice, away: float) -> None:
    desk = await open_office({"echo_own": False})  # what is recorded last is what a person did
    wire = Wire(desk)
    await desk.slack.say(ANN, HELP, QUESTION)
    await desk.quiet()
    for _ in range(3):
        assert desk.parts.problem == ""
        assert (await wire.again(later=away)).status == 401
    assert "clock of this host" in desk.parts.problem
    assert (await wire.again()).status == 200
    assert desk.parts.problem == ""


async def lose_the_inbox(desk: Office) -> None:
    async with desk.graph.database.write() as connection:
        await connection.exec_driver_sql("ALTER TABLE inbox RENAME TO away")


async def find_the_inbox(desk: Office) -> None:
    async with desk.graph.database.write() as connection:
        await connection.exec_driver_sql("ALTER TABLE away RENAME TO inbox")


@pytest.mark.parametrize("transport", ["http", "socket"])
async def test_bad_input_59_what_cannot_be_kept_is_not_accepted_and_is_answered_when_it_comes_again(
    open_office: OpenOffice, transport: str
) -> None:
    desk = await open_office({"transport": transport, "ack_seconds": 0.5 if transport == "socket" else 3.0, "retries": 0})
    await lose_the_inbox(desk)
    root = await desk.slack.say(ANN, HELP, QUESTION, order=["app_mention"])
    assert [answer.status for answer in root.answers] == [500 if transport == "http" else 0]
    await find_the_inbox(desk)
    desk.slack.ack_seconds = 3.0
    assert (await desk.slack.redeliver(desk.slack.delivered[0])).accepted
    await desk.quiet()
    assert len(desk.texts(HELP, root)) == 1


async def test_bad_input_59_a_command_that_cannot_be_kept_apologises(open_office: OpenOffice) -> None:
    desk = await open_office()
    await lose_the_inbox(desk)
    answer = await desk.slack.command(ANN, HELP, "/support", "how long does a refund take?")
    assert answer.status == 200
    assert answer.json() == {"response_type": "ephemeral", "text": "Sorry, something went wrong on our side. Please try again in a minute."}
    await find_the_inbox(desk)


async def test_bad_input_59_a_button_that_cannot_be_carried_out_apologises_to_whoever_pressed_it(open_office: OpenOffice) -> None:
    desk = await open_office()
    await desk.slack.say(ANN, HELP, QUESTION)
    await desk.quiet()
    await lose_the_inbox(desk)
    (answer,) = desk.slack.by_bot(HELP)
    assert (await desk.slack.press(ANN, HELP, answer.ts, "person")).accepted
    await find_the_inbox(desk)
    (told,) = desk.slack.ephemerals
    assert (told.ephemeral_for, told.text) == (ANN, "Sorry, something went wrong on our side. Please try again in a minute.")
    assert len(desk.slack.by_bot(HELP)) == 1


async def test_bad_input_54_a_connection_that_drops_while_an_answer_is_written_costs_nothing(open_office: OpenOffice) -> None:
    gate = asyncio.Event()
    desk = await open_office({"transport": "socket"}, gate=gate)
    root = await desk.slack.say(ANN, HELP, f"<@{BOT}> how long does a parcel take?")
    await desk.slack.until(lambda: desk.texts(HELP, root))
    for link in list(desk.slack.links):
        await link.socket.close(1011)
    gate.set()
    await desk.quiet()
    (answer,) = desk.texts(HELP, root)
    assert "You can follow it on our page." in answer
    again = await desk.slack.say(ANN, HELP, QUESTION)  # as soon as a connection stands again
    assert all(answer.accepted for answer in again.answers)
    await desk.quiet()
    assert len(desk.texts(HELP, again)) == 1


async def test_bad_input_55_connections_that_are_renewed_all_the_time_lose_nothing(open_office: OpenOffice) -> None:
    desk = await open_office({"transport": "socket", "warning_seconds": 0.05})
    roots = []
    for number in range(12):
        asked = desk.slack.say(ANN, HELP, f"{QUESTION} {number}", order=["message", "app_mention"])
        _, root = await asyncio.gather(desk.slack.refresh(), asked)  # one of the two connections goes meanwhile
        roots.append(root)
    await desk.quiet()
    assert [answer.body for root in roots for answer in root.answers if not answer.accepted] == []
    assert [len(desk.texts(HELP, root)) for root in roots] == [1] * len(roots)


async def test_whoever_gives_a_command_is_told_what_came_of_it_however_long_it_takes(
    open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_ANSWER_SECONDS", 0.0)
    desk = await open_office()
    assert (await desk.slack.command(ANN, HELP, "/support")).body == ""
    await desk.slack.until(lambda: desk.slack.ephemerals)
    assert "/support QUESTION" in desk.slack.ephemerals[-1].text


async def test_whoever_presses_is_told_of_a_failure_however_late(open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise StorageError("no room")

    desk = await open_office()
    await desk.slack.say(ANN, HELP, QUESTION)
    await desk.answered()
    monkeypatch.setattr(app, "_ANSWER_SECONDS", 0.0)
    monkeypatch.setattr(SqlFeedbackLog, "give", broken)
    await desk.slack.press(ANN, HELP, desk.slack.by_bot(HELP)[-1].ts, "feedback_good")
    await desk.slack.until(lambda: desk.slack.ephemerals)
    assert "went wrong" in desk.slack.ephemerals[-1].text
