"""What happens when somebody presses a button under a message: checked against the turn it belongs to, kept before Slack is told."""

from __future__ import annotations

import logging
from functools import partial

from bot.desk import Desk as AnyDesk
from bot.replies import SILENCED
from bot.slack import blocks, views
from bot.slack.client import QUIET
from bot.slack.events import PLATFORM
from bot.slack.interactions import Pressed, Who
from bot.slack.kit import actions, button, quotation, section
from bot.slack.people import People
from bot.slack.workspaces import Workspace
from core.domain import InboundMessage, utc_now
from core.errors import DeliveryError
from core.handoff import Handoff, Helper
from core.ports import Delivery
from core.review import TurnRecord
from core.staff.actions import NOT_YOURS, SHARED_BEFORE, Act, By, NotAllowedError

logger = logging.getLogger(__name__)

_LATE = "That took too long for Slack to open a window. Please press again."


class Desk(AnyDesk[People]):
    """What buttons, commands and windows of Slack work with."""

    async def helper(self, workspace: Workspace, by: By) -> Helper:
        """Return a member of staff as colleagues know them."""
        return Helper(by.actor, await self.people.name(workspace, by.user_id))

    async def tell(self, workspace: Workspace, pressed: Pressed, text: str) -> None:
        """Say something that only the one who pressed sees; best effort."""
        try:
            if pressed.response_url:
                quiet = {"response_type": "ephemeral", "replace_original": False, "text": text}
                await workspace.client.respond(pressed.response_url, quiet)
            elif pressed.channel_id:
                thread = pressed.thread_ts or None
                await workspace.client.call(
                    "chat.postEphemeral", channel=pressed.channel_id, user=pressed.who.user_id, thread_ts=thread, text=text
                )
        except DeliveryError as error:
            logger.info("somebody was not told: %s", error)

    async def open(self, workspace: Workspace, pressed: Pressed, view: views.View) -> None:
        """Open a window; Slack gives three seconds for it."""
        try:
            await workspace.client.call("views.open", trigger_id=pressed.trigger_id, view=view)
        except DeliveryError as error:
            logger.info("a window could not be opened: %s", error)
            await self.tell(workspace, pressed, _LATE)


class Buttons:
    """Buttons under replies, drafts and alerts; any process may serve them, whichever posted the message."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def press(self, workspace: Workspace, pressed: Pressed) -> None:
        """Do what the button says, and tell who pressed it what came of it."""
        act, by = Act(pressed.action_id), by_of(workspace, pressed.who, pressed.channel_id)
        staff = partial(self._desk.people.is_staff, workspace, pressed.who.user_id)
        try:
            if act.is_about_handoff:
                handoff = await self._desk.handoffs.at_button(by, act, pressed.value, staff)
                said = await self._hand_over(workspace, act, by, handoff, pressed)
            else:
                turn = await self._desk.actions.turn(by, act, pressed.value, staff)
                said = await self._do(workspace, act, by, turn, pressed)
        except NotAllowedError as error:
            said = str(error)
        if said:
            await self._desk.tell(workspace, pressed, said)

    async def _hand_over(self, workspace: Workspace, act: Act, by: By, handoff: Handoff, pressed: Pressed) -> str:
        """Do what a button of a hand-off says; return what to tell the one who pressed."""
        if act is Act.ANSWER:
            await self._desk.open(workspace, pressed, views.answer_modal(handoff.handoff_id))
            return ""
        return await self._desk.handoffs.press(act, handoff, await self._desk.helper(workspace, by))

    async def _do(self, workspace: Workspace, act: Act, by: By, turn: TurnRecord, pressed: Pressed) -> str:
        """Return what to tell the one who pressed, empty when they see it themselves."""
        desk = self._desk
        match act:
            case Act.SOURCES:
                await desk.open(workspace, pressed, views.sources_modal(await desk.passages(turn)))
                return ""
            case Act.SHARE:
                return await self._share(workspace, turn, pressed)
            case Act.EDIT:
                await desk.open(workspace, pressed, views.edit_draft_modal(turn.turn_id, turn.reply.text))
                return ""
        said = await desk.actions.press(by, act, turn, order_key=order_key_of(pressed.pressed_at), press_id=pressed.pressed_at)
        if act is Act.BAD:
            await desk.open(workspace, pressed, views.feedback_modal(turn.turn_id))
        return said

    async def took_over(self, workspace: Workspace, message: InboundMessage) -> None:
        """Tell a member of staff who answered in a thread what that means, and how to undo it."""
        turns = await self._desk.turns.conversation_at(message.address, limit=1)
        if not turns:
            return
        layout = [section(SILENCED), actions([button("hand_back", "Return to the bot", turns[0].turn_id)])]
        at, user = message.address, message.actor.actor_id
        place = {"channel": at.channel_id, "thread_ts": at.thread_id, "user": user}
        await workspace.client.call("chat.postEphemeral", **place, text=SILENCED, blocks=layout)

    async def _share(self, workspace: Workspace, turn: TurnRecord, pressed: Pressed) -> str:
        """Show a private answer to the channel, once; the private one goes, and with it the button."""
        if turn.actor_id != pressed.who.user_id:
            return NOT_YOURS
        if not await self._desk.shares_first(PLATFORM, turn):
            return SHARED_BEFORE
        delivery = Delivery(
            0, "", turn.address, turn.turn_id, turn.reply, f"{turn.turn_id}-share", 1, uncertain=False, asked_at=turn.asked_at
        )
        message = blocks.render(delivery, tuple(passage.text for passage in await self._desk.passages(turn)))
        shown = [section(quotation(turn.question, 500)), *message.blocks]
        answer = {"response_type": "in_channel", "replace_original": False, "text": message.text, "blocks": shown, **QUIET}
        try:
            await workspace.client.respond(pressed.response_url, answer)
            await workspace.client.respond(pressed.response_url, {"delete_original": True})
        except DeliveryError as error:
            logger.warning("a private answer was perhaps not shared: %s", error)
        return ""


def by_of(workspace: Workspace, who: Who, channel_id: str = "") -> By:
    """Return who does something, as the core knows them."""
    return By(PLATFORM, workspace.workspace_id, channel_id, who.user_id)


def order_key_of(ts: str) -> str:
    """Return a time stamp of Slack so that it sorts among those of messages."""
    seconds, _, fraction = (ts or f"{utc_now().timestamp():.6f}").partition(".")
    return f"{seconds:0>10}.{fraction:0<6}"[:40]
