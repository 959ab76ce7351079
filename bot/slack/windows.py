"""What staff and customers send in a window, and the shortcuts that open one."""

from __future__ import annotations

import logging
from typing import Any

from bot import forms
from bot.slack import views
from bot.slack.buttons import Desk, by_of
from bot.slack.events import PLATFORM
from bot.slack.interactions import Shortcut, Submitted
from bot.slack.payload import parts, word
from bot.slack.reading import readable
from bot.slack.workspaces import Workspace
from core.domain import Address
from core.errors import DeliveryError
from core.handoff import word_key
from core.staff.actions import TOO_LATE, Act, NotAllowedError

logger = logging.getLogger(__name__)

CORRECT_ANSWER, TEACH = "correct_answer", "teach_frontdesk"
_NO_ANSWER_HERE = "Choose this on an answer of mine: this message is none, or it is older than I remember."


class Windows:
    """Corrections, lessons, reasons and edited drafts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def choose(self, workspace: Workspace, chosen: Shortcut) -> None:
        """Open the window of a message shortcut, for staff only."""
        by = by_of(workspace, chosen.who, chosen.channel_id)
        verdict = await self._desk.people.is_staff(workspace, chosen.who.user_id)
        try:
            await self._desk.actions.require(by, f"shortcut.{chosen.callback_id}", chosen.message_ts, verdict)
        except NotAllowedError as error:
            await self._tell(workspace, chosen, str(error))
            return
        if chosen.callback_id == TEACH:
            await self._open(workspace, chosen, views.teach_modal(*await self._question(workspace, chosen), chosen.text))
            return
        turn = await self._desk.turns.turn_by_reference(PLATFORM, f"{chosen.channel_id}/{chosen.message_ts}")
        if turn is None or turn.address.workspace_id != workspace.workspace_id:
            await self._tell(workspace, chosen, _NO_ANSWER_HERE)
            return
        passages = await self._desk.passages(turn)
        await self._open(workspace, chosen, views.correction_modal(turn.turn_id, turn.question, turn.reply.text, passages))

    async def submit(self, workspace: Workspace, sent: Submitted) -> dict[str, Any] | None:
        """Keep what a window holds; return what Slack should show in it instead of closing."""
        match sent.callback_id:
            case forms.FEEDBACK:
                await self._complain(workspace, sent)
                return None
            case forms.ANSWER:
                return await self._answer(workspace, sent)
            case forms.EDIT_DRAFT:
                return await self._send_draft(workspace, sent)
            case _:
                return await self._propose(workspace, sent)

    async def _complain(self, workspace: Workspace, sent: Submitted) -> None:
        by = by_of(workspace, sent.who)
        turn = await self._desk.actions.turn_here(by, sent.metadata)
        if turn is not None:
            values = sent.values
            await self._desk.actions.judge(by, turn, helpful=False, reason=values.get("reason", ""), comment=values.get("note", ""))

    async def _send_draft(self, workspace: Workspace, sent: Submitted) -> dict[str, Any] | None:
        by = by_of(workspace, sent.who)
        try:
            turn = await self._desk.actions.turn(
                by, Act.EDIT, sent.metadata, lambda: self._desk.people.is_staff(workspace, sent.who.user_id)
            )
        except NotAllowedError as error:
            return _wrong("text", str(error))
        done = await self._desk.actions.send_draft(by, turn, sent.values.get("text", ""))
        return None if done else _wrong("text", TOO_LATE)

    async def _answer(self, workspace: Workspace, sent: Submitted) -> dict[str, Any] | None:
        """Send what a member of staff wrote to a customer; a window has no channel, so who they are is what counts."""
        by = by_of(workspace, sent.who)
        try:
            handoff = await self._desk.handoffs.in_window(
                by, sent.metadata, lambda: self._desk.people.is_staff(workspace, sent.who.user_id)
            )
        except NotAllowedError as error:
            return _wrong("text", str(error))
        helper, key = await self._desk.helper(workspace, by), word_key(PLATFORM, "window", sent.view_id)
        problem = await self._desk.handoffs.write(handoff, helper, sent.values.get("text", ""), key)
        return _wrong("text", problem) if problem else None

    async def _propose(self, workspace: Workspace, sent: Submitted) -> dict[str, Any] | None:
        verdict = await self._desk.people.is_staff(workspace, sent.who.user_id)
        try:
            await self._desk.actions.correct(by_of(workspace, sent.who), sent.metadata, sent.values, verdict)
        except NotAllowedError as error:
            return _wrong("answer", str(error))
        return None

    async def _question(self, workspace: Workspace, chosen: Shortcut) -> tuple[str, str]:
        """What the thread began with: the question that the chosen message answers, and the turn in which the bot was asked it."""
        if not chosen.thread_ts or chosen.thread_ts == chosen.message_ts:
            return "", ""
        turns = await self._desk.turns.conversation_at(Address(PLATFORM, workspace.workspace_id, chosen.channel_id, chosen.thread_ts))
        if turns:
            return turns[-1].turn_id, turns[-1].question
        try:
            read = await workspace.client.ask("conversations.replies", channel=chosen.channel_id, ts=chosen.thread_ts, limit=1)
        except DeliveryError:
            return "", ""
        return "", readable(word((parts(read, "messages") or [{}])[0], "text"))

    async def _open(self, workspace: Workspace, chosen: Shortcut, view: views.View) -> None:
        try:
            await workspace.client.call("views.open", trigger_id=chosen.trigger_id, view=view)
        except DeliveryError as error:
            logger.info("a window could not be opened: %s", error)
            await self._tell(workspace, chosen, "That took too long for Slack to open a window. Please try again.")

    async def _tell(self, workspace: Workspace, chosen: Shortcut, text: str) -> None:
        quiet = {"response_type": "ephemeral", "replace_original": False, "text": text}
        try:
            await workspace.client.respond(chosen.response_url, quiet)
        except DeliveryError as error:
            logger.info("somebody was not told: %s", error)


def _wrong(field: str, text: str) -> dict[str, Any]:
    """Return what makes Slack keep the window open with an error at a field; a block is named like its field."""
    return {"response_action": "errors", "errors": {field: text}}
