"""A hand-off as staff read it on every chat platform: who waits and why, what was said, which passages were tried, what can be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bot.replies import WAITS, Choice
from core.handoff import Handoff, Packet, State, Why
from core.mood import Tone
from core.review import TurnRecord
from core.staff.actions import Act

CUSTOMER_WROTE, BOT_SAID = "The customer wrote", "The bot answered"
WROTE_ELSEWHERE = "The customer wrote in another conversation"
TAKEN_BACK = "The customer took a message back."
HINT = "What you write in this thread goes to the customer. Lines that begin with // or mention a colleague stay here."
_WHY = {
    Why.ASKED: "They asked for a person.",
    Why.LOW_CONFIDENCE: "The help articles hold no reliable answer to this.",
    Why.ANGRY: "The help articles hold no reliable answer to this, and they are angry.",
    Why.POLICY: "The bot does not answer this one.",
    Why.ERROR: "Something went wrong while the answer was written.",
    Why.THUMBS_DOWN: "They found several answers unhelpful.",
}
_STATES = {State.RETURNED: "This customer is with the bot again", State.SOLVED: "This customer's question is solved"}
_MAX_QUESTION, _MAX_SAID, _MAX_EARLIER, _MAX_TITLE, _MAX_NAME = 500, 200, 80, 80, 60

CLAIM = Choice(Act.CLAIM, "Claim", style="primary")
ANSWER = Choice(Act.ANSWER, "Reply")
RETURN = Choice(Act.RETURN, "Return to the bot")
SOLVE = Choice(Act.SOLVE, "Solved")


@dataclass(frozen=True, slots=True)
class Ink:
    """How a platform writes: `fit` escapes one line within a limit, `quote` several as a quote."""

    bold: Callable[[str], str]
    fit: Callable[[str, int], str]
    quote: Callable[[str, int], str]


class Card(NamedTuple):
    """What stands in the message: `headline` in plain words, then paragraphs as the platform writes them, and buttons."""

    headline: str
    paragraphs: tuple[str, ...]
    choices: tuple[Choice, ...]


def choices(state: State) -> tuple[Choice, ...]:
    """Return what can be done with a hand-off."""
    if not state.is_open:
        return ()
    return (CLAIM, ANSWER, RETURN) if state is State.WAITING else (ANSWER, SOLVE, RETURN)


def card(handoff: Handoff, packet: Packet, ink: Ink, link: str = "", asker: str = "") -> Card:
    """Return a hand-off to read; `link` leads to the conversation and `asker` names the customer, both as the platform writes them."""
    headline = _headline(handoff)
    first = f"{ink.bold(ink.fit(headline, 100))}{f' · {link}' if link else ''}\n{_why(handoff, packet)}"
    parts = [first + (f"\nThey asked in private: {asker}" if asker else ""), ink.quote(packet.question, _MAX_QUESTION)]
    if packet.said:
        parts.append(f"{BOT_SAID}\n{ink.quote(packet.said, _MAX_SAID)}")
    if packet.exchanges:
        earlier = "\n".join(f"{ink.fit(_line(one.question), _MAX_EARLIER)} → {ink.fit(_line(one.answer), _MAX_EARLIER)}"
                            for one in packet.exchanges if one.question)  # fmt: skip
        parts.append(f"Before that\n{earlier}")
    if packet.tried:
        tried = "\n".join(f"{one.score:.2f} {ink.fit(_line(one.title), _MAX_TITLE)}" for one in packet.tried)
        parts.append(f"Passages tried\n{tried}")
    if handoff.state.is_open:
        parts.append(HINT)
    return Card(headline, tuple(parts), choices(handoff.state))


def relayed(turn: TurnRecord) -> str:
    """Return what the customer wrote, and what the bot said to it while it still answers."""
    return f"{turn.question}\n\n{BOT_SAID}:\n\n{turn.reply.text}" if turn.reply.text else turn.question


def _headline(handoff: Handoff) -> str:
    if handoff.state is State.CLAIMED:
        shown = handoff.claimed_by.shown if handoff.claimed_by else ""
        return f"{shown[:_MAX_NAME] or 'A colleague'} answers this customer"
    return _STATES.get(handoff.state, WAITS)


def _why(handoff: Handoff, packet: Packet) -> str:
    if packet.mood.tone is Tone.CALM:
        return _WHY[handoff.why]
    return f"{_WHY[handoff.why]} Mood: {packet.mood.tone} ({', '.join(packet.mood.signs)})."


def _line(text: str) -> str:
    return " ".join(text.split())
