"""What was sent and never confirmed is found again before it is sent again, however long its thread is."""

from __future__ import annotations

from core.domain import Address, Decision, Lineage, Reason, Reply, utc_now
from core.ports import Delivery
from core.storage.database import Database
from tests.bot.slack.office import ANN, BOT, HELP, office
from tests.servers.slack import SlackPlatform

REPLY = Reply(Decision.DIRECT, Reason.CONFIDENT, "Two weeks.", (), 1.0, Lineage("test", "", "", "", ""))


async def test_a_reply_is_found_at_the_end_of_a_thread_of_many_pages(database: Database) -> None:
    """Slack gives a thread oldest first, 200 messages a page."""
    async with SlackPlatform() as slack, office(database, slack) as desk:
        root = await slack.say(ANN, HELP, f"<@{BOT}> how long does a refund take?")
        for number in range(450):
            await slack.say(ANN, HELP, f"and {number}", thread_ts=root, order=())
        delivery = Delivery("1", "", Address("slack", slack.team_id, HELP, str(root)), "", REPLY, "the-key", 1, True, utc_now())
        assert await desk.parts.adapter.find(delivery) is None
        sent = await desk.parts.adapter.send(delivery)
        assert await desk.parts.adapter.find(delivery) == sent
