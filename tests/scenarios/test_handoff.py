"""Customers are handed over to people wherever both are: once each way, and always told what happens next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from core.dialogue import wording
from core.domain import utc_now
from core.handoff import State, Why
from core.members import EVERYWHERE
from core.presence import Mode
from core.staff.handoff import SOLVED, WITH_YOU
from core.storage.audit import SqlAuditLog
from core.storage.database import Database
from core.storage.handoff_book import SqlHandoffBook
from core.storage.tables import outbox
from tests.bot.discord import office as in_discord
from tests.bot.slack.office import BOT, DIRECT, HELP, STAFF_ROOM, said
from tests.scenarios.bureau import ANN, BOB, CAT, DAN, EVE, Bureau, bureau
from tests.servers import discord_state

REFUNDS = "how long does a refund take?"
OpenBureau = Callable[..., Awaitable[Bureau]]


@pytest.fixture
async def opened(open_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[OpenBureau]:
    async with AsyncExitStack() as stack:

        async def opened(staff_in: str, **more: Any) -> Bureau:
            return await stack.enter_async_context(bureau(await open_database("sqlite"), staff_in, **more))

        yield opened


def told_in_slack(desk: Bureau, root: str) -> list[str]:
    return [said(one) for one in desk.slack.thread(HELP, root) if one.user == BOT]


def told_in_discord(desk: Bureau, thread: int) -> list[str]:
    return [one.content for one in desk.discord.by_bot(thread)] if thread in desk.discord.channels else []


async def asks_in_slack(desk: Bureau, text: str = "I want a person") -> str:
    root = str(await desk.slack.say(ANN, HELP, f"<@{BOT}> {text}"))
    await desk.quiet()
    return root


async def asks_in_discord(desk: Bureau, text: str = "I want a person") -> int:
    root = await desk.discord.say(DAN, discord_state.HELP, text, mention=True)
    await desk.quiet()
    return int(root.id)


async def handoffs(desk: Bureau, *, closed: bool = False) -> list[tuple[Why, State]]:
    page = await SqlHandoffBook(desk.graph.database).page(EVERYWHERE, 10, closed=closed)
    return [(one.why, one.state) for one in page]


async def test_a_customer_in_slack_and_staff_in_discord_read_each_other_once(opened: OpenBureau) -> None:
    desk = await opened("discord")
    root = await asks_in_slack(desk, REFUNDS)
    await desk.slack.say(ANN, HELP, "I want a person, please!!", thread_ts=root)
    await desk.quiet()
    packet = desk.packet_in_discord()
    assert "A customer waits for a person" in packet.content
    assert "They asked for a person. Mood: tense (!! or ??)." in packet.content
    assert "> I want a person, please!!" in packet.content
    assert "how long does a refund take? → Refunds take 14 days." in packet.content

    await desk.discord.say(EVE, packet.id, "Hello Ann, @channel see https://shop.example/help")
    await desk.quiet()
    await desk.slack.say(ANN, HELP, "thank you, <!channel>!", thread_ts=root)
    await desk.quiet()
    answer = told_in_slack(desk, root)[-1]
    assert "Hello Ann" in answer and "<https://shop.example/help" in answer
    assert [text for text in told_in_slack(desk, root) if "Hello Ann" in text] == [answer]
    (relayed,) = desk.in_thread_of_discord()
    assert "The customer wrote" in relayed and "thank you" in relayed
    assert all(not one.mentions and not one.mention_everyone for one in desk.discord.by_bot(packet.id))
    assert await handoffs(desk) == [(Why.ASKED, State.CLAIMED)]


async def test_a_customer_in_discord_and_staff_in_slack_read_each_other_once(opened: OpenBureau) -> None:
    desk = await opened("slack")
    thread = await asks_in_discord(desk)
    packet = desk.packet_in_slack()
    assert "> I want a person" in said(packet)
    await desk.slack.say(BOB, STAFF_ROOM, "Hello Dan", thread_ts=packet.ts)
    await desk.quiet()
    await desk.discord.say(DAN, thread, "hello! how long does a refund take?")
    await desk.quiet()
    assert [text for text in told_in_discord(desk, thread) if "Hello Dan" in text] == ["Hello Dan\n-# From a person on our team"]
    assert desk.in_thread_of_slack() == ["*The customer wrote*\nhello! how long does a refund take?"]
    assert len(told_in_discord(desk, thread)) == 2, "the bot is silent"


async def test_a_visitor_of_the_page_and_staff_in_slack_read_each_other_once(opened: OpenBureau) -> None:
    desk = await opened("slack")
    reply = await desk.say_on_page("I want a person")
    visitor = reply["conversation_id"]
    await desk.quiet()
    await desk.press_in_slack(BOB, "handoff_claim")
    await desk.slack.say(BOB, STAFF_ROOM, "Hello visitor", thread_ts=desk.packet_in_slack().ts)
    await desk.quiet()
    taken, hello = await desk.updates_on_page(visitor)
    assert (taken["text"], taken["by_person"]) == (WITH_YOU, False)
    assert (hello["text"], hello["by_person"]) == ("Hello visitor", True)
    silent = await desk.say_on_page("my order is late", visitor)
    assert silent["decision"] == "silent"
    await desk.quiet()
    assert await desk.updates_on_page(visitor, hello["number"]) == []
    assert [text for text in desk.in_thread_of_slack() if "my order is late" in text] == ["*The customer wrote*\nmy order is late"]


async def test_of_two_who_claim_at_once_one_gets_the_customer_and_the_other_is_told_who_has(opened: OpenBureau) -> None:
    desk = await opened("slack")
    thread = await asks_in_discord(desk)
    await asyncio.gather(desk.press_in_slack(BOB, "handoff_claim"), desk.press_in_slack(CAT, "handoff_claim"))
    await desk.quiet()
    assert told_in_discord(desk, thread).count(WITH_YOU) == 1
    assert len([text for text in desk.in_thread_of_slack() if "has taken this customer" in text]) == 1
    (refused,) = [one.text for one in desk.slack.ephemerals]
    assert refused.endswith("has this customer already.")
    results = sorted(entry.result for entry in await SqlAuditLog(desk.graph.database).entries(10))
    assert results == ["done", "too_late"]
    assert "answers this customer" in said(desk.packet_in_slack())


async def test_a_customer_whom_nobody_takes_is_told_so_after_staff_were_reminded_and_called_once_each(opened: OpenBureau) -> None:
    desk = await opened("slack")
    thread = await asks_in_discord(desk)
    assert await desk.watch(3600).look() == 0
    assert sum(await asyncio.gather(*(desk.watch().look() for _ in range(4)))) == 3, "each step once, whoever looks"
    await desk.quiet()
    reminded, called = desk.in_thread_of_slack()
    assert "still waits" in reminded
    assert called == "<!subteam^S0CALL>\nNobody has taken this customer yet."
    assert len([text for text in told_in_discord(desk, thread) if "nobody on our team has been free" in text]) == 1
    assert await desk.watch().look() == 0
    await desk.discord.say(DAN, thread, "I want a person!")
    await desk.quiet()
    assert await desk.watch().look() == 3, "whoever asks again waits again"


async def test_only_the_role_on_call_is_notified_in_discord(opened: OpenBureau) -> None:
    desk = await opened("discord")
    await asks_in_slack(desk, "I want a person <@&600> @everyone")
    await desk.watch().look()
    await desk.quiet()
    pings = [one.json["allowed_mentions"] for one in desk.discord.of("create_message")]
    assert {"parse": [], "replied_user": False, "roles": [str(discord_state.STAFF)]} in pings
    assert len([one for one in pings if one.get("roles")]) == 1


async def test_whoever_asks_outside_the_hours_is_told_when_somebody_is_back_and_nobody_is_called(opened: OpenBureau) -> None:
    later = (utc_now() + timedelta(hours=2)).hour
    desk = await opened("slack", hours=f"Mon-Sun {later}:00-{later}:59 UTC")
    thread = await asks_in_discord(desk)
    assert "Nobody is here right now: our team is back on" in told_in_discord(desk, thread)[0]
    assert f"{later:02}:00 (UTC)" in told_in_discord(desk, thread)[0]
    assert await desk.watch().look() == 0


async def test_without_a_channel_of_staff_the_customer_is_told_what_else_they_can_do(opened: OpenBureau) -> None:
    desk = await opened("")
    root = await asks_in_slack(desk)
    assert "help" in told_in_slack(desk, root)[0]
    await desk.watch().look()
    await desk.quiet()
    assert told_in_slack(desk, root)[-1].startswith("Sorry, nobody on our team has been free yet.")
    assert await handoffs(desk) == [(Why.ASKED, State.WAITING)], "the console shows it"


async def test_bad_input_42_a_message_during_a_hand_off_goes_to_the_person_and_return_restores_the_bot(opened: OpenBureau) -> None:
    desk = await opened("discord")
    root = await asks_in_slack(desk)
    await desk.press_in_discord(EVE, "handoff_claim")
    await desk.until(State.CLAIMED)
    before = len(told_in_slack(desk, root))
    await desk.slack.say(ANN, HELP, REFUNDS, thread_ts=root)
    await desk.quiet()
    assert len(told_in_slack(desk, root)) == before
    assert REFUNDS in desk.in_thread_of_discord()[-1]
    await desk.press_in_discord(EVE, "handoff_return")
    await desk.until(State.RETURNED)
    assert told_in_slack(desk, root)[-1].startswith("I am back")
    await desk.slack.say(ANN, HELP, REFUNDS, thread_ts=root)
    await desk.quiet()
    assert "Refunds take 14 days." in told_in_slack(desk, root)[-1]
    assert await handoffs(desk, closed=True) == [(Why.ASKED, State.RETURNED)]
    packet = desk.packet_in_discord()
    assert "with the bot again" in packet.content and packet.components == []


@pytest.mark.parametrize("silenced", ["mention", "muted"])
async def test_bad_input_42_what_a_customer_writes_to_a_person_arrives_wherever_the_bot_may_speak(
    opened: OpenBureau, silenced: str
) -> None:
    desk = await opened("discord")
    root = await asks_in_slack(desk)
    await desk.discord.say(EVE, desk.packet_in_discord().id, "Hello Ann")
    await desk.quiet()
    channels = desk.graph.channels
    await (
        channels.set_mode("slack", "T0TEAM", HELP, Mode.MENTION)
        if silenced == "mention"
        else channels.set_muted("slack", "T0TEAM", HELP, True)
    )
    await desk.slack.say(ANN, HELP, "my order is late", thread_ts=root)
    await desk.quiet()
    assert "my order is late" in desk.in_thread_of_discord()[-1]
    assert "Hello Ann" in told_in_slack(desk, root)[-1], "the bot is silent"


async def test_bad_input_42_in_private_a_customer_goes_on_with_the_person_without_answering_below(opened: OpenBureau) -> None:
    desk = await opened("discord")
    root = str(await desk.slack.say(ANN, DIRECT, "I want a person"))
    await desk.quiet()
    await desk.discord.say(EVE, desk.packet_in_discord().id, "Hello Ann")
    await desk.quiet()
    second = str(await desk.slack.say(ANN, DIRECT, REFUNDS))
    await desk.quiet()
    assert REFUNDS in desk.in_thread_of_discord()[-1]
    assert [said(one) for one in desk.slack.thread(DIRECT, second) if one.user == BOT] == [], "the bot is silent"
    await desk.press_in_discord(EVE, "handoff_solve")
    await desk.until(State.SOLVED)
    third = str(await desk.slack.say(ANN, DIRECT, REFUNDS))
    await desk.quiet()
    assert "Refunds take 14 days." in said(desk.slack.thread(DIRECT, third)[-1])
    assert root not in (second, third)


@pytest.mark.parametrize("what", ["thread", "packet"])
async def test_bad_input_32_staff_who_have_deleted_a_thread_are_told_once_that_its_customer_writes(opened: OpenBureau, what: str) -> None:
    desk = await opened("discord")
    root = await asks_in_slack(desk)
    packet = desk.packet_in_discord()
    await desk.discord.say(EVE, packet.id, "Hello Ann")
    await desk.quiet()
    await desk.discord.delete(packet.id)
    if what == "packet":
        await desk.discord.remove(packet)
    for text in ("my order is late", "hello?"):
        await desk.slack.say(ANN, HELP, text, thread_ts=root)
        await desk.quiet()
    told = [one.content for one in desk.discord.by_bot(in_discord.STAFF_ROOM)]
    assert len([text for text in told if "their thread is gone" in text]) == 1


async def test_a_word_of_staff_after_the_end_is_not_sent_and_they_are_told(opened: OpenBureau) -> None:
    desk = await opened("slack")
    thread = await asks_in_discord(desk)
    await desk.press_in_slack(BOB, "handoff_claim")
    await desk.until(State.CLAIMED)
    await desk.press_in_slack(BOB, "handoff_solve")
    await desk.until(State.SOLVED)
    assert told_in_discord(desk, thread)[-1] == SOLVED
    await desk.slack.say(BOB, STAFF_ROOM, "too late", thread_ts=desk.packet_in_slack().ts)
    await desk.quiet()
    assert "too late" not in "".join(told_in_discord(desk, thread))
    assert "was not sent" in desk.in_thread_of_slack()[-1]


@pytest.mark.parametrize("line", ["// he is right", "//he is right", "<@U0CAT> is he right?"])
async def test_a_line_for_colleagues_stays_among_them(opened: OpenBureau, line: str) -> None:
    desk = await opened("slack")
    thread = await asks_in_discord(desk)
    await desk.slack.say(BOB, STAFF_ROOM, line, thread_ts=desk.packet_in_slack().ts)
    await desk.slack.say(BOB, STAFF_ROOM, "outside of the thread")
    await desk.quiet()
    assert len(told_in_discord(desk, thread)) == 1
    assert await handoffs(desk) == [(Why.ASKED, State.WAITING)]


async def test_who_is_not_staff_cannot_write_to_customers_and_is_told_so(opened: OpenBureau) -> None:
    desk = await opened("slack")
    desk.slack.channels[STAFF_ROOM].members.add(ANN)
    thread = await asks_in_discord(desk)
    for _ in range(2):
        await desk.slack.say(ANN, STAFF_ROOM, "give me your password", thread_ts=desk.packet_in_slack().ts)
    await desk.quiet()
    assert len(told_in_discord(desk, thread)) == 1
    assert set(desk.in_thread_of_slack()) == {
        "What was just written here was not sent: only staff who are named in the settings write to customers."
    }
    assert {entry.result for entry in await SqlAuditLog(desk.graph.database).entries(10)} == {"denied"}


@pytest.mark.parametrize("act", ["handoff_claim", "handoff_answer", "handoff_return"])
async def test_bad_input_40_buttons_of_a_hand_off_are_for_staff(opened: OpenBureau, act: str) -> None:
    desk = await opened("slack")
    desk.slack.channels[STAFF_ROOM].members.add(ANN)
    await asks_in_discord(desk)
    await desk.press_in_slack(ANN, act)
    assert "staff" in desk.slack.ephemerals[-1].text
    assert desk.slack.views == {}
    assert await handoffs(desk) == [(Why.ASKED, State.WAITING)]
    assert [entry.result for entry in await SqlAuditLog(desk.graph.database).entries(10)] == ["denied"]


@pytest.mark.parametrize("forged", ["elsewhere", "unknown"])
async def test_bad_input_37_a_button_of_a_hand_off_pressed_elsewhere_does_nothing(opened: OpenBureau, forged: str) -> None:
    desk = await opened("discord")
    await asks_in_slack(desk)
    book = SqlHandoffBook(desk.graph.database)
    (handoff,) = await book.page(EVERYWHERE, 10)
    handoff_id = handoff.handoff_id if forged == "elsewhere" else "f" * 32
    button = {"type": 2, "id": 1, "style": 1, "label": "Claim", "custom_id": f"fd:handoff_claim:{handoff_id}"}
    other = await desk.discord_parts.client.get_partial_messageable(discord_state.HELP).send("x")
    desk.discord.standing(other.id).components = [{"type": 1, "components": [button]}]
    await desk.discord.press(EVE, other.id, button["custom_id"])
    await desk.discord.until(lambda: any(one.content for one in desk.discord.ephemerals))
    assert ("does not belong" if forged == "elsewhere" else "expired") in desk.discord.ephemerals[-1].content
    assert await handoffs(desk) == [(Why.ASKED, State.WAITING)]
    results = [entry.result for entry in await SqlAuditLog(desk.graph.database).entries(10)]
    assert results == (["forged"] if forged == "elsewhere" else [])


async def test_a_reply_in_a_window_is_said_once_and_shown_to_colleagues(opened: OpenBureau) -> None:
    desk = await opened("slack")
    thread = await asks_in_discord(desk)
    await desk.press_in_slack(BOB, "handoff_answer")
    (window,) = desk.slack.views.values()
    for _ in range(2):
        await desk.slack.submit(BOB, window.id, {"text": "Hello from a window"})
    await desk.quiet()
    assert len([text for text in told_in_discord(desk, thread) if "Hello from a window" in text]) == 1
    assert len([text for text in desk.in_thread_of_slack() if "Hello from a window" in text]) == 1


async def test_two_answers_that_did_not_help_bring_a_person_once(opened: OpenBureau) -> None:
    desk = await opened("slack")
    root = await desk.discord.say(DAN, discord_state.HELP, REFUNDS, mention=True)
    await desk.quiet()
    await desk.discord.say(DAN, root.id, "how long does a parcel take?")
    await desk.quiet()
    for answer in desk.discord.by_bot(root.id) * 2:
        offered = [one["custom_id"] for row in answer.components for one in row["components"]]
        await desk.discord.press(DAN, answer, next(one for one in offered if one.startswith("fd:feedback_bad:")))
    await desk.quiet()
    await desk.discord.until(lambda: "have not helped you" in told_in_discord(desk, root.id)[-1])
    await desk.quiet()  # what staff are told is delivered beside it
    assert len(told_in_discord(desk, root.id)) == 3
    assert await handoffs(desk) == [(Why.THUMBS_DOWN, State.WAITING)]
    assert "They found several answers unhelpful." in said(desk.packet_in_slack())


async def test_one_customer_has_one_hand_off_and_is_told_where(opened: OpenBureau) -> None:
    desk = await opened("slack")
    await asks_in_discord(desk)
    second = await asks_in_discord(desk, "I want a person here too")
    assert told_in_discord(desk, second)[-1].startswith("A person on our team has your request already")
    assert await handoffs(desk) == [(Why.ASKED, State.WAITING)]
    assert "I want a person here too" in desk.in_thread_of_slack()[0]
    assert "in another conversation" in desk.in_thread_of_slack()[0]


async def test_what_a_customer_takes_back_is_gone_on_the_side_of_staff_too(opened: OpenBureau) -> None:
    desk = await opened("discord")
    root = await asks_in_slack(desk)
    secret = str(await desk.slack.say(ANN, HELP, "person, my password is hunter2", thread_ts=root))
    await desk.quiet()
    assert "hunter2" in desk.in_thread_of_discord()[-1]
    await desk.slack.remove(HELP, secret)
    await desk.quiet()
    assert "hunter2" not in "".join(desk.in_thread_of_discord())
    await desk.slack.remove(HELP, root)
    await desk.quiet()
    assert "I want a person" not in desk.packet_in_discord().content


async def test_edits_and_deletions_follow_to_the_other_side(opened: OpenBureau) -> None:
    desk = await opened("slack")
    thread = await asks_in_discord(desk)
    begins = desk.packet_in_slack().ts
    word = str(await desk.slack.say(BOB, STAFF_ROOM, "Helo Dan", thread_ts=begins))
    await desk.quiet()
    await desk.slack.edit(STAFF_ROOM, word, "Hello Dan")
    asked = await desk.discord.say(DAN, thread, "my order is 41")
    await desk.quiet()
    await desk.discord.edit(asked, "my order is 42")
    await desk.quiet()
    assert told_in_discord(desk, thread)[-1].startswith("Hello Dan")
    assert desk.in_thread_of_slack()[-1] == "*The customer wrote*\nmy order is 42"
    await desk.slack.remove(STAFF_ROOM, word)
    await desk.quiet()
    assert "Hello Dan" not in "".join(told_in_discord(desk, thread))


async def test_lost_answers_of_the_platforms_and_repeated_events_lose_and_double_nothing(opened: OpenBureau) -> None:
    desk = await opened("discord", couriers=2)
    desk.discord.fail("create_message", "reset_after_accept", times=1)
    desk.slack.fail("chat.postMessage", kind="reset_after_accept", times=1)
    root = await asks_in_slack(desk)
    packet = desk.packet_in_discord()
    desk.slack.fail("chat.postMessage", kind="reset_after_accept", times=1)
    for number in range(3):
        await desk.discord.say(EVE, packet.id, f"word {number}")
    desk.discord.fail("create_message", "reset_after_accept", times=1)
    for number in range(3):
        await desk.slack.say(ANN, HELP, f"answer {number}", thread_ts=root)
    await desk.quiet()
    assert len(desk.discord.by_bot(in_discord.STAFF_ROOM)) == 1
    told, relayed = "\n".join(told_in_slack(desk, root)), "\n".join(desk.in_thread_of_discord())
    assert [told.count(f"word {number}") for number in range(3)] == [1, 1, 1]
    assert [relayed.count(f"answer {number}") for number in range(3)] == [1, 1, 1]
    assert told.index("word 0") < told.index("word 1") < told.index("word 2")


async def test_bad_input_36_a_button_that_is_pressed_again_when_all_is_over_says_so(opened: OpenBureau) -> None:
    desk = await opened("slack")
    thread = await asks_in_discord(desk)
    await desk.press_in_slack(BOB, "handoff_return")
    await desk.until(State.RETURNED)
    before = len(told_in_discord(desk, thread))
    for act in ("handoff_return", "handoff_claim"):  # by whoever looks at the message as it was
        await desk.press_in_slack(CAT, act)
    await desk.quiet()
    assert [one.text for one in desk.slack.ephemerals][-2:] == ["This was over before."] * 2
    assert len(told_in_discord(desk, thread)) == before


async def test_handing_over_whom_staff_have_already_changes_nothing(opened: OpenBureau) -> None:
    desk = await opened("slack")
    thread = await asks_in_discord(desk)
    await desk.press_in_slack(BOB, "handoff_claim")
    await desk.quiet()
    for _ in range(2):
        await desk.discord.say(DAN, thread, "I want a person")
    await desk.quiet()
    assert len(told_in_discord(desk, thread)) == 2
    assert len([one for one in desk.slack.by_bot(STAFF_ROOM) if one.thread_ts in (None, one.ts)]) == 1
    assert wording.FOLLOW_UP not in told_in_discord(desk, thread)[-1]


async def test_a_courier_that_dies_between_sending_and_recording_says_nothing_twice(opened: OpenBureau) -> None:
    desk = await opened("discord")
    root = await asks_in_slack(desk)
    await desk.discord.say(EVE, desk.packet_in_discord().id, "Hello Ann")
    await desk.quiet()
    await desk.slack.say(ANN, HELP, "thank you", thread_ts=root)
    await desk.quiet()
    before = (told_in_slack(desk, root), desk.in_thread_of_discord(), len(desk.discord.by_bot(in_discord.STAFF_ROOM)))
    async with desk.graph.database.write() as connection:  # as if each had been sent by somebody who died right after
        lost = {"state": "sending", "lease": "dead", "lease_until": utc_now() - timedelta(seconds=1), "reference": None}
        await connection.execute(update(outbox).where(outbox.c.action != "revision").values(**lost))
    await desk.quiet()
    assert (told_in_slack(desk, root), desk.in_thread_of_discord(), len(desk.discord.by_bot(in_discord.STAFF_ROOM))) == before
