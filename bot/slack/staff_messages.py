"""What staff read about hand-offs in Slack: the message that begins a thread, and what goes into it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

from bot.handoff_card import CUSTOMER_WROTE, TAKEN_BACK, WROTE_ELSEWHERE, relayed
from bot.slack import blocks
from bot.slack.blocks import Message
from bot.slack.events import PLATFORM, PRIVATE
from bot.slack.workspaces import Workspaces
from core.domain import Action, Address, Decision, Reason, notice
from core.errors import DeliveryError, RefusedError
from core.handoff import Handoff, HandoffBook
from core.members import EVERYWHERE
from core.ports import Delivery
from core.review import TurnBook

logger = logging.getLogger(__name__)

GONE = "The message that begins this thread never arrived."


class Posting(NamedTuple):
    """A message, and the thread of the staff's channel that it belongs to."""

    message: Message
    thread_ts: str | None


@dataclass(frozen=True, slots=True)
class StaffMessages:
    """Makes messages of deliveries; `oncall_group` is the user group that is called when nobody comes."""

    workspaces: Workspaces
    turns: TurnBook
    book: HandoffBook
    oncall_group: str = ""

    async def posting(self, delivery: Delivery) -> Posting:
        """Return what to post. Raises a `DeliveryError`."""
        handoff = await self.book.handoff(delivery.address.thread_id, EVERYWHERE)
        if handoff is None:
            raise RefusedError("This hand-off is not known.")
        if delivery.action is Action.ALERT:
            return Posting(await self._packet(delivery, handoff), None)
        thread_ts = handoff.thread.partition("/")[2]
        if not thread_ts:
            raise RefusedError(GONE)
        return Posting(await self._line(delivery, handoff), thread_ts)

    async def _packet(self, delivery: Delivery, handoff: Handoff) -> Message:
        packet = await self.book.packet(handoff.handoff_id)
        if packet is None:
            raise RefusedError("This hand-off is not known.")
        at = handoff.address
        asker = handoff.customer_id if at.platform == PLATFORM and is_unseen(at) else ""
        return blocks.alert(delivery.key, handoff, packet, await self._permalink(at), asker)

    async def _line(self, delivery: Delivery, handoff: Handoff) -> Message:
        if delivery.action is not Action.RELAY:
            called = f"<!subteam^{self.oncall_group}>" if delivery.action is Action.ESCALATION and self.oncall_group else ""
            return blocks.in_thread(_unsourced(delivery, delivery.reply.text), called)
        turn = await self.turns.turn(delivery.turn_id)
        if turn is None or not turn.question:
            return blocks.in_thread(_unsourced(delivery, TAKEN_BACK))
        here = turn.address == handoff.address
        heading = blocks.headed(CUSTOMER_WROTE) if here else blocks.headed(WROTE_ELSEWHERE, await self._permalink(turn.address))
        return blocks.in_thread(_unsourced(delivery, relayed(turn)), heading)

    async def _permalink(self, address: Address) -> str:
        if address.platform != PLATFORM:
            return ""
        try:
            workspace = await self.workspaces.workspace(address.workspace_id)
            if workspace is None:
                return ""
            told = await workspace.client.ask("chat.getPermalink", channel=address.channel_id, message_ts=address.thread_id)
        except DeliveryError as error:
            logger.info("a hand-off is told without a link: %s", error)
            return ""
        return str(told.get("permalink", ""))


def is_unseen(address: Address) -> bool:
    """Tell whether only the customer and the bot are in a conversation."""
    return address.thread_id.startswith(PRIVATE) or address.channel_id.startswith("D")


def _unsourced(delivery: Delivery, text: str) -> Delivery:
    """What people wrote, shown as a message of ours: no link in it is live, nothing in it pings."""
    return delivery._replace(reply=notice(Decision.CLARIFY, Reason.NOTICE, text))
