"""What people do with an answer, from any surface: judge it, ask for a person, decide about a draft, give a conversation back.

Ids that come with a button are visible to all and can be forged, so every turn is looked up and must be where the button was pressed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from core.audit import AuditLog
from core.corrections import Cause, CorrectionDraft
from core.domain import Actor, InboundMessage, Owner, utc_now
from core.drafts import Drafts
from core.errors import NotAllowedError as NotAllowedError  # noqa: PLC0414  # surfaces look for it here
from core.feedback import Feedback, FeedbackLog, FeedbackReason
from core.ports import ConversationLog
from core.review import TurnBook, TurnRecord
from core.staff.corrections import Corrections
from core.staff.rights import Verdict

EXPIRES = timedelta(days=30)
WANTS_PERSON = "I want to talk to a person."
EXPIRED = "This button has expired. Please ask again."
NOT_YOURS = "This button does not belong to this conversation."
TOO_LATE = "Somebody decided about this draft before."
SENT = "Sent to the customer."
THANKS = "Thank you! Your feedback is kept with this answer."
SHARED_BEFORE = "This answer is in the channel already."
BACK = "I am back in this conversation. Ask me anything."


class Act(StrEnum):
    """What can be pressed."""

    GOOD = "feedback_good"
    BAD = "feedback_bad"
    PERSON = "person"
    SOURCES = "sources"
    SHARE = "share"
    SEND = "draft_send"
    EDIT = "draft_edit"
    DISCARD = "draft_discard"
    HAND_BACK = "hand_back"
    SOLVED = "solved"
    CLAIM = "handoff_claim"
    ANSWER = "handoff_answer"
    RETURN = "handoff_return"
    SOLVE = "handoff_solve"
    PROMOTE = "run_promote"
    ROLL_BACK = "run_rollback"
    KEEP = "run_keep"

    @property
    def is_for_staff(self) -> bool:
        """Whether only staff may; such buttons stand in the staff's channel, not in the conversation."""
        return self in (Act.SEND, Act.EDIT, Act.DISCARD, Act.HAND_BACK) or self.is_about_handoff

    @property
    def is_about_handoff(self) -> bool:
        """Whether it belongs to a hand-off, not to a turn."""
        return self in (Act.CLAIM, Act.ANSWER, Act.RETURN, Act.SOLVE)

    @property
    def is_about_run(self) -> bool:
        """Whether it belongs to a run of the learning loop; only admins may."""
        return self in (Act.PROMOTE, Act.ROLL_BACK, Act.KEEP)


@dataclass(frozen=True, slots=True)
class By:
    """Who does something, and where."""

    platform: str
    workspace_id: str
    channel_id: str
    user_id: str

    @property
    def actor(self) -> str:
        """How the audit log names them."""
        return f"{self.platform}:{self.workspace_id}:{self.user_id}"


async def _nothing(turn_id: str) -> None:
    """Leave it at that."""


class Actions:
    """Does what people press and send; what changes something is audited, what is refused too."""

    def __init__(
        self,
        accept: Callable[[InboundMessage], Awaitable[object]],
        turns: TurnBook,
        feedback: FeedbackLog,
        drafts: Drafts,
        log: ConversationLog,
        audit: AuditLog,
        corrections: Corrections,
        unhappy: Callable[[str], Awaitable[object]] = _nothing,
    ) -> None:
        """`accept` takes a message as if it had been written; `unhappy` is told the turn that somebody finds unhelpful."""
        self._accept = accept
        self._turns = turns
        self._feedback = feedback
        self._drafts = drafts
        self._log = log
        self._audit = audit
        self._corrections = corrections
        self._unhappy = unhappy

    async def turn(self, by: By, act: Act, turn_id: str, staff: Callable[[], Awaitable[Verdict]]) -> TurnRecord:
        """Return the turn that a button belongs to. Raises `NotAllowedError`; `staff` is asked only where only staff may."""
        turn = await self._turns.turn(turn_id)
        if turn is None:
            raise NotAllowedError(EXPIRED)
        is_foreign = (turn.address.platform, turn.address.workspace_id) != (by.platform, by.workspace_id)
        if is_foreign or not (act.is_for_staff or turn.address.channel_id == by.channel_id):
            await self._note(by, act, turn_id, "forged")
            raise NotAllowedError(NOT_YOURS)
        if utc_now() - turn.asked_at > EXPIRES:
            raise NotAllowedError(EXPIRED)
        if act.is_for_staff:
            await self.require(by, act, turn_id, await staff())
        return turn

    async def press(self, by: By, act: Act, turn: TurnRecord, *, order_key: str, press_id: str) -> str:
        """Do what a button says by itself; return what to tell whoever pressed it, empty when they see it themselves.

        `order_key` sorts the press among the messages of the conversation, `press_id` is the same for a press that is told twice.
        """
        match act:
            case Act.GOOD | Act.BAD:
                await self.judge(by, turn, helpful=act is Act.GOOD)
                return THANKS if act is Act.GOOD else ""
            case Act.PERSON:
                await self.ask_for_person(by, turn, order_key)
            case Act.HAND_BACK:
                await self.hand_back(by, turn, press_id)
                return "The conversation is with the bot again."
            case Act.SEND:
                return SENT if await self.send_draft(by, turn) else TOO_LATE
            case Act.DISCARD:
                return "Discarded, nothing is sent." if await self.discard_draft(by, turn) else TOO_LATE
        return ""

    async def judge(self, by: By, turn: TurnRecord, *, helpful: bool, reason: str = "", comment: str = "") -> None:
        """Keep what somebody thinks of an answer, in place of what they thought before."""
        known = FeedbackReason(reason) if reason in tuple(FeedbackReason) else None
        kept = comment if turn.question else ""  # the text of this turn has been erased, and nothing would look here for more
        await self._feedback.give(Feedback(turn.turn_id, by.user_id, helpful, known, kept))
        if not helpful:
            await self._unhappy(turn.turn_id)

    async def ask_for_person(self, by: By, turn: TurnRecord, order_key: str) -> None:
        """Say it in the conversation, as if it had been written: logged, answered once, in order, and staff are told."""
        # Without who it was: the ids of messages stay when a person is erased.
        await self._accept(InboundMessage(f"person-{turn.turn_id}", turn.address, Actor(by.user_id), WANTS_PERSON, order_key=order_key))

    async def hand_back(self, by: By, turn: TurnRecord, press_id: str) -> None:
        """Give a conversation that staff own to the bot again, and tell the customer."""
        was_owned = await self._log.owner(turn.address) is Owner.STAFF
        await self._log.set_owner(turn.address, Owner.BOT)
        await self._note(by, Act.HAND_BACK, turn.turn_id, "done")
        if was_owned:
            await self._drafts.notify(turn.address, BACK, f"back-{turn.turn_id}-{press_id}")

    async def send_draft(self, by: By, turn: TurnRecord, text: str | None = None) -> bool:
        """Send a draft to the customer, in other words where `text` is given; False: somebody decided before."""
        done = await self._drafts.send(turn.turn_id, text)
        await self._note(by, Act.SEND if text is None else Act.EDIT, turn.turn_id, "done" if done else "too_late")
        return done

    async def discard_draft(self, by: By, turn: TurnRecord) -> bool:
        """See to it that a draft is never sent; False: somebody decided before."""
        done = await self._drafts.discard(turn.turn_id)
        await self._note(by, Act.DISCARD, turn.turn_id, "done" if done else "too_late")
        return done

    async def correct(self, by: By, turn_id: str, fields: dict[str, str], staff: Verdict) -> str:
        """Propose a better answer, or one that is missing (no `turn_id`); return the id. Raises `NotAllowedError`."""
        await self.require(by, "correction.propose", turn_id, staff)
        cause = fields.get("cause", "")
        known = Cause(cause) if cause in tuple(Cause) else Cause.MISSING_FAQ
        turn = await self.turn_here(by, turn_id) if turn_id else None
        said = (turn.turn_id if turn else None, fields.get("question", ""), fields.get("answer", ""), known)
        draft = CorrectionDraft(*said, by.actor, by.platform, platform=by.platform, workspace_id=by.workspace_id)
        return await self._corrections.propose(draft, channel=by.channel_id)

    async def turn_here(self, by: By, turn_id: str) -> TurnRecord | None:
        """Return a turn of this workspace that is not too old, None when there is none."""
        turn = await self._turns.turn(turn_id)
        if turn is None or (turn.address.platform, turn.address.workspace_id) != (by.platform, by.workspace_id):
            return None
        return turn if utc_now() - turn.asked_at <= EXPIRES else None

    async def require(self, by: By, act: str, target: str, verdict: Verdict) -> None:
        """Raise `NotAllowedError` unless `verdict` allows it; what is refused is audited."""
        if not verdict.allowed:
            await self._note(by, act, target, "denied")
            raise NotAllowedError(verdict.reason)

    async def _note(self, by: By, act: str, target: str, result: str) -> None:
        name = f"button.{act}" if isinstance(act, Act) else act
        await self._audit.record(by.actor, name, target, result, channel=by.channel_id)
