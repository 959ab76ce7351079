"""What staff do on Discord: they answer in a thread, get alerts and drafts; and who counts as staff."""

from __future__ import annotations

import pytest

from bot.discord.people import People
from core.domain import Address, Owner
from tests.bot.discord.conftest import OpenOffice
from tests.bot.discord.office import PARCELS, REFUNDS, STAFF_ROOM, Office
from tests.servers.discord_state import ANN, BOB, GUILD, HELP, OLIVE, STAFF


def thread(asked: int) -> Address:
    return Address("discord", str(GUILD), str(HELP), str(asked))


@pytest.fixture
async def desk(open_office: OpenOffice) -> Office:
    return await open_office(staff_role=str(STAFF), staff_channel=str(STAFF_ROOM))


@pytest.mark.parametrize("content", [True, False])
async def test_bad_input_42_when_staff_speak_in_a_thread_the_bot_is_silent_until_it_is_given_back(
    open_office: OpenOffice, content: bool
) -> None:
    desk = await open_office(staff_role=str(STAFF), message_content=content)
    asked = await desk.ask(ANN, REFUNDS)
    await desk.discord.say(BOB, asked.id, "Let me look into this.")
    await desk.quiet()
    await desk.discord.say(ANN, asked.id, PARCELS, mention=True)
    await desk.quiet()
    assert len(desk.texts(asked.id)) == 1
    await desk.graph.conversation_log.set_owner(thread(asked.id), Owner.BOT)
    await desk.discord.say(ANN, asked.id, PARCELS, mention=True)
    await desk.quiet()
    assert len(desk.texts(asked.id)) == 2


async def test_whoever_takes_over_is_shown_the_way_back_to_the_bot(desk: Office) -> None:
    asked = await desk.ask(ANN, REFUNDS)
    for text in ("Let me look into this.", "Done."):
        await desk.discord.say(BOB, asked.id, text)
        await desk.quiet()
    (told,) = desk.discord.by_bot(STAFF_ROOM)
    assert f"<@{BOB}> answers" in told.content
    assert REFUNDS in told.content
    assert told.mentions == []
    (turn, *_) = await desk.turns()
    await desk.discord.press(BOB, told, f"fd:hand_back:{turn['turn_id']}")
    await desk.discord.say(ANN, asked.id, PARCELS)
    await desk.quiet()
    assert "A parcel takes 3 days." in desk.texts(asked.id)[-1]


async def test_the_word_of_others_in_a_thread_silences_nobody(desk: Office) -> None:
    asked = await desk.ask(ANN, REFUNDS)
    await desk.discord.say(OLIVE, asked.id, "Let me look into this.")
    await desk.discord.say(ANN, asked.id, PARCELS)
    await desk.quiet()
    assert len(desk.texts(asked.id)) == 2


async def test_who_asks_for_a_person_is_told_and_staff_get_the_question_with_a_link(desk: Office) -> None:
    asked = await desk.ask(ANN, "I want to talk to a person")
    assert len(desk.texts(asked.id)) == 1
    (alert,) = desk.texts(STAFF_ROOM)
    assert "I want to talk to a person" in alert
    assert f"https://discord.com/channels/{GUILD}/" in alert
    assert str(asked.id) in alert


async def test_a_person_who_asks_alone_is_named_to_staff(desk: Office) -> None:
    await desk.discord.direct(ANN, "I want to talk to a person")
    await desk.quiet()
    (alert,) = desk.texts(STAFF_ROOM)
    assert f"<@{ANN}>" in alert
    assert desk.discord.by_bot(STAFF_ROOM)[0].mentions == []


async def test_in_draft_mode_staff_see_every_reply_first(open_office: OpenOffice) -> None:
    desk = await open_office(mode="draft", staff_channel=str(STAFF_ROOM))
    asked = await desk.ask(ANN, PARCELS)
    assert desk.texts(asked.id) == []
    assert any("A parcel takes 3 days." in text for text in desk.texts(STAFF_ROOM))
    assert asked.id not in desk.discord.channels


def people(desk: Office) -> People:
    return desk.parts.people


async def test_who_is_staff_is_asked_of_discord_where_a_message_does_not_tell(desk: Office) -> None:
    client = desk.parts.client
    bob, ann = [await client.fetch_user(one) for one in (BOB, ANN)]
    assert (await people(desk).is_staff(str(GUILD), bob)).allowed
    assert not (await people(desk).is_staff(str(GUILD), ann)).allowed
    assert not (await people(desk).is_staff("dm", bob)).allowed, "nobody is staff in a direct message"


async def test_who_cannot_be_looked_up_is_nobody(desk: Office) -> None:
    bob = await desk.parts.client.fetch_user(BOB)
    desk.discord.fail("get_member", "error:403:50001", times=2)
    verdict = await people(desk).is_staff(str(GUILD), bob)
    assert (verdict.allowed, "could not be looked up" in verdict.reason) == (False, True)


async def test_outside_the_home_guild_nobody_is_staff(open_office: OpenOffice) -> None:
    desk = await open_office(staff=str(BOB), home_guild=str(GUILD + 1))
    bob = await desk.parts.client.get_guild(GUILD).fetch_member(BOB)  # type: ignore[union-attr]
    assert not (await people(desk).is_staff(str(GUILD), bob)).allowed
    listed = await open_office(staff=str(BOB))
    assert (await people(listed).is_staff(str(GUILD), bob)).allowed
    nobody = await open_office()
    assert "discord.staff" in (await people(nobody).is_staff(str(GUILD), bob)).reason
