"""Bad inputs 25 to 35 and 41: what Discord tells twice, late, in pieces or about others.

27 does not exist: Discord shares no channel between two customers' servers, so no message has two owners. 26, where one post comes as two
events, is that of a forum; every other message comes as one.
"""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from bot import door
from bot.discord.rest import nonce_of
from core.storage.tables import inbox, outbox
from tests.bot.discord.conftest import OpenOffice
from tests.bot.discord.office import PARCELS, REFUNDS, Office, office
from tests.bot.discord.test_live import Clock
from tests.servers.discord_state import ANN, BOB, BOT, FORUM, GUILD, HELP, Message

ROBOT = GUILD + 90
HERE, ALONE = "in a channel", "alone"


@pytest.fixture
async def desk(open_office: OpenOffice) -> Office:
    return await open_office()


@pytest.fixture
def slow_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes quickly comes in time, on a busy machine too; an edit or a deletion ends the wait."""
    monkeypatch.setattr(door, "SETTLE_SECONDS", 10.0)


async def say(desk: Office, text: str, where: str = HERE) -> tuple[Message, int]:
    """Somebody writes to the bot; return the message, and where answers to it stand."""
    if where == ALONE:
        message = await desk.discord.direct(ANN, text)
        return message, message.channel
    message = await desk.discord.say(ANN, HELP, text, mention=True)
    return message, message.id


async def previewed(desk: Office, place: int) -> None:
    """Wait until the beginning of an answer is shown."""
    await desk.discord.until(lambda: desk.texts(place))


async def writing(open_office: OpenOffice, where: str) -> tuple[Office, asyncio.Event, Message, int]:
    """An office that has shown the beginning of an answer, and waits for the gate with the rest."""
    desk = await open_office(gate=(gate := asyncio.Event()))
    desk.parts.live._clock = Clock()
    message, place = await say(desk, PARCELS, where)
    await previewed(desk, place)
    return desk, gate, message, place


async def test_bad_input_25_a_message_that_is_told_four_times_and_to_two_processes_has_one_answer(desk: Office) -> None:
    async with office(desk.graph.database, desk.discord) as other:
        asked = await desk.discord.say(ANN, HELP, REFUNDS, mention=True)
        for _ in range(3):
            desk.discord.tell("MESSAGE_CREATE", asked)
        await desk.quiet()
        desk.discord.tell("MESSAGE_CREATE", asked)  # when the answer stands there
        for one in (desk, other):
            await one.quiet()
    assert len(desk.texts(asked.id)) == 1
    assert len(await desk.turns()) == 1


@pytest.mark.parametrize("message_first", [False, True])
async def test_bad_input_26_a_post_in_a_forum_is_answered_once_whichever_of_its_events_comes_first(
    desk: Office, message_first: bool
) -> None:
    post = await desk.discord.post(ANN, FORUM, "Money back", REFUNDS, message_first=message_first)
    await desk.quiet()
    (answer,) = desk.texts(post.channel)
    assert "Refunds take 14 days." in answer
    await desk.discord.say(ANN, post.channel, PARCELS)
    await desk.quiet()
    assert len(desk.texts(post.channel)) == 2


async def test_bad_input_28_messages_of_a_thread_that_come_in_the_wrong_order_are_read_in_the_right_one(open_office: OpenOffice) -> None:
    desk = await open_office(gate=(gate := asyncio.Event()))
    asked, thread = await say(desk, PARCELS)
    await desk.writer.began.wait()
    await desk.discord.start_thread(ANN, asked.id, "parcels")
    late, first, second = [
        await desk.discord.say(ANN, thread, text, tell=False) for text in ("and a parcel?", "my refund is late", "is it lost?")
    ]
    for one in (second, first):
        desk.discord.tell("MESSAGE_CREATE", one)
    await desk.heard()
    gate.set()
    await desk.quiet()
    assert [turn["question"] for turn in await desk.turns()] == [PARCELS, "my refund is late\nis it lost?"]
    desk.discord.tell("MESSAGE_CREATE", late)  # told when those after it are answered
    await desk.quiet()
    assert len(desk.texts(thread)) == 3


@pytest.mark.usefixtures("slow_to_settle")
async def test_bad_input_29_an_edit_before_the_answer_counts(desk: Office) -> None:
    asked, place = await say(desk, "how long does a reefund take?", ALONE)  # a direct message waits for what follows it
    await desk.discord.edit(asked, REFUNDS)
    await desk.quiet()
    (answer,) = desk.texts(place)
    assert "Refunds take 14 days." in answer
    assert [turn["question"] for turn in await desk.turns()] == [REFUNDS]


@pytest.mark.parametrize("where", [HERE, ALONE])
async def test_bad_input_29_an_edit_while_the_answer_is_written_begins_it_anew(open_office: OpenOffice, where: str) -> None:
    desk, gate, asked, place = await writing(open_office, where)
    await desk.discord.edit(asked, REFUNDS if where == ALONE else f"<@{BOT}> {REFUNDS}")
    await desk.discord.until(lambda: "Refunds take 14 days." in "".join(desk.texts(place)))
    gate.set()
    await desk.quiet()
    (answer,) = desk.texts(place)
    assert "Refunds take 14 days." in answer
    assert [turn["question"] for turn in await desk.turns()] == [REFUNDS]


async def test_bad_input_29_an_edit_after_the_answer_is_not_answered(desk: Office) -> None:
    asked = await desk.ask(ANN, REFUNDS)
    await desk.discord.edit(asked, f"<@{BOT}> {PARCELS}")
    await desk.quiet()
    (answer,) = desk.texts(asked.id)
    assert "Refunds take 14 days." in answer


async def test_bad_input_30_a_link_that_is_shown_is_no_edit(open_office: OpenOffice) -> None:
    desk = await open_office(gate=(gate := asyncio.Event()))
    text = f"{PARCELS} https://example.com/"
    asked = await desk.discord.direct(ANN, text)
    await desk.writer.began.wait()
    for title in ("A page", "Another page"):
        await desk.discord.unfurl(asked, title)
    await desk.heard()
    gate.set()
    await desk.quiet()
    await desk.discord.unfurl(asked, "A third page")
    await desk.quiet()
    assert len(desk.texts(asked.channel)) == 1
    assert len(desk.writer.asked) == 1
    assert [turn["question"] for turn in await desk.turns()] == [text]


@pytest.mark.usefixtures("slow_to_settle")
async def test_bad_input_31_a_message_taken_back_before_the_answer_has_none_and_its_text_is_gone(desk: Office) -> None:
    asked, _ = await say(desk, REFUNDS, ALONE)
    await desk.discord.remove(asked)
    await desk.quiet()
    assert desk.discord.by_bot() == []
    async with desk.graph.database.read() as connection:
        assert (await connection.execute(select(inbox.c.text, inbox.c.state))).all() == [("", "cancelled")]


@pytest.mark.parametrize("where", [HERE, ALONE])
async def test_bad_input_31_a_message_taken_back_while_the_answer_is_written_leaves_nothing(open_office: OpenOffice, where: str) -> None:
    desk, gate, asked, place = await writing(open_office, where)
    await desk.discord.remove(asked)
    await desk.discord.until(lambda: not desk.texts(place))
    gate.set()
    await desk.quiet()
    assert desk.discord.by_bot() == []
    assert await desk.turns() == []


async def test_bad_input_31_messages_that_a_moderator_takes_away_together_leave_nothing(open_office: OpenOffice) -> None:
    desk = await open_office(gate=(gate := asyncio.Event()))
    asked = [(await say(desk, f"{PARCELS} {number}"))[0] for number in range(3)]
    await desk.writer.began.wait()
    await desk.discord.purge(HELP, *asked)
    await desk.heard()
    gate.set()
    await desk.quiet()
    assert desk.discord.by_bot() == []
    assert await desk.turns() == []


async def test_bad_input_31_a_message_taken_back_after_the_answer_is_forgotten_and_the_answer_stays(desk: Office) -> None:
    asked = await desk.ask(ANN, REFUNDS)
    await desk.discord.remove(asked)
    await desk.quiet()
    assert len(desk.texts(asked.id)) == 1
    assert [turn["question"] for turn in await desk.turns()] == [""]


async def test_bad_input_33_another_bot_is_never_answered(desk: Office) -> None:
    desk.discord.person(ROBOT, "robot").is_bot = True
    for _ in range(3):
        await desk.discord.say(ROBOT, HELP, REFUNDS, mention=True)
    asked = await desk.ask(ANN, REFUNDS)
    (answer,) = desk.discord.by_bot(asked.id)
    await desk.discord.say(ROBOT, asked.id, f"You are welcome, {PARCELS}", mention=True, reply_to=answer.id)
    await desk.discord.direct(ROBOT, REFUNDS)
    await desk.discord.post(ROBOT, FORUM, "Money back", REFUNDS)
    await desk.quiet()
    assert desk.discord.by_bot() == [answer]
    assert len(await desk.turns()) == 1


async def test_bad_input_34_a_message_of_our_own_or_of_discord_is_never_a_question(desk: Office) -> None:
    await desk.discord.say(BOT, HELP, REFUNDS, mention=True)
    await desk.discord.say(BOT, desk.discord.direct_with(ANN).id, REFUNDS)
    await desk.discord.say(ANN, HELP, REFUNDS, mention=True, kind=7)
    await desk.quiet()
    assert desk.discord.of("create_message") == []
    assert await desk.turns() == []


async def test_bad_input_35_what_a_webhook_says_in_the_name_of_somebody_is_not_answered(desk: Office) -> None:
    asked = await desk.ask(ANN, REFUNDS)
    for place in (HELP, asked.id):
        forged = await desk.discord.say(ANN, place, PARCELS, mention=True, webhook=ROBOT)
        await desk.discord.edit(forged, f"<@{BOT}> {REFUNDS}")
    await desk.quiet()
    assert len(desk.discord.by_bot()) == 1
    assert len(await desk.turns()) == 1


async def test_bad_input_35_a_message_with_the_forged_marks_of_a_reply_is_not_taken_for_it(desk: Office) -> None:
    with desk.discord.hold("create_message") as gate:  # not posted yet
        asked, place = await say(desk, REFUNDS)
        await desk.discord.until(lambda: gate.waiting)
        async with desk.graph.database.read() as connection:
            key = (await connection.execute(select(outbox.c.key))).scalar_one()
        (call,) = desk.discord.of("create_message")
        assert call.json["nonce"] == nonce_of(key, 0)
        await desk.discord.say(BOB, place, call.json["content"], nonce=call.json["nonce"])
        desk.discord.fail("create_message", "reset_before")
    await desk.quiet()
    assert len(desk.texts(asked.id)) == 1


@pytest.mark.parametrize("where", [HERE, ALONE], ids=["thread", "direct"])
async def test_bad_input_41_fifty_messages_at_once_cost_few_answers(desk: Office, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "SETTLE_SECONDS", 2.0)  # a busy machine stores fewer in half a second
    _, place = await say(desk, REFUNDS, where)
    await previewed(desk, place)
    for number in range(50):
        await desk.discord.say(ANN, place, f"refund {number}?")
    await desk.quiet()
    reasons = [turn["reason"] for turn in await desk.turns() if turn["decision"] != "silent"]
    assert reasons.count("too_many") <= 1
    assert 1 <= reasons.count("confident") <= 4
    assert len(desk.texts(place)) == len(reasons)
