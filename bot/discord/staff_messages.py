"""What staff read about hand-offs in Discord: the message that begins a thread, and what goes into it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

from bot.discord import messages
from bot.discord.events import PLATFORM, PRIVATE
from bot.discord.rooms import Room, Rooms
from bot.handoff_card import CUSTOMER_WROTE, TAKEN_BACK, WROTE_ELSEWHERE, choices, relayed
from bot.replies import Choice
from core.domain import Action, Address, Decision, Reason, notice
from core.errors import DeliveryError, RefusedError
from core.handoff import Handoff, HandoffBook
from core.members import EVERYWHERE
from core.ports import Delivery
from core.review import TurnBook

logger = logging.getLogger(__name__)

UNSEEN = "private-"  # begins the thread of a conversation that only one person sees
_GONE = "The message that begins this thread never arrived."
_NAME = "Customer: "


class Posting(NamedTuple):
    """Where something is said to staff, in which messages, with which buttons; `pings`: the id of the role that is called."""

    room: Room
    parts: tuple[str, ...]
    choices: tuple[Choice, ...] = ()
    pings: str = ""


@dataclass(frozen=True, slots=True)
class StaffMessages:
    """Makes messages of deliveries; `oncall_role` is the id of the role that is called when nobody comes."""

    rooms: Rooms
    turns: TurnBook
    book: HandoffBook
    channel_id: str
    oncall_role: str = ""

    async def posting(self, delivery: Delivery) -> Posting:
        """Return what to post. Raises a `DeliveryError`."""
        handoff, packet = await self.book.handoff(delivery.address.thread_id, EVERYWHERE), None
        if handoff is not None:
            packet = await self.book.packet(handoff.handoff_id)
        if handoff is None or packet is None:
            raise RefusedError("This hand-off is not known.")
        if delivery.action is Action.ALERT:
            link = await self.link(handoff.address)
            asker = handoff.customer_id if handoff.address.platform == PLATFORM and not link else ""
            text = messages.alert(handoff, packet, link, asker)
            return Posting(Room(self.channel_id), (text,), choices(handoff.state))
        room = await self.rooms.open(self._thread(handoff), f"{_NAME}{packet.question}")
        called = self.oncall_role if delivery.action is Action.ESCALATION else ""
        return Posting(room, await self._line(delivery, handoff, f"<@&{called}>" if called else ""), pings=called)

    async def begun(self, reference: str, delivery: Delivery) -> str:
        """Make the thread of a message that begins one; if that fails, what goes into it makes it. Return the reference."""
        if delivery.action is not Action.ALERT:
            return reference
        turn = await self.turns.turn(delivery.turn_id)
        address = Address(PLATFORM, "", self.channel_id, reference.partition("/")[2])
        self.rooms.note(address.thread_id, exists=False)
        try:
            await self.rooms.open(address, f"{_NAME}{turn.question if turn else ''}")
        except DeliveryError as error:
            logger.info("the thread of a hand-off is not made yet: %s", error)
        return reference

    async def link(self, address: Address) -> str:
        """Return where staff can read a conversation, empty when they cannot."""
        if address.platform != PLATFORM or address.workspace_id == PRIVATE or address.thread_id.startswith(UNSEEN):
            return ""
        room = await self.rooms.find(address)
        return f"https://discord.com/channels/{address.workspace_id}/" + "/".join(part for part in room if part)

    def _thread(self, handoff: Handoff) -> Address:
        message_id = handoff.thread.partition("/")[2]
        if not message_id:
            raise RefusedError(_GONE)
        return Address(PLATFORM, "", self.channel_id, message_id)

    async def _line(self, delivery: Delivery, handoff: Handoff, called: str) -> tuple[str, ...]:
        if delivery.action is not Action.RELAY:
            return messages.in_thread(_plain(delivery, delivery.reply.text), called)
        turn = await self.turns.turn(delivery.turn_id)
        if turn is None or not turn.question:
            return messages.in_thread(_plain(delivery, TAKEN_BACK))
        here = turn.address == handoff.address
        heading = messages.headed(CUSTOMER_WROTE) if here else messages.headed(WROTE_ELSEWHERE, await self.link(turn.address))
        return messages.in_thread(_plain(delivery, relayed(turn)), heading)


def _plain(delivery: Delivery, text: str) -> Delivery:
    """What people wrote, shown as a message of ours: no link in it is live, nothing in it pings."""
    return delivery._replace(reply=notice(Decision.CLARIFY, Reason.NOTICE, text))
