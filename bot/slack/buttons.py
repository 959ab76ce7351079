"""What happens when somebody presses a button under a message: checked against the turn it belongs to, kept before Slack is told."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from bot.dispatch import Dispatch
from bot.slack import blocks, views
from bot.slack.adapter import PLATFORM
from bot.slack.client import QUIET
from bot.slack.interactions import Pressed, Who
from bot.slack.kit import actions, button, quotation, section
from bot.slack.people import People
from bot.slack.workspaces import Workspace
from core.audit import AuditLog
from core.domain import Actor, InboundMessage, Owner, Passage, utc_now
from core.drafts import Drafts
from core.errors import DeliveryError
from core.feedback import Feedback, FeedbackLog
from core.ports import ConversationLog, Delivery
from core.review import TurnBook, TurnRecord
from core.vault import Vault

logger = logging.getLogger(__name__)

EXPIRES = timedelta(days=30)  # then the text of the turn is gone too
WANTS_PERSON = "I want to talk to a person."
_OF_STAFF = frozenset({"draft_send", "draft_edit", "draft_discard", "hand_back"})
_THANKS = "Thank you! Your feedback is kept with this answer."
_EXPIRED = "This button has expired. Please ask again."
_SHARED = "This answer is in the channel already."
_NOT_YOURS = "This button does not belong to this conversation."
_LATE = "That took too long for Slack to open a window. Please press again."
_SILENCED = "You have taken this conversation over: I stay silent here until it is given back."
_BACK = "I am back in this conversation. Ask me anything."


@dataclass(frozen=True, slots=True)
class Desk:
    """What buttons, commands and windows work with."""

    dispatch: Dispatch
    turns: TurnBook
    feedback: FeedbackLog
    drafts: Drafts
    log: ConversationLog
    audit: AuditLog
    people: People
    vault: Vault
    passage: Callable[[str], Awaitable[Passage | None]]

    async def passages(self, turn: TurnRecord) -> list[Passage]:
        """The sources of a turn, as they are served now."""
        found = [await self.passage(citation.passage_id) for citation in turn.reply.citations]
        return [passage for passage in found if passage is not None]

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
        """Do what the button says."""
        turn = await self._desk.turns.turn(pressed.value)
        refusal = await self._refusal(workspace, pressed, turn)
        if refusal or turn is None:
            await self._desk.tell(workspace, pressed, refusal or _EXPIRED)
            return
        match pressed.action_id:
            case "feedback_good":
                await self._desk.feedback.give(Feedback(turn.turn_id, pressed.who.user_id, helpful=True))
                await self._desk.tell(workspace, pressed, _THANKS)
            case "feedback_bad":
                await self._desk.feedback.give(Feedback(turn.turn_id, pressed.who.user_id, helpful=False))
                await self._desk.open(workspace, pressed, views.feedback_modal(turn.turn_id))
            case "person":
                await self._ask_for_person(turn, pressed)
            case "sources":
                await self._desk.open(workspace, pressed, views.sources_modal(await self._desk.passages(turn)))
            case "share":
                await self._share(workspace, turn, pressed)
            case "hand_back":
                await self._hand_back(workspace, turn, pressed)
            case _:
                await self._decide_draft(workspace, turn, pressed)

    async def took_over(self, workspace: Workspace, message: InboundMessage) -> None:
        """Tell a member of staff who answered in a thread what that means, and how to undo it."""
        turns = await self._desk.turns.conversation_at(message.address, limit=1)
        if not turns:
            return
        layout = [section(_SILENCED), actions([button("hand_back", "Return to the bot", turns[0].turn_id)])]
        at, user = message.address, message.actor.actor_id
        place = {"channel": at.channel_id, "thread_ts": at.thread_id, "user": user}
        await workspace.client.call("chat.postEphemeral", **place, text=_SILENCED, blocks=layout)

    async def _refusal(self, workspace: Workspace, pressed: Pressed, turn: TurnRecord | None) -> str:
        """Why this press is not obeyed, empty when it is. Ids in a button are visible to all and can be forged."""
        if turn is None:
            return _EXPIRED
        where = turn.address
        is_staffs = pressed.action_id in _OF_STAFF
        foreign = where.platform != PLATFORM or where.workspace_id != workspace.workspace_id
        if foreign or not (is_staffs or where.channel_id == pressed.channel_id):
            await self._audit(pressed, turn, "forged")
            return _NOT_YOURS
        if utc_now() - turn.asked_at > EXPIRES:
            return _EXPIRED
        if not is_staffs:
            return ""
        verdict = await self._desk.people.is_staff(workspace, pressed.who.user_id)
        if not verdict.allowed:
            await self._audit(pressed, turn, "denied")
        return "" if verdict.allowed else verdict.reason

    async def _audit(self, pressed: Pressed, turn: TurnRecord, result: str) -> None:
        await self._desk.audit.record(
            actor_of(pressed.who), f"button.{pressed.action_id}", turn.turn_id, result, channel=pressed.channel_id
        )

    async def _ask_for_person(self, turn: TurnRecord, pressed: Pressed) -> None:
        """Say it in the conversation, as if it had been written: logged, answered once, in order, and staff are told."""
        said_at = pressed.pressed_at or f"{utc_now().timestamp():.6f}"
        seconds, _, fraction = said_at.partition(".")
        message_id = f"person-{turn.turn_id}-{pressed.who.user_id}"[:100]
        actor = Actor(pressed.who.user_id)
        order_key = f"{seconds:0>10}.{fraction:0<6}"[:40]
        await self._desk.dispatch.accept(InboundMessage(message_id, turn.address, actor, WANTS_PERSON, order_key=order_key))

    async def _share(self, workspace: Workspace, turn: TurnRecord, pressed: Pressed) -> None:
        """Show a private answer to the channel, once; the private one goes, and with it the button."""
        if turn.actor_id != pressed.who.user_id or not await self._shares_first(turn):
            await self._desk.tell(workspace, pressed, _NOT_YOURS if turn.actor_id != pressed.who.user_id else _SHARED)
            return
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

    async def _shares_first(self, turn: TurnRecord) -> bool:
        """Tell whether nobody has shared this answer: what Slack posts for a response_url cannot be looked up, so it is asked for once."""
        async with self._desk.vault.locked(f"slack-shared:{turn.turn_id}") as shared:
            if shared.value is None:
                await shared.replace(b"shared", utc_now() + EXPIRES)
                return True
        return False

    async def _hand_back(self, workspace: Workspace, turn: TurnRecord, pressed: Pressed) -> None:
        owned = await self._desk.log.owner(turn.address) is Owner.STAFF
        await self._desk.log.set_owner(turn.address, Owner.BOT)
        await self._audit(pressed, turn, "done")
        if owned:
            await self._desk.drafts.notify(turn.address, _BACK, f"back-{pressed.pressed_at or turn.turn_id}"[:40])
        await self._desk.tell(workspace, pressed, "The conversation is with the bot again.")

    async def _decide_draft(self, workspace: Workspace, turn: TurnRecord, pressed: Pressed) -> None:
        if pressed.action_id == "draft_edit":
            await self._desk.open(workspace, pressed, views.edit_draft_modal(turn.turn_id, turn.reply.text))
            return
        sends = pressed.action_id == "draft_send"
        done = await (self._desk.drafts.send(turn.turn_id, None) if sends else self._desk.drafts.discard(turn.turn_id))
        await self._audit(pressed, turn, "done" if done else "too_late")
        said = (
            ("Sent to the customer." if sends else "Discarded, nothing is sent.") if done else "Somebody decided about this draft before."
        )
        await self._desk.tell(workspace, pressed, said)


def actor_of(who: Who) -> str:
    """Return how the audit log names somebody."""
    return f"{PLATFORM}:{who.workspace_id}:{who.user_id}"
