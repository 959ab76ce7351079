"""The API of the local Discord, spoken to by the unmodified discord.py: it answers, refuses and fails as Discord documents it."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import discord
import httpx
import pytest

from tests.servers.discord import DiscordPlatform, pointed_at
from tests.servers.discord_client import Bot, refused
from tests.servers.discord_state import ANN, ANSWERED, BOB, BOT, FORUM, GUILD, HELP, NEEDS_HUMAN, STAFF, Can

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
async def server() -> AsyncIterator[DiscordPlatform]:
    async with asyncio.timeout(30), DiscordPlatform() as started:
        with pointed_at(started):
            yield started


@pytest.fixture
async def bot(server: DiscordPlatform) -> AsyncIterator[Bot]:
    """Logged in, not connected: requests only."""
    async with Bot() as client:
        await client.login(server.token)
        yield client


async def test_a_question_is_heard_and_answered_with_a_nonce(server: DiscordPlatform) -> None:
    async with Bot().running(server.token) as bot:
        asked = await server.say(ANN, HELP, "where is my parcel?", mention=True)
        heard = await bot.hears("message")
        assert (heard.content, heard.author.name, heard.mentions[0].id) == (f"<@{BOT}> where is my parcel?", "ann", BOT)
        assert (heard.guild.id, heard.channel.name, [one.name for one in heard.author.roles]) == (GUILD, "help", ["@everyone"])
        said = await heard.reply("on its way", nonce="key-1")
    (stored,) = server.by_bot(HELP)
    assert (stored.id, stored.nonce, stored.kind, stored.reference) == (said.id, "key-1", 19, (HELP, asked.id))
    assert stored.payload["allowed_mentions"] == {"parse": []}
    assert stored.mentions == []


async def test_the_same_nonce_makes_one_message_as_long_as_it_is_known(server: DiscordPlatform, bot: Bot) -> None:
    first, second = [await bot.text(HELP).send("once", nonce="k") for _ in range(2)]
    assert first.id == second.id
    server.clock = lambda: time.time() + server.nonce_seconds + 1
    assert (await bot.text(HELP).send("once", nonce="k")).id != first.id
    assert len(server.by_bot()) == 2


async def test_a_bad_gateway_after_the_message_is_accepted_leaves_one_message(server: DiscordPlatform, bot: Bot) -> None:
    server.fail("create_message", "502_after_accept")
    said = await bot.text(HELP).send("once", nonce="k")
    assert [one.outcome for one in server.of("create_message")] == [200, 200]
    assert [one.id for one in server.by_bot()] == [said.id]


async def test_a_reset_after_the_message_is_accepted_is_an_error_of_the_client(server: DiscordPlatform, bot: Bot) -> None:
    server.fail("create_message", "reset_after_accept")
    server.fail("create_message", "reset_before")
    for _ in range(2):
        with pytest.raises(OSError):
            await bot.text(HELP).send("once", nonce="k")
    assert len(server.by_bot()) == 1


async def test_limits_are_waited_for_and_a_ban_is_an_error(server: DiscordPlatform, bot: Bot) -> None:
    for kind in ("429", "429_shared", "429_global"):
        server.fail("create_message", kind)
    await bot.text(HELP).send("patience")
    assert server.invalid == 2, "a shared one does not count"
    server.fail("create_message", "cloudflare")
    assert (await refused(bot.text(HELP).send("x")))[0] == 429
    server.rates["create_message"] = (1, 0.3)
    began = time.monotonic()
    await bot.text(HELP).send("one")
    await bot.text(HELP).send("two")
    assert time.monotonic() - began > 0.25
    assert server.calls[-1].outcome == 200


async def test_a_held_request_has_not_happened_yet(server: DiscordPlatform, bot: Bot) -> None:
    with server.hold("create_message") as gate:
        sending = asyncio.create_task(bot.text(HELP).send("late"))
        await server.until(lambda: gate.waiting)
        assert not server.by_bot()
    await sending
    assert len(server.by_bot()) == 1


@pytest.mark.parametrize(
    ("taken", "expected"),
    [((Can.VIEW_CHANNEL,), (403, 50001)), ((Can.SEND_MESSAGES,), (403, 50013))],
)
async def test_what_is_taken_from_the_bot_is_refused(
    server: DiscordPlatform, bot: Bot, taken: tuple[Can, ...], expected: tuple[int, int]
) -> None:
    await server.deny(HELP, *taken)
    assert await refused(bot.text(HELP).send("x")) == expected
    assert server.invalid == 1


async def test_what_is_no_message_is_refused(server: DiscordPlatform, bot: Bot) -> None:
    text = bot.text(HELP)
    assert await refused(text.send("x" * 2001)) == (400, 50035)
    assert await refused(text.send("")) == (400, 50006)
    assert await refused(text.send("x", nonce="n" * 26)) == (400, 50035)
    assert await refused(text.send(embed=discord.Embed(description="x" * 4097))) == (400, 50035)
    assert await refused(bot.text(1).send("x")) == (404, 10003)
    assert await refused(text.fetch_message(1)) == (404, 10008)
    missing = discord.MessageReference(message_id=1, channel_id=HELP)
    assert await refused(text.send("x", reference=missing)) == (400, 50035)
    assert server.by_bot() == []


async def test_a_token_that_is_not_known_is_not_let_in(server: DiscordPlatform) -> None:
    async with Bot() as client:
        with pytest.raises(discord.LoginFailure):
            await client.login("other")
    assert server.invalid == 1


async def test_without_allowed_mentions_a_text_mentions_whom_it_names_on_an_edit_too(server: DiscordPlatform) -> None:
    text = f"<@{ANN}> <@&{STAFF}> @everyone"
    server.guilds[GUILD].roles[STAFF].mentionable = True
    async with Bot(allowed_mentions=None) as loose:
        await loose.login(server.token)
        said = await loose.text(HELP).send(text, allowed_mentions=discord.AllowedMentions.none())
        (stored,) = server.by_bot()
        assert (stored.mentions, stored.mention_roles, stored.mention_everyone) == ([], [], False)
        await said.edit(content=text + "!")
        assert (stored.mentions, stored.mention_roles) == ([ANN], [STAFF])
        assert not stored.mention_everyone, "the bot has no permission for it"
        await said.edit(content=text, allowed_mentions=discord.AllowedMentions(users=[discord.Object(BOB)], roles=False, everyone=False))
        assert (stored.mentions, stored.mention_roles) == ([], [])
        assert "allowed_mentions" not in stored.edits[0]


async def test_a_reply_mentions_its_author_only_if_it_says_so(server: DiscordPlatform, bot: Bot) -> None:
    asked = await server.say(ANN, HELP, "hello?")
    asked_of = bot.text(HELP).get_partial_message(asked.id)
    await asked_of.reply("quietly")
    await asked_of.reply("loudly", mention_author=True)
    assert [one.mentions for one in server.by_bot()] == [[], [ANN]]


async def test_files_flags_and_embeds_are_kept(server: DiscordPlatform, bot: Bot) -> None:
    said = await bot.text(HELP).send("see", file=discord.File(io.BytesIO(b"# long"), "answer.md"), suppress_embeds=True)
    assert await said.attachments[0].read() == b"# long"
    assert server.by_bot()[0].attachments[0]["filename"] == "answer.md"
    assert said.flags.suppress_embeds
    assert server.calls[0].method == "me"
    assert server.of("create_message")[0].files == ["answer.md"]


async def test_history_is_read_from_a_message_on(server: DiscordPlatform, bot: Bot) -> None:
    ids = [(await server.say(ANN, HELP, str(number))).id for number in range(5)]
    after = [one.content async for one in bot.text(HELP).history(after=discord.Object(ids[1]), limit=2)]
    before = [one.content async for one in bot.text(HELP).history(before=discord.Object(ids[1]))]
    assert (after, before) == (["2", "3"], ["0"])
    await server.remove(ids[0])
    assert [one.content async for one in bot.text(HELP).history(limit=2)] == ["4", "3"]


async def test_without_the_right_to_contents_history_shows_only_what_is_for_the_bot(server: DiscordPlatform, bot: Bot) -> None:
    server.privileged_content = False
    await server.say(ANN, HELP, "secret")
    mine = await bot.text(HELP).send("mine")
    await server.say(ANN, HELP, "for you", mention=True)
    await server.say(ANN, HELP, "a reply", reply_to=mine.id)
    await server.say(ANN, HELP, "a quiet reply", reply_to=mine.id, ping=False)
    await server.direct(ANN, "direct")
    assert [one.content async for one in bot.text(HELP).history(oldest_first=True)] == ["", "mine", f"<@{BOT}> for you", "a reply", ""]
    assert [one.content async for one in bot.text(server.direct_with(ANN).id).history()] == ["direct"]


async def test_a_message_has_one_thread_with_its_id(server: DiscordPlatform) -> None:
    async with Bot().running(server.token) as bot:
        asked = await server.say(ANN, HELP, "why?")
        heard = await bot.hears("message")
        thread = await heard.create_thread(name="why")
        assert thread.id == asked.id
        assert await refused(heard.create_thread(name="again")) == (400, 160004)
        assert (await bot.hears("thread_create")).id == asked.id
        await thread.send("because")
        assert [one.content for one in server.by_bot(asked.id)] == ["because"]
        assert [one.id for one in await bot.get_guild(GUILD).active_threads()] == [asked.id]


async def test_a_closed_thread_takes_messages_but_no_edits_and_a_locked_one_nothing(server: DiscordPlatform) -> None:
    async with Bot().running(server.token) as bot:
        post = await server.post(ANN, FORUM, "Broken", "it does not work", tags=[ANSWERED])
        thread = await bot.hears("thread_create")
        assert (thread.name, [tag.name for tag in thread.applied_tags]) == ("Broken", ["answered"])
        said = await thread.send("try this")
        await thread.edit(archived=True, applied_tags=[discord.Object(NEEDS_HUMAN)])
        stored = server.channels[post.id]
        assert (stored.archived, stored.applied) == (True, [NEEDS_HUMAN])
        assert await refused(said.edit(content="or that")) == (400, 50083)
        await thread.send("again")
        assert not stored.archived
        await server.change(post.id, locked=True)
        assert await refused(thread.send("x")) == (400, 160005)


async def test_a_post_and_its_first_message_have_one_id_and_come_in_either_order(server: DiscordPlatform) -> None:
    async with Bot().running(server.token) as bot:
        await server.post(ANN, FORUM, "One", "first")
        await server.post(ANN, FORUM, "Two", "second", message_first=True)
        await bot.hears("thread_create", 2)
        await bot.hears("message", 2)
        order = [name for name, _ in bot.heard if name in ("thread_create", "message")]
        assert order == ["thread_create", "message", "message", "thread_create"]
        assert [one.id for one in bot.of("message")] == [one.id for one in bot.of("thread_create")]
        made = await bot.get_channel(FORUM).create_thread(name="Three", content="by the bot")
        assert made.thread.id == made.message.id


async def test_a_direct_conversation_is_opened_once_and_may_be_refused(server: DiscordPlatform, bot: Bot) -> None:
    ann = await bot.fetch_user(ANN)
    said = await ann.send("hello")
    assert (await server.direct(ANN, "hi")).channel == said.channel.id
    server.people[ANN].refuses_direct = True
    assert await refused(ann.send("hello")) == (403, 50007)


async def test_guilds_members_roles_and_the_application_are_told(server: DiscordPlatform, bot: Bot) -> None:
    guild = await bot.fetch_guild(GUILD)
    bob = await guild.fetch_member(BOB)
    assert (bob.name, [one.id for one in await guild.fetch_roles()][:2]) == ("bob", [GUILD, STAFF])
    assert (await bot.application_info()).id == BOT
    assert sorted(one.name for one in await guild.fetch_channels()) == ["help", "questions"]
    assert await refused(guild.fetch_member(1)) == (404, 10007)


async def test_the_guilds_that_the_bot_is_in_are_listed_in_pages(server: DiscordPlatform, bot: Bot) -> None:
    await server.join(GUILD + 5000, "Second")
    assert [(guild.id, guild.name) async for guild in bot.fetch_guilds(limit=None)] == [(GUILD, "Shop"), (GUILD + 5000, "Second")]
    (first, _) = await bot.http.get_guilds(200)
    assert discord.Permissions(int(first["permissions"])).manage_threads  # type: ignore[typeddict-item]
    assert [guild.id async for guild in bot.fetch_guilds(after=discord.Object(GUILD))] == [GUILD + 5000]
    assert await refused(bot.http.get_guilds(201)) == (400, 50035)


async def test_as_a_process_it_takes_verbs_and_logs_what_the_bot_says(tmp_path: Path) -> None:
    log = tmp_path / "log"
    arguments = ["-m", "tests.servers.discord", "--log", str(log)]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    assert process.stdout
    url = (await process.stdout.readline()).decode().strip()
    with pointed_at(url):
        async with Bot().running(DiscordPlatform.token) as bot, httpx.AsyncClient() as http:
            asked = (await http.post(f"{url}/control/say", json={"user": ANN, "channel": HELP, "text": "hello"})).json()
            heard = await bot.hears("message")
            assert str(heard.id) == asked["id"]
            await heard.channel.send("good day", nonce="k")
            (said,) = (await http.get(f"{url}/log")).json()
            assert said["content"] == "good day"
            direct = (await http.post(f"{url}/control/direct", json={"user": ANN, "text": "psst"})).json()
            assert direct["channel_id"] == str((await bot.hears("message", 3)).channel.id)
            assert (await http.post(f"{url}/control/drop", json={})).json() == {}
            await bot.hears("resumed")
            assert (await http.post(f"{url}/control/shout")).status_code == 404
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    (line,) = log.read_text("utf-8").splitlines()
    assert {name: json.loads(line)[name] for name in ("what", "channel", "nonce")} == {"what": "post", "channel": HELP, "nonce": "k"}
