"""Questions on Discord as customers ask them: in a channel, a thread, a forum and alone; and each is answered once."""

from __future__ import annotations

import pytest

from bot.discord.tags import Mark
from core.domain import Address
from tests.bot.discord.conftest import OpenOffice
from tests.bot.discord.office import PARCELS, REFUNDS, Office
from tests.servers.discord_state import ANN, ANSWERED, BOB, FORUM, GUILD, HELP, NEEDS_HUMAN, SOLVED


@pytest.fixture
async def desk(open_office: OpenOffice) -> Office:
    return await open_office()


async def test_a_mention_in_a_channel_is_answered_in_a_thread_made_of_it(desk: Office) -> None:
    asked = await desk.ask(ANN, REFUNDS)
    (answer,) = desk.texts(asked.id)
    assert "Refunds take 14 days." in answer
    assert desk.texts(HELP) == []
    assert desk.discord.channels[asked.id].name == REFUNDS
    (turn,) = await desk.turns()
    assert (turn["question"], turn["actor_id"]) == (REFUNDS, str(ANN))


async def test_who_goes_on_in_the_thread_is_answered_there_and_others_are_not(desk: Office) -> None:
    asked = await desk.ask(ANN, REFUNDS)
    await desk.discord.say(BOB, asked.id, REFUNDS)
    await desk.discord.say(ANN, asked.id, "and how long does a parcel take?")
    await desk.quiet()
    refund, parcel = desk.texts(asked.id)
    assert "A parcel takes 3 days." in parcel
    assert refund != parcel
    assert [turn["question"] for turn in await desk.turns()] == [REFUNDS, "and how long does a parcel take?"]


async def test_a_direct_message_is_answered_in_the_same_conversation(desk: Office) -> None:
    for text in (REFUNDS, "how long does a parcel take then?"):
        await desk.discord.direct(ANN, text)
        await desk.quiet()
    place = desk.discord.direct_with(ANN).id
    assert ["14 days" in text for text in desk.texts(place)] == [True, False]
    assert len({turn["conversation_id"] for turn in await desk.turns()}) == 1


async def test_a_reply_to_the_bot_counts_as_a_mention(desk: Office) -> None:
    await desk.discord.deny(HELP)
    asked = await desk.ask(ANN, REFUNDS)
    (answer,) = desk.discord.by_bot(asked.id)
    await desk.discord.say(BOB, asked.id, PARCELS, reply_to=answer.id)
    await desk.quiet()
    assert len(desk.texts(asked.id)) == 2


async def test_nothing_pings_and_nothing_unfurls(desk: Office) -> None:
    asked = await desk.ask(ANN, REFUNDS)
    (call,) = desk.discord.of("create_message")
    assert call.json["allowed_mentions"] == {"parse": [], "replied_user": False}
    assert call.json["flags"] & 1 << 2
    assert desk.discord.by_bot(asked.id)[0].mentions == []
    assert desk.discord.invalid == 0


async def test_a_post_carries_the_tag_of_what_became_of_it_beside_its_own(desk: Office) -> None:
    tags = desk.discord.channels[FORUM].tags
    tags.append({**tags[0], "id": str(FORUM + 500), "name": "billing"})
    post = await desk.discord.post(ANN, FORUM, "Money back", REFUNDS, tags=[FORUM + 500])
    await desk.quiet()
    thread = desk.discord.channels[post.channel]
    assert thread.applied == [FORUM + 500, ANSWERED]
    await desk.discord.say(ANN, post.channel, "I want to talk to a person")
    await desk.quiet()
    assert thread.applied == [FORUM + 500, NEEDS_HUMAN]
    place = Address("discord", str(GUILD), str(FORUM), str(post.channel))
    assert await desk.parts.tags.mark(place, Mark.SOLVED)
    assert thread.applied == [FORUM + 500, SOLVED]


async def test_a_tag_that_cannot_be_set_costs_no_answer(desk: Office) -> None:
    desk.discord.fail("edit_channel", "error:403:50013")
    post = await desk.discord.post(ANN, FORUM, "Money back", REFUNDS)
    await desk.quiet()
    assert (len(desk.texts(post.channel)), desk.discord.channels[post.channel].applied) == (1, [])
