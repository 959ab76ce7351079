"""What every chat platform says and offers with a reply: the words, the links that may be live, the buttons."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from bot.parting import cut, size
from core import markup
from core.domain import Action, Decision, Reason, Reply
from core.ports import Delivery
from core.staff.actions import Act
from core.text import clean

CUT = "The answer was too long and was cut here."
EMPTY = "(empty)"  # no platform takes a message without any text
A_DRAFT, WAITS, SEE_MESSAGE = "A draft for you to check", "A customer waits for a person", "see the message"
NO_SOURCES = "These sources are no longer part of the help articles."
SILENCED = "You have taken this conversation over: I stay silent here until it is given back."
TAKEN_OVER = "A conversation was taken over, the bot is silent there until it is given back"
ABOUT = "I answer questions from our help articles, and hand over to a person when I am not sure or when you ask for one."
ERASED = "The text of everything you asked me is erased."
BY_A_PERSON = "From a person on our team"
_WORD_FOR_WORD = (Reason.CONFIDENT, Reason.QUOTED)
_MAX_TITLE = 80


class Choice(NamedTuple):
    """A button; `says` is what a screen reader says, `style` is `primary`, `danger` or empty."""

    act: Act
    label: str
    says: str = ""
    style: str = ""


PERSON = Choice(Act.PERSON, "Talk to a person")
SHARE = Choice(Act.SHARE, "Share with channel")
HAND_BACK = Choice(Act.HAND_BACK, "Return to the bot")  # after staff have spoken up in a conversation
OF_DRAFT = (Choice(Act.SEND, "Send", style="primary"), Choice(Act.EDIT, "Edit"), Choice(Act.DISCARD, "Discard", style="danger"))


def allowed_links(reply: Reply, cited: Collection[str] = ()) -> frozenset[str]:
    """Return the addresses that may be live in a reply: those of its sources and those written in them, as in grounding.

    `cited` is the text of its sources. A reply that gives a source word for word is such a text itself, and what a person of staff writes.
    """
    urls = frozenset(citation.url for citation in reply.citations if citation.url)
    is_quoted = reply.reason is Reason.BY_PERSON or (reply.decision.answers and reply.reason in _WORD_FOR_WORD)
    quoted = [reply.text] if is_quoted else []
    return urls | markup.urls("\n".join([*cited, *quoted]))


def choices(delivery: Delivery) -> tuple[Choice, ...]:
    """Return the buttons that a customer gets under a reply."""
    reply = delivery.reply
    if not delivery.turn_id or delivery.action is Action.NOTICE or reply.decision in (Decision.HANDOFF, Decision.SILENT):
        return ()
    if not reply.decision.answers:
        return (PERSON,)
    opinions = (Choice(Act.GOOD, "👍", "This answer helped"), Choice(Act.BAD, "👎", "This answer did not help"))
    return (*opinions, PERSON, *([Choice(Act.SOURCES, "Show sources")] if reply.citations else []))


def kept(days: int) -> str:
    """Return what is kept of a customer, and for how many days; 0: until somebody erases it."""
    reason = "so that people on our team can follow up and the help articles get better"
    until = f"Their text is deleted after {days} days. " if days else ""
    return f"I keep your questions and my answers, {reason}. {until}Answers may be written by an AI."


def origin(reply: Reply, link: Callable[[str, str], str], limit: int) -> str:
    """Return who wrote a reply and from what, with finished links; what a clarification cites are meanings that it offers, not sources."""
    if reply.reason is Reason.BY_PERSON:
        return BY_A_PERSON
    if not reply.decision.answers:
        return ""
    composed = reply.decision is Decision.ANSWER and reply.reason is Reason.COMPOSED
    label = "Written by an AI from these help articles" if composed else "From the help articles"
    titles = sources(reply, link, limit)
    return f"{label}: {titles}" if titles else label


def sources(reply: Reply, link: Callable[[str, str], str], limit: int, shown: int = 3) -> str:
    """Return the titles of the sources in one line, as links where they have an address; empty when there are none."""
    titles: list[str] = []
    for number, citation in enumerate(reply.citations[:shown], 1):
        title = link(citation.url or "", cut(" ".join(clean(citation.title).split()), _MAX_TITLE) or EMPTY)
        titles.append(f"[{number}] {title}")
    while size(" · ".join(titles)) > limit:  # very long addresses
        titles.pop()
    more = len(reply.citations) - len(titles)
    return " · ".join(titles) + (f" and {more} more" if more > 0 and titles else "")


def quotation(text: str, limit: int, fit: Callable[[str, int], str], least: int = 20) -> str:
    """Return what somebody wrote as a quote, in at most `limit` characters; `fit` escapes a line within a limit."""
    quoted: list[str] = []
    for line in (line for line in clean(text)[:limit].split("\n") if line.strip()):
        if limit < least:
            break
        quoted.append("> " + fit(line, limit - 3))
        limit -= size(quoted[-1]) + 1
    return "\n".join(quoted) or f"> {EMPTY}"
