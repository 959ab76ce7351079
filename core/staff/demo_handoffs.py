"""What became of the made-up customers who were handed over to a person."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from core.demo import DemoHandoff, DemoTurn
from core.domain import Address, Decision
from core.handoff import Helper, State, why_of
from core.mood import mood_of
from core.staff import demo_words as words

_RETURNED = 0.25  # of those who are over: without an answer of a person


class DemoDesk:
    """Staff of a made-up month, who come within the hour and are seldom done at once."""

    def __init__(self, rng: random.Random, end: datetime, since: datetime) -> None:
        """`since`: whoever was handed over before has been helped."""
        self._random = rng
        self._since = since
        self._end = end
        self._open: set[tuple[str, str, str]] = set()  # one customer waits once

    def handoff(self, address: Address, actor_id: str, turn: DemoTurn) -> DemoHandoff | None:
        """Return what became of a customer after the last turn of a conversation, None for one who was not handed over."""
        if turn.reply.decision is not Decision.HANDOFF:
            return None
        customer = (address.platform, address.workspace_id, actor_id)
        why = why_of(turn.reply.reason, mood_of([turn.question]))
        handoff = DemoHandoff(f"{self._random.getrandbits(128):032x}", turn.turn_id, why, State.WAITING, turn.answered_at)
        if turn.answered_at < self._since or customer in self._open:
            return self._over(handoff)
        self._open.add(customer)
        return handoff if len(self._open) % 2 else self._claimed(handoff)  # in turn, so that a small demo has both

    def _claimed(self, handoff: DemoHandoff) -> DemoHandoff:
        rng = self._random
        name = rng.choice(words.STAFF)
        at = self._later(handoff.opened_at, 2, 45)
        said = ((rng.choice(words.GREETINGS), self._later(at, 0.3, 3)),)
        return handoff._replace(state=State.CLAIMED, helper=Helper(f"console:demo-{name.lower()}", name), claimed_at=at, said=said)

    def _over(self, handoff: DemoHandoff) -> DemoHandoff:
        claimed = self._claimed(handoff)
        if self._random.random() < _RETURNED:
            return claimed._replace(state=State.RETURNED, said=(), closed_at=claimed.said[-1][1])
        answered = self._later(claimed.said[-1][1], 3, 40)
        said = (*claimed.said, (self._random.choice(words.SETTLED), answered))
        return claimed._replace(state=State.SOLVED, said=said, closed_at=self._later(answered, 1, 30))

    def _later(self, moment: datetime, least: float, most: float) -> datetime:
        """Some minutes later, but not in the future."""
        return min(moment + timedelta(minutes=self._random.uniform(least, most)), self._end)
