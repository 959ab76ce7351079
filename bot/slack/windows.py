"""What staff and customers send in a window, and the shortcuts that open one."""

from __future__ import annotations

import logging
from typing import Any

from bot.slack import views
from bot.slack.adapter import PLATFORM
from bot.slack.buttons import EXPIRES, Desk, actor_of
from bot.slack.interactions import Shortcut, Submitted
from bot.slack.payload import parts, word
from bot.slack.reading import readable
from bot.slack.workspaces import Workspace
from core.corrections import Cause, CorrectionDraft, CorrectionStore
from core.domain import utc_now
from core.errors import DeliveryError
from core.feedback import Feedback, FeedbackReason
from core.review import TurnRecord

logger = logging.getLogger(__name__)

CORRECT_ANSWER, TEACH = "correct_answer", "teach_frontdesk"
_NO_ANSWER_HERE = "Choose this on an answer of mine: this message is none, or it is older than I remember."
_NOTHING_WRITTEN = "Please write both a question and an answer."


class Windows:
    """Corrections, lessons, reasons and edited drafts."""

    def __init__(self, desk: Desk, corrections: CorrectionStore) -> None:
        self._desk = desk
        self._corrections = corrections

    async def choose(self, workspace: Workspace, chosen: Shortcut) -> None:
        """Open the window of a message shortcut, for staff only."""
        verdict = await self._desk.people.is_staff(workspace, chosen.who.user_id)
        if not verdict.allowed:
            await self._desk.audit.record(actor_of(chosen.who), f"shortcut.{chosen.callback_id}", chosen.message_ts, "denied")
            await self._tell(workspace, chosen, verdict.reason)
            return
        if chosen.callback_id == TEACH:
            await self._open(workspace, chosen, views.teach_modal(await self._question(workspace, chosen), chosen.text))
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
            case views.FEEDBACK:
                await self._complain(workspace, sent)
                return None
            case views.EDIT_DRAFT:
                return await self._send_draft(workspace, sent)
            case _:
                return await self._propose(workspace, sent)

    async def _complain(self, workspace: Workspace, sent: Submitted) -> None:
        turn = await self._own_turn(workspace, sent)
        if turn is not None and utc_now() - turn.asked_at <= EXPIRES:
            reason = sent.values.get("reason", "")
            known = FeedbackReason(reason) if reason in tuple(FeedbackReason) else None
            note = sent.values.get("note", "")
            await self._desk.feedback.give(Feedback(turn.turn_id, sent.who.user_id, helpful=False, reason=known, comment=note))

    async def _send_draft(self, workspace: Workspace, sent: Submitted) -> dict[str, Any] | None:
        turn = await self._own_turn(workspace, sent)
        verdict = await self._desk.people.is_staff(workspace, sent.who.user_id)
        done = verdict.allowed and turn is not None and await self._desk.drafts.send(turn.turn_id, sent.values.get("text", ""))
        await self._desk.audit.record(actor_of(sent.who), "button.draft_edit", sent.metadata, "done" if done else "refused")
        return None if done else _wrong("text", verdict.reason if not verdict.allowed else "This draft was sent or discarded before.")

    async def _propose(self, workspace: Workspace, sent: Submitted) -> dict[str, Any] | None:
        verdict = await self._desk.people.is_staff(workspace, sent.who.user_id)
        question, answer = sent.values.get("question", "").strip(), sent.values.get("answer", "").strip()
        if not verdict.allowed or not (question and answer):
            return _wrong("answer", verdict.reason if not verdict.allowed else _NOTHING_WRITTEN)
        turn = await self._own_turn(workspace, sent) if sent.callback_id == views.CORRECT else None
        cause = sent.values.get("cause", "")
        known = Cause(cause) if cause in tuple(Cause) else Cause.MISSING_FAQ
        turn_id = turn.turn_id if turn else None
        correction_id = await self._corrections.propose(CorrectionDraft(turn_id, question, answer, known, actor_of(sent.who), PLATFORM))
        await self._desk.audit.record(actor_of(sent.who), "correction.propose", correction_id, "done")
        return None

    async def _own_turn(self, workspace: Workspace, sent: Submitted) -> TurnRecord | None:
        """The turn that a window is about; what it carries can be forged, so it must be of this workspace."""
        turn = await self._desk.turns.turn(sent.metadata)
        mine = turn is not None and (turn.address.platform, turn.address.workspace_id) == (PLATFORM, workspace.workspace_id)
        return turn if mine else None

    async def _question(self, workspace: Workspace, chosen: Shortcut) -> str:
        """What the thread began with: the question that the chosen message answers."""
        if not chosen.thread_ts or chosen.thread_ts == chosen.message_ts:
            return ""
        try:
            read = await workspace.client.ask("conversations.replies", channel=chosen.channel_id, ts=chosen.thread_ts, limit=1)
        except DeliveryError:
            return ""
        return readable(word((parts(read, "messages") or [{}])[0], "text"))

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
