"""Bad inputs 32, 50 to 52, 54, 57 and 58: calls that Discord refuses or puts off, and sessions that end.

43 to 45 (signed requests) and 55 (a connection that is refreshed) do not exist: nothing comes from Discord over HTTP, and its gateway
resumes. 56 (streams of the platform's own) does not either: a preview is a message that is edited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select

from bot.discord import limits as limits_module
from bot.discord import rest as rest_module
from core.domain import Passage
from core.errors import SettingsError
from core.storage.database import Database
from core.storage.tables import outbox
from tests.bot.discord.conftest import OpenOffice
from tests.bot.discord.office import PARCELS, REFUNDS, Office, office
from tests.bot.discord.test_delivery import LONG, forget_nonces
from tests.bot.discord.test_live import Clock
from tests.servers.discord import DiscordPlatform
from tests.servers.discord_faults import Call
from tests.servers.discord_state import ANN, BOB, GUILD, HELP, Can

Open = Callable[[str], Awaitable[Database]]


async def outcomes(desk: Office) -> list[tuple[str, int]]:
    """State and attempts of each reply."""
    async with desk.graph.database.read() as connection:
        rows = await connection.execute(select(outbox.c.state, outbox.c.attempts).order_by(outbox.c.outbox_id))
        return [(row.state, row.attempts) for row in rows]


def refused(desk: Office) -> list[Call]:
    """The calls that met a limit."""
    return [call for call in desk.discord.calls if call.outcome in (429, "cloudflare")]


@pytest.mark.parametrize("what", ["locked", "deleted", "kicked", "silenced"])
async def test_bad_input_32_a_place_that_takes_no_answer_is_given_up_at_once(open_office: OpenOffice, what: str) -> None:
    desk = await open_office(gate=(gate := asyncio.Event()))
    desk.parts.live._clock = Clock()
    desk.discord.fail("create_message", "error:403:50013")  # of the preview
    asked = await desk.discord.say(ANN, HELP, PARCELS, mention=True)
    await desk.discord.until(lambda: desk.discord.of("create_message"))
    if what == "locked":
        await desk.discord.change(asked.id, locked=True)
    elif what == "deleted":
        await desk.discord.delete(asked.id)
    elif what == "kicked":
        await desk.discord.leave(GUILD)
    else:
        await desk.discord.deny(HELP, Can.SEND_MESSAGES_IN_THREADS)
    gate.set()
    await desk.quiet()
    assert desk.discord.by_bot() == []
    assert await outcomes(desk) == [("dead", 1)]
    assert len(desk.discord.of("create_message")) == 2
    assert await desk.graph.outbox.dead() == 1


async def test_bad_input_32_a_person_who_takes_no_direct_messages_is_not_asked_again(open_office: OpenOffice) -> None:
    desk = await open_office()
    desk.discord.people[ANN].refuses_direct = False
    with desk.discord.hold("create_message") as gate:
        await desk.discord.direct(ANN, REFUNDS)
        await desk.discord.until(lambda: gate.waiting)
        desk.discord.people[ANN].refuses_direct = True
    await desk.quiet()
    assert await outcomes(desk) == [("dead", 1)]


async def test_bad_input_32_a_thread_that_was_put_away_is_opened_by_the_one_answer_in_it(open_office: OpenOffice) -> None:
    desk = await open_office(gate=(gate := asyncio.Event()))
    desk.parts.live._clock = Clock()
    asked = await desk.discord.say(ANN, HELP, PARCELS, mention=True)
    await desk.discord.until(lambda: desk.texts(asked.id))  # a preview, which can be neither edited nor deleted now
    await desk.discord.change(asked.id, archived=True)
    gate.set()
    await desk.quiet()
    (answer,) = desk.texts(asked.id)
    assert "You can follow it on our page." in answer
    assert await outcomes(desk) == [("sent", 1)]


async def test_bad_input_32_a_deleted_question_with_answers_keeps_its_thread(open_office: OpenOffice) -> None:
    desk = await open_office()
    asked = await desk.ask(ANN, REFUNDS)
    await desk.discord.remove(asked)
    await desk.discord.say(ANN, asked.id, PARCELS, mention=True)
    await desk.quiet()
    assert len(desk.texts(asked.id)) == 2


@pytest.fixture
def patience_of_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit of a second is one that is not waited for, as one of 30 s is else."""
    monkeypatch.setattr(limits_module, "PATIENCE_SECONDS", 0.5)


@pytest.mark.usefixtures("patience_of_half_a_second")
async def test_bad_input_50_a_storm_of_429_delays_all_answers_of_a_channel_and_drops_previews(open_office: OpenOffice) -> None:
    desk = await open_office()
    desk.parts.live._clock = Clock()
    await desk.discord.deny(HELP, Can.CREATE_PUBLIC_THREADS)  # so that all stand in one channel
    desk.discord.fail("create_message", "429", retry_after=1)
    await desk.discord.say(ANN, HELP, PARCELS, mention=True)
    await desk.discord.until(lambda: refused(desk))
    for number in range(6):
        await desk.discord.say(BOB, HELP, f"{PARCELS} {number}", mention=True)
    await desk.quiet()
    assert len({one.reference for one in desk.discord.by_bot(HELP)}) == len(desk.discord.by_bot(HELP)) == 7
    limit, *later = desk.discord.of("create_message")  # seven conversations waited for as long as Discord had said to one of them
    assert [call.outcome for call in later] == [200] * 7
    assert all(call.when - limit.when >= 1 for call in later)
    assert desk.discord.of("edit_message", "list_messages") == []  # no previews; and what was refused need not be looked for
    assert desk.discord.invalid <= 2


@pytest.mark.usefixtures("patience_of_half_a_second")
async def test_bad_input_50_answers_that_were_put_off_keep_their_order(open_office: OpenOffice) -> None:
    desk = await open_office()
    desk.discord.fail("create_message", "429", retry_after=1)
    first = await desk.discord.direct(ANN, REFUNDS)
    await desk.discord.until(lambda: refused(desk))
    await desk.discord.direct(ANN, PARCELS)
    await desk.quiet()
    assert ["Refunds" in text for text in desk.texts(first.channel)] == [True, False]
    assert [state for state, _ in await outcomes(desk)] == ["sent", "sent"]


@pytest.mark.usefixtures("patience_of_half_a_second")
async def test_bad_input_50_of_a_long_answer_that_is_put_off_halfway_only_the_rest_is_sent(open_office: OpenOffice) -> None:
    desk = await open_office(articles={"story": (Passage("story", "story", "Tell me the story", LONG), 0.95)})
    with desk.discord.hold("create_message", after=True) as gate:
        asked = await desk.discord.say(ANN, HELP, "tell me the story", mention=True)
        await desk.discord.until(lambda: gate.waiting)
        desk.discord.fail("create_message", "429", retry_after=1)
        forget_nonces(desk.discord)
    await desk.quiet()
    said = desk.texts(asked.id)
    assert len(set(said)) == len(said) >= 3
    assert len(desk.discord.of("create_message")) == len(said) + 1
    assert await outcomes(desk) == [("sent", 2)]


@pytest.mark.parametrize("kind", ["cloudflare", "429_global"])
async def test_bad_input_51_while_discord_takes_nothing_nothing_is_asked_of_it(
    open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(rest_module, "CALL_SECONDS", 0.5)  # less than the limit lasts
    desk = await open_office(gate=(gate := asyncio.Event()))
    first = await desk.discord.direct(ANN, PARCELS)
    await desk.discord.until(lambda: any(call.outcome == 204 for call in desk.discord.of("typing")))
    desk.discord.fail("create_message", kind, retry_after=1)
    gate.set()
    await desk.discord.until(lambda: refused(desk))
    second = await desk.discord.say(BOB, HELP, REFUNDS, mention=True)
    await desk.quiet()
    assert [len(desk.texts(place)) for place in (first.channel, second.id)] == [1, 1]
    (limit,) = refused(desk)
    later = desk.discord.calls[desk.discord.calls.index(limit) + 1 :]
    assert all(call.when - limit.when >= 1 for call in later)
    assert [state for state, _ in await outcomes(desk)] == ["sent", "sent"]


@pytest.mark.usefixtures("patience_of_half_a_second")
async def test_bad_input_51_another_channel_goes_on_while_one_is_limited(open_office: OpenOffice) -> None:
    desk = await open_office()
    desk.discord.fail("create_message", "429", retry_after=60)
    limited = await desk.discord.direct(ANN, REFUNDS)
    await desk.discord.until(lambda: refused(desk))
    asked = await desk.discord.say(BOB, HELP, REFUNDS, mention=True)
    await desk.discord.until(lambda: desk.texts(asked.id))
    assert desk.texts(limited.channel) == []


async def test_bad_input_51_a_limit_on_the_login_is_waited_for(open_office: OpenOffice) -> None:
    desk = await open_office(is_open=False)
    desk.discord.fail("me", "cloudflare", retry_after=60)
    for _ in range(5):
        with pytest.raises(rest_module.RateLimitedError):
            await desk.parts.adapter._rest.open()
    assert len(desk.discord.calls) == 1


@pytest.mark.parametrize("how", ["drop", "reconnect"])
async def test_bad_input_54_a_session_that_is_resumed_while_an_answer_is_written_loses_nothing(open_office: OpenOffice, how: str) -> None:
    gate = asyncio.Event()
    desk = await open_office(gate=gate)
    first = await desk.discord.say(ANN, HELP, PARCELS, mention=True)
    await desk.writer.began.wait()
    with desk.discord.hold_gateway():
        await getattr(desk.discord, how)()
        await desk.discord.until(lambda: not desk.discord.connected)
        second = await desk.discord.say(BOB, HELP, REFUNDS, mention=True)
    gate.set()
    await desk.discord.until(lambda: desk.discord.resumes, 20)
    await desk.discord.until(lambda: desk.texts(first.id) and desk.texts(second.id), 20)
    await desk.quiet()
    assert [len(desk.texts(one.id)) for one in (first, second)] == [1, 1]


async def ended(database: Database, server: DiscordPlatform, close: int = 0, **settings: object) -> None:
    """Run the way in until it ends by itself, after the gateway has closed it with a code, if one is given."""
    async with office(database, server, is_open=False, **settings) as desk, asyncio.timeout(20):
        running = asyncio.create_task(desk.parts.gateway.run())
        if close:
            await server.until(lambda: server.connected)
            await server.close(close)
        await running


async def test_bad_input_57_a_wrong_token_ends_with_a_reason(open_database: Open) -> None:
    async with DiscordPlatform() as server:
        with pytest.raises(SettingsError, match=r"discord\.bot_token"):
            await ended(await open_database("sqlite"), server, bot_token="other")
        assert server.invalid == 1


@pytest.mark.parametrize(("code", "reason"), [(4004, "bot token"), (4013, "intents"), (4014, "Message Content Intent"), (4012, "4012")])
async def test_bad_input_57_a_session_that_is_closed_for_good_ends_with_a_reason(open_database: Open, code: int, reason: str) -> None:
    async with DiscordPlatform() as server:
        with pytest.raises(SettingsError, match=reason):
            await ended(await open_database("sqlite"), server, code)
        assert len(server.identifies) == 1


async def test_bad_input_57_intents_that_are_not_granted_end_with_a_reason_and_are_not_needed(open_database: Open) -> None:
    database = await open_database("sqlite")
    async with DiscordPlatform(privileged_content=False) as server:
        with pytest.raises(SettingsError, match="Message Content Intent"):
            await ended(database, server, message_content=True)
        assert len(server.identifies) == 1
        async with office(database, server, message_content=False) as desk:
            asked = await desk.ask(ANN, REFUNDS)
            await desk.discord.say(ANN, asked.id, PARCELS)
            await desk.quiet()
            assert len(desk.texts(asked.id)) == 1, "what is not shown cannot be answered"
            await desk.discord.direct(ANN, REFUNDS)
            await desk.quiet()
            assert len(desk.discord.by_bot()) == 2


@pytest.mark.parametrize(("begun", "told"), [(100, False), (200, True)])
async def test_bad_input_57_sessions_that_begin_too_often_are_an_alarm(
    open_database: Open, caplog: pytest.LogCaptureFixture, begun: int, told: bool
) -> None:
    database = await open_database("sqlite")
    async with DiscordPlatform(identifies=[{"bucket": 0, "at": 0.0}] * begun) as server, office(database, server):
        pass
    assert ("session after session" in caplog.text) is told


async def test_bad_input_58_a_deploy_while_fifty_answers_are_open_loses_and_repeats_nothing(open_database: Open) -> None:
    database, gate = await open_database("sqlite"), asyncio.Event()
    async with DiscordPlatform() as server:
        customers = [server.person(GUILD + 1000 + number, f"customer{number}").id for number in range(50)]
        async with office(database, server, gate=gate) as desk:
            asked = [await server.direct(one, PARCELS) for one in customers]
            await desk.heard()
            await desk.writer.began.wait()
            gate.set()  # what is being written is finished, the rest is given back
        asked += [await server.direct(customers[0], REFUNDS), await server.say(customers[1], HELP, REFUNDS, mention=True)]
        async with office(database, server) as desk:
            await server.until(lambda: desk.texts(asked[-1].id) and len(desk.texts(asked[0].channel)) == 2, 20)
            await desk.quiet()
            assert [len(desk.texts(one.channel)) for one in asked[:50]] == [2] + [1] * 49
            assert len(desk.texts(asked[-1].id)) == 1
            assert len(await desk.turns()) == 52
