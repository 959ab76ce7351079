"""Conversations in Slack, over both transports, from the first mention to the hand-over and back."""

from __future__ import annotations

import pytest

from core.storage.database import Database
from tests.bot.slack.office import ANN, BOB, BOT, HELP, STAFF_ROOM, office, said
from tests.servers.slack import SlackPlatform
from tests.servers.slack_state import Channel


@pytest.mark.parametrize("transport", ["http", "socket"])
async def test_a_conversation_from_the_mention_to_the_hand_over_and_back(database: Database, transport: str) -> None:
    async with SlackPlatform(transport=transport, echo_own=True) as slack:
        slack.channels[STAFF_ROOM] = Channel(STAFF_ROOM, "staff", members={BOB, BOT})
        async with office(database, slack, staff=BOB, staff_channel=STAFF_ROOM) as desk:
            root = await slack.say(ANN, HELP, f"<@{BOT}> how long does a parcel take?")
            assert all(answer.accepted for answer in root.answers)
            await slack.until(lambda: any("actions" in str(message.blocks) for message in slack.by_bot(HELP)))
            (answer,) = slack.by_bot(HELP)
            assert "A parcel takes 3 days." in said(answer)
            assert answer.thread_ts == root
            assert "How long does a parcel take?" in str(answer.blocks)  # the source

            await slack.say(ANN, HELP, "and a refund?", thread_ts=root)
            await slack.until(lambda: len(slack.by_bot(HELP)) == 2)
            assert "Refunds take 14 days." in said(slack.by_bot(HELP)[1])

            await slack.press(ANN, HELP, answer.ts, "feedback_bad")
            await slack.until(lambda: bool(slack.views))
            await slack.submit(ANN, next(iter(slack.views)), {"reason": "outdated", "note": "prices changed"})

            await slack.press(ANN, HELP, answer.ts, "person")
            await slack.until(lambda: bool(slack.by_bot(STAFF_ROOM)))
            alert = slack.by_bot(STAFF_ROOM)[0]
            assert "waits for a person" in said(alert)

            await slack.say(BOB, HELP, "Hello Ann, I am looking into it.", thread_ts=root)
            await slack.until(lambda: bool(slack.ephemerals))
            before = len(slack.by_bot(HELP))
            await slack.say(ANN, HELP, "thanks! what about a refund?", thread_ts=root)
            await desk.quiet()
            assert len(slack.by_bot(HELP)) == before
            await slack.press(BOB, STAFF_ROOM, alert.ts, "handoff_return")
            await slack.until(lambda: len(slack.by_bot(HELP)) == before + 1)
            assert "back" in said(slack.by_bot(HELP)[-1])
            await slack.say(ANN, HELP, "how long does a refund take?", thread_ts=root)
            await slack.until(lambda: len(slack.by_bot(HELP)) == before + 2)
            assert "Refunds take 14 days." in said(slack.by_bot(HELP)[-1])
            rows = await desk.turns()
    told = [(row["decision"], row["reason"]) for row in rows]
    assert told == [
        ("answer", "composed"),
        ("direct", "confident"),
        ("handoff", "asked_for_person"),
        ("silent", "with_person"),
        ("silent", "with_person"),
        ("direct", "confident"),
    ]
