"""What a conversation shows while an answer is written, and that exactly one message is left of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from bot.discord import live as live_module
from bot.discord.live import MAX_EDITS, LivePreviews
from bot.discord.rest import Rest
from bot.discord.rooms import Rooms
from bot.discord.unfinished import MARK
from core.domain import Actor, Address, InboundMessage
from core.storage.memory_staff import MemoryPreviews
from core.storage.previews import SqlPreviews
from tests.bot.discord.conftest import OpenOffice
from tests.bot.discord.office import PARCELS, Office
from tests.bot.discord.test_delivery import forget_nonces
from tests.bot.slack.test_scenarios_live import leave
from tests.servers.discord import DiscordPlatform, pointed_at
from tests.servers.discord_client import Bot
from tests.servers.discord_state import ANN, BOB, GUILD, HELP, STAFF, Can, Message


@dataclass
class Clock:
    """Tells a second more at each look."""

    now: float = 0.0
    step: float = 1.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@dataclass
class Written:
    """An office where an answer is being written."""

    desk: Office
    gate: asyncio.Event
    asked: Message

    async def previewed(self) -> Message:
        """The message that shows the beginning of the answer."""
        await self.desk.discord.until(lambda: self.desk.texts(self.asked.id))
        (preview,) = self.desk.discord.by_bot(self.asked.id)
        return preview

    async def end(self) -> list[Message]:
        """What is left when the answer is done."""
        self.gate.set()
        await self.desk.quiet()
        return self.desk.discord.by_bot(self.asked.id) if self.asked.id in self.desk.discord.channels else []


async def begin(open_office: OpenOffice, *faults: tuple[str, str], denied: Can | None = None, **options: str) -> Written:
    gate = asyncio.Event()
    desk = await open_office(gate=gate, **options)
    desk.parts.live._clock = Clock()
    for fault in faults:
        desk.discord.fail(*fault)
    if denied:
        await desk.discord.deny(HELP, denied)
    return Written(desk, gate, await desk.discord.say(ANN, HELP, PARCELS, mention=True))


async def test_an_answer_grows_in_one_message_of_its_thread(open_office: OpenOffice) -> None:
    written = await begin(open_office)
    preview = await written.previewed()
    assert preview.content.endswith(MARK)
    assert "A parcel takes 3 days." in preview.content
    assert written.desk.discord.channels[HELP].typed == [written.desk.discord.bot]
    (answer,) = await written.end()
    assert answer.id == preview.id
    assert "You can follow it on our page." in answer.content
    assert MARK not in answer.content
    assert all(edit["allowed_mentions"] == {"parse": [], "replied_user": False} for edit in answer.edits)
    assert answer.flags & 1 << 2
    assert (await written.desk.turns())[0]["text"].removesuffix(" [1]") in answer.content


@pytest.mark.parametrize("forgets", [False, True])
async def test_a_preview_that_nobody_could_write_down_becomes_the_answer(open_office: OpenOffice, forgets: bool) -> None:
    written = await begin(open_office, ("create_message", "reset_after_accept"))
    preview = await written.previewed()
    if forgets:
        forget_nonces(written.desk.discord)
    (answer,) = await written.end()
    assert answer.id == preview.id
    assert MARK not in answer.content


async def test_a_preview_that_cannot_be_looked_for_becomes_the_answer_under_its_nonce(open_office: OpenOffice) -> None:
    written = await begin(open_office, ("create_message", "reset_after_accept"), denied=Can.READ_MESSAGE_HISTORY)
    preview = await written.previewed()
    (answer,) = await written.end()
    assert answer.id == preview.id
    assert MARK not in answer.content


async def test_a_preview_that_is_still_under_way_is_not_seen_after_the_answer(
    open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_PATIENCE_SECONDS", 0.1)
    gate = asyncio.Event()
    desk = await open_office(gate=gate)
    desk.parts.live._clock = Clock()
    with desk.discord.hold("create_message") as held:
        written = Written(desk, gate, await desk.discord.say(ANN, HELP, PARCELS, mention=True))
        await desk.discord.until(lambda: held.waiting)
        gate.set()
        await desk.discord.until(lambda: held.waiting == 2)
    (answer,) = await written.end()
    assert MARK not in answer.content


async def test_a_preview_that_became_the_answer_before_its_own_call_returned_stays(
    open_office: OpenOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_PATIENCE_SECONDS", 0.1)
    gate = asyncio.Event()
    desk = await open_office(gate=gate)
    desk.parts.live._clock = Clock()
    with desk.discord.hold("create_message", after=True) as held:
        written = Written(desk, gate, await desk.discord.say(ANN, HELP, PARCELS, mention=True))
        await desk.discord.until(lambda: held.waiting)
        gate.set()
        await desk.discord.until(lambda: any(one.edits for one in desk.discord.by_bot()))
    (answer,) = await written.end()
    assert MARK not in answer.content


async def test_a_preview_that_somebody_has_begun_to_take_away_is_no_place_for_an_answer(open_office: OpenOffice) -> None:
    """Its deletion may be under way for as long as Discord likes, and would take the answer with it."""
    written = await begin(open_office)
    preview = await written.previewed()
    address = Address("discord", str(GUILD), str(HELP), str(written.asked.id))
    await leave(SqlPreviews(written.desk.graph.database), address)
    (answer,) = await written.end()
    assert answer.id != preview.id
    assert MARK not in answer.content


async def test_when_staff_answer_first_nothing_is_left_of_the_bots_answer(open_office: OpenOffice) -> None:
    written = await begin(open_office, staff_role=str(STAFF))
    await written.previewed()
    await written.desk.discord.say(BOB, written.asked.id, "I have it.")
    await written.desk.discord.until(lambda: not written.desk.texts(written.asked.id))
    assert await written.end() == []


async def test_a_preview_that_somebody_deletes_is_posted_anew_as_the_answer(open_office: OpenOffice) -> None:
    written = await begin(open_office)
    preview = await written.previewed()
    await written.desk.discord.remove(preview)
    (answer,) = await written.end()
    assert answer.id != preview.id
    assert "You can follow it on our page." in answer.content


async def test_a_quick_answer_shows_no_preview(open_office: OpenOffice) -> None:
    desk = await open_office()
    desk.parts.live._clock = Clock(step=0.0)
    await desk.ask(ANN, PARCELS)
    assert len(desk.discord.of("create_message")) == 1
    assert desk.discord.of("edit_message") == []


async def test_edits_are_few_and_stop_at_a_limit() -> None:
    async with DiscordPlatform() as server, Bot() as client:
        with pointed_at(server):
            rest, previews, clock = Rest(client, server.token), MemoryPreviews(), Clock(step=0.0)
            live = LivePreviews(rest, Rooms(rest), previews, clock)
            place = server.direct_with(ANN).id
            message = InboundMessage("1", Address("discord", "dm", str(place), str(place)), Actor(str(ANN)), PARCELS)
            previews.hold(message.address, "attempt")

            async def show(text: str, seconds: float) -> list[str]:
                clock.now += seconds
                live.show(message, "attempt", text)
                await asyncio.gather(*(one.showing for one in live._shown.values() if one.showing))
                return [one.content for one in server.by_bot()]

            await show("", 0.0)
            assert await show("too early", 0.5) == []
            assert len(await show("and now", 0.5)) == 1
            (before,) = await show("x" * 100, 1.0)
            assert before.startswith("too early and now"), "after 1.5 s at the earliest"
            assert "x" not in before
            assert "x" in (await show("y", 1.0))[0]
            assert "z" not in (await show("z" * 20, 5.0))[0], "for eighty characters at least"
            for _ in range(20):
                await show("w" * 100, 5.0)
            assert len(server.of("edit_message")) == MAX_EDITS
            await live.aclose()
