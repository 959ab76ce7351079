"""What staff do with customers who wait for a person, from any surface: take one, answer, give back to the bot; all of it audited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.audit import AuditLog
from core.handoff import Handoff, HandoffBook, Handoffs, Helper, State
from core.members import EVERYWHERE
from core.staff.actions import BACK, EXPIRED, NOT_YOURS, Act, By, NotAllowedError
from core.staff.rights import Verdict

UNHELPFUL = 2  # answers that one customer finds unhelpful in one conversation, and a person is asked for
WITH_YOU = "A person on our team is with you now. What you write here goes to them."
SOLVED = "Our team has marked your question as solved. If it is not, write here: I answer, or get a person again."
GIVEN_BACK = "Our team has given your request back to me. Ask me anything, or ask for a person again."
UNHAPPY = "My answers have not helped you, so I've asked a person on our team to follow up here."
NOBODY_YET = "Sorry, nobody on our team has been free yet. Your request stays open, and a person will answer you here."
OVER = "This was not sent: the conversation is with the bot again."
NOTHING_SAID = "This was not sent: it says nothing."
SENT = "Sent to the customer."
_SAID = {
    State.RETURNED: "The conversation is with the bot again.",
    State.SOLVED: "Marked as solved. The conversation is with the bot again.",
}


@dataclass(frozen=True, slots=True)
class Courtesy:
    """What customers are told besides; `away` is empty while somebody is there."""

    away: Callable[[], str] = str
    contact: str = ""
    names: bool = False  # customers read the names of staff

    def unhappy(self) -> str:
        """Return what a customer is told who is handed over because answers did not help."""
        return f"{UNHAPPY} {self.away()}".strip()

    def nobody_yet(self) -> str:
        """Return what a customer is told when nobody came."""
        return f"{NOBODY_YET} You can also reach us at {self.contact}." if self.contact else NOBODY_YET

    def with_you(self, helper: Helper) -> str:
        """Return what a customer is told when somebody comes."""
        return WITH_YOU.replace("A person on", f"{helper.name} from") if self.names and helper.name else WITH_YOU


class HandoffDesk:
    """Does what staff decide about a hand-off; what is refused is audited too."""

    def __init__(self, handoffs: Handoffs, book: HandoffBook, audit: AuditLog, courtesy: Courtesy = Courtesy()) -> None:
        self.book = book
        self._handoffs = handoffs
        self._audit = audit
        self._courtesy = courtesy

    async def at_button(self, by: By, act: Act, handoff_id: str, staff: Callable[[], Awaitable[Verdict]]) -> Handoff:
        """Return the hand-off of a button that was pressed where staff have its thread. Raises `NotAllowedError`."""
        handoff = await self.book.handoff(handoff_id, EVERYWHERE)
        if handoff is not None and handoff.thread.partition("/")[0] != by.channel_id:
            await self._note(by.actor, act, handoff, "forged")
            raise NotAllowedError(NOT_YOURS)
        return await self._allowed(by, act, handoff, staff)

    async def in_window(self, by: By, handoff_id: str, staff: Callable[[], Awaitable[Verdict]]) -> Handoff:
        """Return the hand-off that an answer was written to in a window, which stands in no channel. Raises `NotAllowedError`."""
        return await self._allowed(by, Act.ANSWER, await self.book.handoff(handoff_id, EVERYWHERE), staff)

    async def _allowed(self, by: By, act: Act, handoff: Handoff | None, staff: Callable[[], Awaitable[Verdict]]) -> Handoff:
        if handoff is None:
            raise NotAllowedError(EXPIRED)
        if handoff.staff_platform != by.platform:
            await self._note(by.actor, act, handoff, "forged")
            raise NotAllowedError(NOT_YOURS)
        verdict = await staff()
        if not verdict.allowed:
            await self._note(by.actor, act, handoff, "denied")
            raise NotAllowedError(verdict.reason)
        return handoff

    async def press(self, act: Act, handoff: Handoff, helper: Helper) -> str:
        """Do what a button says by itself; return what to tell whoever pressed it."""
        match act:
            case Act.CLAIM:
                return await self.claim(handoff, helper)
            case Act.SOLVE:
                return await self.close(handoff, helper, State.SOLVED)
            case _:
                return await self.close(handoff, helper, State.RETURNED)

    async def claim(self, handoff: Handoff, helper: Helper) -> str:
        """Take a customer who waits; of two who do so at once one gets them, and the other is told who has."""
        done = await self._handoffs.claim(
            handoff.handoff_id, helper, self._courtesy.with_you(helper), f"{helper.shown} has taken this customer."
        )
        await self._note(helper.actor, Act.CLAIM, handoff, "done" if done else "too_late")
        return "" if done else await self._taken(handoff)

    async def write(self, handoff: Handoff, helper: Helper, text: str, key: str, *, echo: bool = True) -> str:
        """Say something to the customer; `echo` shows it in the thread of staff, where it was not written there.

        Returns empty when it is on its way, else why it is not.
        """
        shown = f"{helper.shown} wrote to the customer:\n\n{text}" if echo else ""
        done = await self._handoffs.say(handoff.handoff_id, helper, text, key, shown)
        await self._note(helper.actor, Act.ANSWER, handoff, "done" if done else "too_late")
        if done:
            return ""
        return OVER if text.strip() else NOTHING_SAID

    async def close(self, handoff: Handoff, helper: Helper, state: State) -> str:
        """Give the conversation back to the bot, returned or solved; return what to tell whoever did."""
        back = GIVEN_BACK if handoff.state is State.WAITING else BACK  # nobody had come, so it was never away
        act, told = (Act.SOLVE, SOLVED) if state is State.SOLVED else (Act.RETURN, back)
        noted = f"{helper.shown}: {_SAID[state]}"
        done = await self._handoffs.close(handoff.handoff_id, helper, state, told, noted)
        await self._note(helper.actor, act, handoff, "done" if done else "too_late")
        return _SAID[state] if done else "This was over before."

    async def tell_thread(self, handoff: Handoff, text: str, key: str) -> None:
        """Tell the thread of staff something, once for each key."""
        await self._handoffs.note(handoff.handoff_id, text, key)

    async def unhappy(self, turn_id: str) -> bool:
        """Hand over whoever found several answers of a conversation unhelpful; whoever waits already is left alone."""
        return await self._handoffs.open_unhappy(turn_id, UNHELPFUL, self._courtesy.unhappy())

    async def refuse(self, actor: str, act: Act, handoff: Handoff) -> None:
        """Record that somebody tried what only staff may."""
        await self._note(actor, act, handoff, "denied")

    async def _taken(self, handoff: Handoff) -> str:
        now = await self.book.handoff(handoff.handoff_id, EVERYWHERE)
        if now is None or not now.state.is_open or now.claimed_by is None:
            return "This was over before."
        return f"{now.claimed_by.shown or 'Somebody'} has this customer already."

    async def _note(self, actor: str, act: Act, handoff: Handoff, result: str) -> None:
        place = {"platform": handoff.address.platform, "workspace": handoff.address.workspace_id}
        await self._audit.record(actor, act.replace("handoff_", "handoff."), handoff.handoff_id, result, **place)
