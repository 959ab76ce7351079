"""Messages of Discord as values of the core: what is heard, how it came, and what is none of the bot's business."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import discord
import pytest

from bot.discord.events import Me, Place, deleted, edited, heard, order_key, snowflake_at, time_of
from core.domain import Address
from core.presence import Heard
from core.text import FILE, IMAGE, VOICE_CLIP
from tests.servers import discord_wire as wire
from tests.servers.discord import DiscordPlatform
from tests.servers.discord_client import Bot
from tests.servers.discord_state import ANN, BOB, BOT, BOT_ROLE, GUILD, HELP, OLIVE, STAFF, Message

ME = Me(BOT, frozenset({BOT_ROLE}))
CHANNEL = Place(GUILD, HELP)
VOICE = {"id": "1", "filename": "voice-message.ogg", "size": 9, "url": "u", "proxy_url": "u", "content_type": "audio/ogg"}


class Wire:
    """Makes discord.py's messages of what the local Discord tells."""

    def __init__(self) -> None:
        self.platform = DiscordPlatform()
        self._client = Bot()

    def message(self, said: Message, withhold: bool = False) -> discord.Message:
        data: Any = wire.message_event(self.platform, said, withhold)
        channel = self._client.get_partial_messageable(said.channel, guild_id=self.platform.channels[said.channel].guild)
        return discord.Message(state=self._client._connection, channel=channel, data=data)

    async def hears(self, text: str, place: Place = CHANNEL, withhold: bool = False, **more: Any) -> Heard | None:
        return heard(self.message(await self.platform.say(ANN, HELP, text, **more), withhold), place, ME)


@pytest.fixture
async def there() -> Wire:
    return Wire()


@pytest.mark.parametrize(
    ("text", "said", "mentioned", "to_others"),
    [
        (f"<@{BOT}> refund?", "refund?", True, False),
        (f"<@!{BOT}>: refund?", "refund?", True, False),
        (f"<@&{BOT_ROLE}> refund?", "refund?", True, False),
        (f"please <@{BOT}>, refund?", "please refund?", True, False),
        (f"<@{BOT}>", "", True, False),
        (f"<@{BOB}> refund?", "@Bob refund?", False, True),
        (f"<@&{STAFF}> refund?", "@group refund?", False, True),
        (f"<@{BOT}> and <@{BOB}> refund?", "and @Bob refund?", True, False),
        ("@everyone refund?", "@everyone refund?", False, False),
        (f"see <#{HELP}> <:wave:123> </ask:123> a@here.example", "see #channel :wave: /ask a@here.example", False, False),
        ("refund?", "refund?", False, False),
        ("a < b > c <@> <@x>", "a < b > c <@> <@x>", False, False),
    ],
)
async def test_whom_a_message_names_and_what_it_says(there: Wire, text: str, said: str, mentioned: bool, to_others: bool) -> None:
    found = await there.hears(text)
    assert found is not None
    assert (found.message.text, found.mentioned, found.to_others) == (said, mentioned, to_others)
    assert not (found.direct or found.in_thread or found.opens or found.by_bot)


@pytest.mark.parametrize("count", [51, 400])
async def test_bad_input_21_a_text_full_of_mentions_is_read_in_a_few_words(there: Wire, count: int) -> None:
    found = await there.hears("".join(f"<@{GUILD + number}>" for number in range(100, 100 + count))[:2000])
    assert found is not None
    assert len(found.message.text) < 700


async def test_a_message_has_the_time_the_order_and_the_conversation_that_its_id_tells(there: Wire) -> None:
    said = await there.platform.say(ANN, HELP, "refund?")
    found = heard(there.message(said), CHANNEL, ME)
    assert found is not None
    message = found.message
    assert (message.message_id, message.actor.actor_id, message.address.thread_id) == (str(said.id), str(ANN), str(said.id))
    assert message.order_key == f"{said.id:020}"
    assert abs((message.received_at - datetime.now(UTC)).total_seconds()) < 60
    assert snowflake_at(time_of(said.id)) <= said.id < snowflake_at(time_of(said.id)) + (1 << 22)
    assert order_key(9) < order_key(10)


async def test_where_a_message_stands_says_how_it_came(there: Wire) -> None:
    said = await there.platform.say(ANN, HELP, "refund?")

    def came(place: Place) -> Heard:
        found = heard(there.message(said), place, ME)
        assert found is not None
        return found

    direct = came(Place(None, 7))
    assert (direct.direct, direct.message.address.workspace_id, direct.message.address.thread_id) == (True, "dm", "7")
    thread = came(Place(GUILD, HELP, 8))
    assert (thread.in_thread, thread.opens) == (True, False)
    assert thread.message.address == Address("discord", str(GUILD), str(HELP), "8")
    post = came(Place(GUILD, HELP, said.id, is_forum=True))
    assert (post.in_thread, post.opens) == (False, True)
    assert came(Place(GUILD, HELP, 8, is_forum=True)).in_thread
    root = came(Place(GUILD, HELP, said.id))
    assert (root.in_thread, root.opens) == (True, False)


@pytest.mark.parametrize(
    ("attachment", "flags", "said"),
    [(VOICE, 1 << 13, VOICE_CLIP), (VOICE, 0, VOICE_CLIP), ({"content_type": "image/png"}, 0, IMAGE), ({"content_type": None}, 0, FILE)],
)
async def test_bad_input_23_24_a_message_without_words_says_what_it_is(
    there: Wire, attachment: dict[str, Any], flags: int, said: str
) -> None:
    found = await there.hears("", attachments=[VOICE | attachment], flags=flags)
    assert found is not None
    assert (found.message.text, found.to_others) == (said, False)


async def test_what_is_not_shown_is_known_to_be_said_but_is_for_nobody(there: Wire) -> None:
    found = await there.hears("refund?", withhold=True)
    assert found is not None
    assert (found.message.text, found.to_others) == ("", True)
    mention = await there.hears("refund?", withhold=True, mention=True)
    assert mention is not None
    assert (mention.message.text, mention.mentioned) == ("refund?", True)


@pytest.mark.parametrize(
    ("answers", "ping", "mentioned", "to_others"),
    [(BOT, True, True, False), (BOT, False, True, False), (BOB, False, False, True), (ANN, False, False, False)],
)
async def test_whom_a_reply_answers_is_whom_it_speaks_to(there: Wire, answers: int, ping: bool, mentioned: bool, to_others: bool) -> None:
    before = await there.platform.say(answers, HELP, "hello")
    found = await there.hears("refund?", reply_to=before.id, ping=ping)
    assert found is not None
    assert (found.mentioned, found.to_others) == (mentioned, to_others)


async def test_a_call_to_everybody_is_to_others(there: Wire) -> None:
    said = await there.platform.say(OLIVE, HELP, "@everyone refund?")
    found = heard(there.message(said), CHANNEL, ME)
    assert found is not None
    assert found.to_others


async def test_bad_input_33_34_35_the_bot_others_webhooks_and_the_system_are_not_heard(there: Wire) -> None:
    platform = there.platform
    platform.person(GUILD + 90, "robot").is_bot = True
    for said in (await platform.say(BOT, HELP, "x"), await platform.say(GUILD + 90, HELP, "x"), await platform.say(ANN, HELP, "x", kind=7)):
        assert heard(there.message(said), CHANNEL, ME) is None
    hooked = there.message(await platform.say(ANN, HELP, "x"))
    hooked.webhook_id = 5
    assert heard(hooked, CHANNEL, ME) is None


async def test_bad_input_30_only_what_its_author_changed_is_an_edit(there: Wire) -> None:
    said = await there.platform.say(ANN, HELP, f"<@{BOT}> refnd?")
    assert edited(there.message(said), CHANNEL, ME) is None
    await there.platform.unfurl(said)
    assert edited(there.message(said), CHANNEL, ME) is None
    await there.platform.edit(said, f"<@{BOT}> refund?")
    now = edited(there.message(said), CHANNEL, ME)
    assert now is not None
    assert (now.text, now.message_id) == ("refund?", str(said.id))
    said.mentions.clear()
    assert edited(there.message(said, withhold=True), CHANNEL, ME) is None, "an empty text would be for one that is not shown"


def test_a_deletion_is_of_the_conversation_that_the_message_began_or_stands_in() -> None:
    assert deleted(5, CHANNEL).address.thread_id == "5"
    assert deleted(5, replace(CHANNEL, thread_id=4)).address.thread_id == "4"
    assert deleted(5, Place(None, 3)).address.thread_id == "3"


async def test_work_of_a_channel_is_done_in_order_and_a_failure_stops_nothing() -> None:
    from bot.discord.lanes import Lanes
    from core.errors import RefusedError, StorageError

    lanes, done, failures = Lanes(first_delay=0.01), list[int](), iter([StorageError("away"), StorageError("away"), RefusedError("gone")])

    async def work(number: int) -> None:
        if number == 1 and (error := next(failures, None)):
            raise error
        await asyncio.sleep(0)
        done.append(number)

    for number in range(5):
        lanes.follow(7, lambda number=number: work(number))  # type: ignore[misc]
    await lanes.idle()
    assert done == [0, 2, 3, 4]
