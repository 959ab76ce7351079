"""What is typed in Discord: private answers that can be shared, one's own data, and what admins can have done."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import discord
import pytest

from bot.discord.interactions import APOLOGY
from bot.discord.private import answer_privately, route_of
from bot.discord.slash import sync
from core.domain import Address, utc_now
from core.errors import RefusedError
from core.storage.channels import SqlChannels
from core.storage.database import Database
from core.storage.turn_book import SqlTurnBook
from tests.bot.discord.desk import Counter, buttons_of, counter
from tests.bot.discord.test_messages import parcel
from tests.bot.hostile import reply
from tests.servers.discord import DiscordPlatform
from tests.servers.discord_client import Bot
from tests.servers.discord_state import ANN, BOB, GUILD, HELP, Interaction

REFUNDS = "how long does a refund take?"


async def asked_privately(desk: Counter, text: str = REFUNDS) -> Interaction:
    """Somebody asks alone, and has the answer."""
    asked = await desk.discord.command(ANN, HELP, "ask", {"question": text})
    await desk.told()
    await desk.quiet()
    return asked


async def test_ask_is_deferred_then_answered_to_one_person_alone(desk: Counter) -> None:
    asked = await asked_privately(desk)
    assert (asked.response or {})["type"] == 5
    (answer,) = desk.discord.ephemerals
    assert answer is asked.original  # it took the place of the deferral
    assert (answer.ephemeral_for, desk.discord.by_bot()) == (ANN, [])
    assert "Refunds take 14 days." in answer.content
    assert buttons_of(answer) == ["feedback_good", "feedback_bad", "person", "sources", "share"]


async def test_a_private_answer_is_shared_once_by_whoever_asked(desk: Counter) -> None:
    asked = await asked_privately(desk)
    (turn_id,) = await desk.turn_ids()
    assert asked.original
    await desk.discord.press(BOB, asked.original, f"fd:share:{turn_id}")
    assert "does not belong" in await desk.told(2)
    for _ in range(2):
        await desk.discord.press(ANN, asked.original, f"fd:share:{turn_id}")
    await desk.discord.until(lambda: asked.original and asked.original.deleted)
    assert "in the channel already" in await desk.told(3)
    (shared,) = desk.discord.by_bot(HELP)
    assert shared.content.startswith(f"> {REFUNDS}\nRefunds take 14 days.")
    assert buttons_of(shared) == ["feedback_good", "feedback_bad", "person", "sources"]
    await desk.discord.press(BOB, shared, f"fd:feedback_good:{turn_id}")
    assert "Thank you" in await desk.told(4)


async def test_a_person_is_asked_for_in_private_and_staff_learn_who_waits(desk: Counter) -> None:
    asked = await asked_privately(desk)
    assert asked.original
    await desk.discord.press(ANN, asked.original, f"fd:person:{(await desk.turn_ids())[0]}")
    assert "person" in (await desk.told(2)).lower()
    assert "Refunds take 14 days." in asked.original.content  # the first answer stays


async def test_the_way_back_is_sealed_and_ends_with_its_token(desk: Counter) -> None:
    asked = await asked_privately(desk)
    (row,) = await desk.turns()
    turn = await SqlTurnBook(desk.graph.database).turn(row["turn_id"])
    assert turn
    route = await desk.vault.get(route_of(turn.address))
    assert (route or b"").endswith(asked.token.encode())
    async with desk.graph.database.read() as connection:
        assert asked.token not in str((await connection.exec_driver_sql("select * from secrets")).all())
    await desk.vault.put(route_of(turn.address), b"x", utc_now() - timedelta(seconds=1))
    with pytest.raises(RefusedError, match="quarter of an hour"):
        await answer_privately(desk.client, desk.vault, parcel(reply("late"))._replace(address=turn.address), ())


@pytest.mark.parametrize("ended", ["here", "there"])
async def test_a_private_answer_that_is_late_is_a_direct_message(desk: Counter, ended: str) -> None:
    await asked_privately(desk)
    (row,) = await desk.turns()
    turn = await SqlTurnBook(desk.graph.database).turn(row["turn_id"])
    assert turn
    if ended == "here":
        await desk.vault.put(route_of(turn.address), b"x", utc_now() - timedelta(seconds=1))
    else:
        desk.discord.clock = lambda: time.time() + 901
    late = parcel(reply("late"))._replace(address=turn.address, turn_id=turn.turn_id)
    for _ in range(2):
        await desk.parts.adapter.send(late)
    (said,) = desk.discord.by_bot(desk.discord.direct_with(ANN).id)
    assert "late" in said.content


async def test_somebody_gets_their_data_and_has_it_erased(desk: Counter) -> None:
    await asked_privately(desk)
    await desk.take(REFUNDS)
    await desk.take("refund of mine", desk.discord.direct_with(ANN).id)
    await desk.discord.command(ANN, HELP, "support privacy", {"what": "export"})
    await desk.told(2)
    (file,) = desk.discord.ephemerals[-1].attachments
    here, direct = json.loads(desk.discord.files[file["id"]])
    assert [one["text"] for one in here["messages"]] == [REFUNDS, REFUNDS]
    assert [one["text"] for one in direct["messages"]] == ["refund of mine"]
    await desk.discord.command(ANN, HELP, "support privacy", {"what": "delete"})
    assert "is erased" in await desk.told(3)
    assert [turn["question"] for turn in await desk.turns()] == ["", "", ""]


async def test_status_says_what_the_bot_does_and_keeps(desk: Counter) -> None:
    await desk.discord.command(ANN, HELP, "support status")
    assert "/support privacy" in await desk.told()


async def test_admins_set_a_channel_and_are_recorded(desk: Counter) -> None:
    await desk.discord.command(BOB, HELP, "support-admin channel", {"mode": "draft"})
    assert "is now draft" in await desk.told()
    assert (await SqlChannels(desk.graph.database).channel("discord", str(GUILD), str(HELP))).mode == "draft"
    await desk.discord.command(BOB, HELP, "support-admin mute")
    assert "silent" in await desk.told(2)
    await desk.discord.command(BOB, HELP, "support-admin unmute")
    await desk.told(3)
    await desk.discord.command(BOB, HELP, "support-admin status")
    assert "Waiting: 0 messages" in await desk.told(4)
    await desk.discord.command(BOB, HELP, "support-admin reload")
    assert "Open the model that serves anew?" in await desk.told(5)
    await desk.discord.command(BOB, HELP, "support-admin rollback")
    await desk.told(6)
    await desk.discord.command(BOB, HELP, "support-admin knowledge")
    assert "Nothing is published" in await desk.told(7)
    assert (f"discord:{GUILD}:{BOB}", "channel.mode", "done") in await desk.audited()


async def test_bad_input_40_who_is_no_admin_is_refused_and_recorded_whatever_discord_lets_them_see(desk: Counter) -> None:
    await desk.discord.command(ANN, HELP, "support-admin channel", {"mode": "off"})
    assert "Only admins may do this" in await desk.told()
    assert await desk.audited() == [(f"discord:{GUILD}:{ANN}", "channel.mode", "denied")]
    assert (await SqlChannels(desk.graph.database).channel("discord", str(GUILD), str(HELP))).mode is None


async def test_admin_commands_are_registered_in_the_operators_guild_only(desk: Counter) -> None:
    registered = {place: {one["name"]: one for one in commands} for place, commands in desk.discord.commands.items()}
    assert set(registered[None]) == {"ask", "support", "Correct this answer", "Teach Frontdesk"}
    assert set(registered[GUILD]) == {"support-admin"}
    assert registered[GUILD]["support-admin"]["default_member_permissions"] == 0
    assert registered[None]["Teach Frontdesk"]["default_member_permissions"] == discord.Permissions(manage_messages=True).value


async def test_discord_is_told_of_commands_only_when_they_changed(
    server: DiscordPlatform, open_database: Callable[[str], Awaitable[Database]]
) -> None:
    database = await open_database("sqlite")

    def told() -> list[str]:
        return [call.method for call in server.calls if call.method.startswith("overwrite")]

    for _ in range(2):
        async with counter(database, server) as desk:
            assert told() == ["overwrite_commands", "overwrite_guild_commands"]
    async with Bot().running(server.token) as other:

        @other.tree.command(description="More")
        async def more(_: discord.Interaction[Any]) -> None: ...

        server.fail("overwrite_commands", "error:400:30034")
        with pytest.raises(discord.HTTPException):
            await sync(other.tree, desk.vault)
        assert [await sync(other.tree, desk.vault), await sync(other.tree, desk.vault)] == [True, False]


async def test_a_command_of_an_older_version_says_that_it_is_gone(desk: Counter) -> None:
    desk.discord.commands[None].append({"id": "1", "name": "dance", "type": 1})
    await desk.discord.command(ANN, HELP, "dance")
    assert "no longer" in await desk.told()


async def test_a_failure_is_told_in_our_words(desk: Counter) -> None:
    async with desk.graph.database.write() as connection:
        await connection.exec_driver_sql("drop table secrets")
    await desk.discord.command(ANN, HELP, "ask", {"question": REFUNDS})
    assert await desk.told() == APOLOGY


async def test_questions_of_a_thread_go_by_its_channel(desk: Counter) -> None:
    root = await desk.discord.say(ANN, HELP, "hello")
    thread = await desk.discord.start_thread(ANN, root.id, "hello")
    await desk.discord.command(ANN, thread.id, "ask", {"question": REFUNDS})
    await desk.told()
    (row,) = await desk.turns()
    turn = await SqlTurnBook(desk.graph.database).turn(row["turn_id"])
    assert turn
    address = turn.address
    assert address == Address("discord", str(GUILD), str(HELP), address.thread_id)
    assert address.thread_id.startswith("private-")


async def test_bad_input_38_a_question_that_is_taken_too_late_is_answered_by_a_direct_message(desk: Counter) -> None:
    desk.discord.first_seconds = -1.0
    await desk.discord.command(ANN, HELP, "ask", {"question": REFUNDS})
    direct = desk.discord.direct_with(ANN).id
    await desk.discord.until(lambda: desk.discord.by_bot(direct))
    assert "Refunds take 14 days." in desk.discord.by_bot(direct)[0].content
    assert desk.discord.by_bot(HELP) == []


async def test_a_long_private_answer_comes_in_parts_with_its_buttons_under_the_last(desk: Counter) -> None:
    await asked_privately(desk)
    (row,) = await desk.turns()
    turn = await SqlTurnBook(desk.graph.database).turn(row["turn_id"])
    assert turn
    long = parcel(reply("\n\n".join(["word " * 200] * 4)))._replace(address=turn.address)
    await answer_privately(desk.client, desk.vault, long, ())
    *_, before, last = desk.discord.ephemerals
    assert (buttons_of(before), buttons_of(last)[-1], last.ephemeral_for) == ([], "share", ANN)
