"""What happens when the gateway goes: nothing is lost, nothing is answered twice, and what cannot work ends with a reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from bot.commands.run import known
from bot.discord.backfill import Backfill
from bot.discord.client import FrontdeskClient
from core.domain import utc_now
from core.errors import SettingsError
from core.storage.database import Database
from core.storage.memory_staff import MemoryPositions
from tests.bot.discord.conftest import OpenOffice
from tests.bot.discord.office import PARCELS, REFUNDS, Office, office
from tests.servers.discord import DiscordPlatform
from tests.servers.discord_state import ANN, BOB, FORUM, HELP

Open = Callable[[str], Awaitable[Database]]


async def served(desk: Office) -> None:
    """The first question, so that the bot has a past."""
    await desk.ask(ANN, REFUNDS)
    await desk.parts.gateway.backfill.write()


@pytest.mark.parametrize("close", [True, False])
async def test_what_was_said_while_no_session_lived_is_read_afterwards(open_office: OpenOffice, close: bool) -> None:
    desk = await open_office()
    await served(desk)
    with desk.discord.hold_gateway():
        await (desk.discord.close(4009) if close else desk.discord.invalidate())
        await desk.discord.until(lambda: not desk.discord.connected)
        for one in list(desk.discord.sessions):
            del desk.discord.sessions[one]
        missed = await desk.discord.say(BOB, HELP, REFUNDS, mention=True)
        post = await desk.discord.post(ANN, FORUM, "Parcel", PARCELS)
    await desk.discord.until(lambda: desk.texts(missed.id) and desk.texts(post.channel), 20)
    await desk.quiet()
    assert [len(desk.texts(one)) for one in (missed.id, post.channel)] == [1, 1]


async def test_what_is_heard_while_the_past_is_read_comes_after_it(open_office: OpenOffice) -> None:
    desk = await open_office()
    first = await desk.ask(ANN, REFUNDS)
    await desk.parts.gateway.backfill.write()
    with desk.discord.hold("list_messages") as gate:
        with desk.discord.hold_gateway():
            await desk.discord.invalidate()
            await desk.discord.until(lambda: not desk.discord.connected)
            desk.discord.sessions.clear()
            missed = await desk.discord.say(ANN, first.id, PARCELS)
            taken_back = await desk.discord.say(ANN, first.id, "and this?")
        await desk.discord.until(lambda: gate.waiting, 20)
        later = await desk.discord.say(ANN, first.id, REFUNDS)
        await desk.discord.remove(taken_back)
    await desk.discord.until(lambda: not desk.parts.gateway.backfill._gaps)
    await desk.quiet()
    async with desk.graph.database.read() as connection:
        stored = (await connection.exec_driver_sql("SELECT message_id, state FROM inbox ORDER BY inbox_id")).all()
    assert [message_id for message_id, _ in stored] == [str(one.id) for one in (first, missed, later)]
    assert {state for _, state in stored} == {"done"}


async def test_bad_input_58_what_was_said_between_two_processes_is_answered_once_by_the_next(open_database: Open) -> None:
    database = await open_database("sqlite")
    async with DiscordPlatform() as server:
        async with office(database, server) as desk:
            first = await desk.ask(ANN, REFUNDS)
            await desk.discord.direct(ANN, REFUNDS)
            await desk.quiet()
        missed = await server.say(BOB, HELP, REFUNDS, mention=True)
        await server.say(ANN, first.id, PARCELS)
        direct = await server.direct(ANN, "how long does a parcel take now?")
        post = await server.post(BOB, FORUM, "Parcel", PARCELS)
        others = await server.say(BOB, HELP, REFUNDS)
        async with office(database, server) as desk, office(database, server):
            await desk.discord.until(lambda: len(desk.discord.by_bot()) >= 6, 20)
            await desk.quiet()
            counts = [len(desk.texts(one)) for one in (first.id, missed.id, direct.channel, post.channel, others.id)]
            assert counts == [2, 1, 2, 1, 0]
            assert len(await desk.turns()) == 6


async def test_at_the_first_start_what_was_said_before_is_left_alone(open_database: Open) -> None:
    async with DiscordPlatform() as server:
        await server.say(BOB, HELP, REFUNDS, mention=True)
        async with office(await open_database("sqlite"), server) as desk:
            await desk.ask(ANN, REFUNDS)
            assert len(desk.discord.by_bot()) == 1


async def test_what_was_said_too_long_ago_is_not_answered_any_more(open_database: Open) -> None:
    database = await open_database("sqlite")
    began = utc_now().timestamp()
    async with DiscordPlatform(clock=lambda: began - 4000) as server:
        async with office(database, server) as desk:
            await served(desk)
        await server.say(BOB, HELP, REFUNDS, mention=True)
        server.clock = lambda: began
        async with office(database, server) as desk:
            await desk.ask(ANN, PARCELS)
            assert len(await desk.turns()) == 2


async def test_a_message_that_cannot_be_stored_now_is_stored_later(open_office: OpenOffice) -> None:
    desk = await open_office()
    accept, failures = desk.graph.inbox.accept, iter(range(2))

    async def fails_twice(*given: object) -> bool:
        if next(failures, None) is not None:
            raise OSError("the disk is full")
        return await accept(*given)  # type: ignore[arg-type]

    desk.graph.inbox.accept = fails_twice  # type: ignore[method-assign]
    asked = await desk.ask(ANN, REFUNDS)
    assert len(desk.texts(asked.id)) == 1


async def test_no_position_moves_past_what_is_under_way_or_still_to_be_read() -> None:
    client, positions = FrontdeskClient(message_content=False), MemoryPositions()
    backfill = Backfill(client, positions)

    async def position() -> int:
        await backfill.write()
        return {name: one.message_id for name, one in (await positions.all("discord", 9)).items()}.get("7", 0)

    for message_id in (10, 11, 12):
        backfill.began(7, message_id, 1)
    backfill.done(7, 10)
    backfill.done(7, 12)
    assert await position() == 0, "nothing was read yet of what was missed before"
    await backfill.fill(0)
    assert await position() == 10
    backfill.missed(0)
    backfill.done(7, 11)
    assert await position() == 10
    await backfill.fill(0)
    assert await position() == 12
    backfill.done(7, 11)
    assert await position() == 12


def test_what_ends_a_part_of_the_process_is_told_in_a_line() -> None:
    cause = SettingsError("no token")
    assert known(ExceptionGroup("parts", [OSError(), ExceptionGroup("part", [cause])])) is cause
    other = ExceptionGroup("parts", [OSError()])
    assert known(other) is other
