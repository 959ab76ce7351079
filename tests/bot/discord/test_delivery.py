"""Every question on Discord has one answer whatever breaks on the way out; and what is taken back is not answered."""

from __future__ import annotations

import pytest

from bot.discord import rest
from bot.discord.client import FrontdeskClient as Client
from core.domain import Passage
from core.errors import RateLimitedError, UncertainError
from tests.bot.discord.conftest import OpenOffice
from tests.bot.discord.office import REFUNDS, Office
from tests.servers.discord import DiscordPlatform, pointed_at
from tests.servers.discord_state import ANN, BOB, HELP, Can

LONG = "\n\n".join(f"Paragraph {number} of the story. " + "It goes on and on. " * 20 for number in range(12))


def forget_nonces(platform: DiscordPlatform) -> None:
    """Time goes by, after which Discord neither knows nor shows them."""
    platform.nonces.clear()
    for message in platform.by_bot():
        message.nonce = None


@pytest.fixture
async def desk(open_office: OpenOffice) -> Office:
    return await open_office()


@pytest.mark.parametrize("kind", ["reset_before", "reset_after_accept", "502_before", "502_after_accept", "503_after_accept", "429"])
async def test_bad_input_52_53_a_reply_whose_fate_is_unknown_stands_there_once(desk: Office, kind: str) -> None:
    desk.discord.fail("create_message", kind)
    asked = await desk.ask(ANN, REFUNDS)
    assert len(desk.texts(asked.id)) == 1
    assert await desk.graph.outbox.dead() == 0


async def test_what_arrived_is_found_also_when_discord_has_forgotten_its_nonce(desk: Office) -> None:
    desk.discord.fail("create_message", "reset_after_accept")
    with desk.discord.hold("create_message", after=True) as gate:
        asked = await desk.discord.say(ANN, HELP, REFUNDS, mention=True)
        await desk.discord.until(lambda: gate.waiting)
        forget_nonces(desk.discord)
    await desk.quiet()
    assert len(desk.texts(asked.id)) == 1
    assert len(desk.discord.of("create_message")) == 1


@pytest.mark.parametrize("forgets", [False, True])
async def test_of_a_long_reply_only_the_missing_parts_are_sent_again(open_office: OpenOffice, forgets: bool) -> None:
    desk = await open_office(articles={"story": (Passage("story", "story", "Tell me the story", LONG), 0.95)})
    with desk.discord.hold("create_message", after=True) as gate:
        asked = await desk.discord.say(ANN, HELP, "tell me the story", mention=True)
        await desk.discord.until(lambda: gate.waiting)
        desk.discord.fail("create_message", "reset_after_accept")
    with desk.discord.hold("create_message", after=True) as gate:
        await desk.discord.until(lambda: gate.waiting)
        if forgets:
            forget_nonces(desk.discord)
    await desk.quiet()
    said = desk.texts(asked.id)
    assert len(said) >= 3
    assert len(set(said)) == len(said) == len(desk.discord.of("create_message"))
    assert "Paragraph 11" in said[-1]


async def test_a_thread_that_somebody_has_made_meanwhile_is_taken(desk: Office) -> None:
    with desk.discord.hold("thread_of_message") as gate:
        asked = await desk.discord.say(ANN, HELP, REFUNDS, mention=True)
        await desk.discord.until(lambda: gate.waiting)
        await desk.discord.start_thread(ANN, asked.id, "mine")
    await desk.quiet()
    assert len(desk.texts(asked.id)) == 1


async def test_where_no_thread_may_be_made_the_answer_is_a_reply_in_the_channel(desk: Office) -> None:
    await desk.discord.deny(HELP, Can.CREATE_PUBLIC_THREADS)
    desk.discord.fail("create_message", "reset_after_accept")
    for _ in range(2):
        await desk.ask(ANN, REFUNDS)
    first, second = desk.discord.by_bot(HELP)
    assert first.reference != second.reference
    assert None not in (first.reference, second.reference)
    assert desk.discord.invalid == 1, "what is refused is not asked for again at once"


async def test_bad_input_32_a_reply_that_is_refused_for_good_is_given_up(desk: Office) -> None:
    await desk.discord.deny(HELP, Can.CREATE_PUBLIC_THREADS, Can.SEND_MESSAGES)
    await desk.ask(ANN, REFUNDS)
    assert await desk.graph.outbox.dead() == 1
    assert desk.discord.by_bot() == []


async def test_an_answer_that_says_what_another_said_before_is_not_taken_for_it(desk: Office) -> None:
    await desk.discord.direct(ANN, REFUNDS)
    await desk.quiet()
    forget_nonces(desk.discord)
    desk.discord.fail("create_message", "reset_before")
    asked = await desk.discord.direct(ANN, REFUNDS)
    await desk.quiet()
    assert len(desk.texts(asked.channel)) == 2


async def test_an_answer_that_says_what_another_said_after_it_was_asked_for_is_not_taken_for_it(desk: Office) -> None:
    with desk.discord.hold("create_message") as gate:
        await desk.discord.direct(ANN, REFUNDS)
        await desk.discord.until(lambda: gate.waiting)
        asked = await desk.discord.direct(ANN, REFUNDS)
    await desk.discord.until(lambda: desk.texts(asked.channel))
    forget_nonces(desk.discord)
    desk.discord.fail("create_message", "reset_before")
    await desk.quiet()
    assert len(desk.texts(asked.channel)) == 2


async def test_where_there_are_no_threads_the_answer_to_one_is_not_taken_for_the_answer_to_another(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "CALL_SECONDS", 1)  # the library posts one after the other
    await desk.discord.deny(HELP, Can.CREATE_PUBLIC_THREADS)
    with desk.discord.hold("create_message") as gate:
        for user in (ANN, BOB):
            await desk.discord.say(user, HELP, REFUNDS, mention=True)
        await desk.discord.until(lambda: gate.waiting == 2)
        desk.discord.fail("create_message", "reset_after_accept")
        desk.discord.fail("create_message", "reset_before")
    await desk.discord.until(lambda: len(desk.discord.of("create_message")) >= 3)
    forget_nonces(desk.discord)
    await desk.quiet()
    assert len({message.reference for message in desk.discord.by_bot(HELP)}) == len(desk.texts(HELP)) == 2


async def test_a_limit_with_a_long_window_holds_nothing_up_while_something_of_it_is_left(desk: Office) -> None:
    desk.discord.rates["thread_of_message"] = (50, 300.0)
    asked = [await desk.ask(user, REFUNDS) for user in (ANN, BOB, ANN)]
    assert [len(desk.texts(one.id)) for one in asked] == [1, 1, 1]


async def test_what_a_limit_kept_from_leaving_is_not_uncertain(monkeypatch: pytest.MonkeyPatch) -> None:
    async with DiscordPlatform(rates={"create_message": (1, 60.0)}) as server, Client(message_content=False) as client:
        with pointed_at(server):
            calls = rest.Rest(client, server.token)
            await calls.open()
            monkeypatch.setattr(rest, "CALL_SECONDS", 2)
            assert (await calls.post(str(HELP), "one", "1"))["content"] == "one"  # the last that the limit leaves
            with pytest.raises(RateLimitedError):
                await calls.post(str(HELP), "two", "2")
            server.fail("create_message", "429", retry_after=60)
            with pytest.raises(RateLimitedError):
                await calls.post(str(server.direct_with(ANN).id), "three", "3")
            with server.hold("create_message"), pytest.raises(UncertainError):
                await calls.post(str(server.direct_with(BOB).id), "four", "4")
