"""An app that may not read channels: whoever mentions the bot is answered, also when a connection breaks."""

from __future__ import annotations

import pytest

from core.storage.database import Database
from tests.bot.slack.office import ANN, BOT, HELP, office, said
from tests.servers.slack import SlackPlatform


@pytest.mark.parametrize("question", ["how long does a refund take?", "how long does a parcel take?"])
async def test_a_reply_that_cannot_be_looked_up_is_sent_again_and_never_given_up(database: Database, question: str) -> None:
    async with SlackPlatform() as slack, office(database, slack, mode="mention") as desk:
        slack.fail("conversations.replies", kind="error:missing_scope", times=99)
        slack.fail("chat.postMessage", kind="reset_after_accept")
        await slack.say(ANN, HELP, f"<@{BOT}> {question}", order=["app_mention"])
        await desk.quiet()
        assert slack.count("conversations.replies") > 0
        assert await desk.graph.outbox.dead() == 0
        assert "days" in said(slack.by_bot(HELP)[-1])
        assert len(slack.by_bot(HELP)) == 2
