"""A reply as a Slack message: for the customer, for one reader alone, and for staff."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from bot.slack.kit import Block, actions, body, button, context, quotation, section, sources
from bot.slack.mrkdwn import is_web, link, to_plain
from bot.slack.sections import fit, size
from core import markup
from core.domain import Action, Decision, Reason, Reply
from core.ports import Delivery
from core.text import clean

MAX_MESSAGE = 12_000
MAX_FALLBACK = 3000
KEY_PREFIX = "frontdesk:"  # of the block that tells us which delivery a message is, when Slack shows it to us again
CUT = "_The answer was too long for one message and was cut here._"

_ROOM_FOR_BUTTONS = 400
_MAX_QUESTION = 1000
_WHY = {
    Reason.ASKED_FOR_PERSON: "They asked for a person.",
    Reason.LOW_CONFIDENCE: "The help articles hold no reliable answer to this.",
    Reason.FAILED: "Something went wrong while the answer was written.",
    Reason.TOO_MANY: "They sent more messages than the bot may answer.",
}
_USER = re.compile(r"[UW][A-Z0-9]{1,30}")
_WORD_FOR_WORD = (Reason.CONFIDENT, Reason.QUOTED)


class Message(NamedTuple):
    """What `chat.postMessage` takes: `text` is what a notification shows."""

    text: str
    blocks: list[Block]


def allowed_links(reply: Reply, cited: Collection[str] = ()) -> frozenset[str]:
    """Return the addresses that may be live in a reply: those of its sources and those written in them, as in grounding.

    `cited` is the text of its sources. A reply that gives a source word for word is such a text itself.
    """
    urls = frozenset(citation.url for citation in reply.citations if citation.url)
    quoted = [reply.text] if reply.decision.answers and reply.reason in _WORD_FOR_WORD else []
    return urls | markup.urls("\n".join([*cited, *quoted]))


def render(delivery: Delivery, cited: Collection[str] = ()) -> Message:
    """Return a reply as the customer sees it."""
    return _message(delivery, cited, _customer_buttons(delivery))


def private(delivery: Delivery, cited: Collection[str] = ()) -> Message:
    """Return a reply that only the one who asked sees, and may show to the channel."""
    return _message(delivery, cited, [*_customer_buttons(delivery), button("share", "Share with channel", delivery.turn_id)])


def draft(delivery: Delivery, question: str, permalink: str = "", cited: Collection[str] = ()) -> Message:
    """Return a reply for staff to check before the customer gets it."""
    opening = [section("*A draft for you to check*" + _to_message(permalink)), section(quotation(question, _MAX_QUESTION))]
    buttons = [
        button("draft_send", "Send", delivery.turn_id, style="primary"),
        button("draft_edit", "Edit", delivery.turn_id),
        button("draft_discard", "Discard", delivery.turn_id, style="danger"),
    ]
    return _message(delivery, cited, buttons, opening, "A draft to check: ")


def alert(delivery: Delivery, question: str, permalink: str = "", asker: str = "") -> Message:
    """Return the news for staff that a customer waits for a person; `asker` is their id where staff cannot answer in the conversation."""
    why = _WHY.get(delivery.reply.reason, "The bot does not answer this one.")
    text = f"*A customer waits for a person*{_to_message(permalink)}\n{why}"
    if _USER.fullmatch(asker):
        text += f"\nThey asked in private, so write to them: <@{asker}>"
    blocks = [section(text), section(quotation(question, _MAX_QUESTION))]
    blocks.append(actions([button("hand_back", "Return to the bot", delivery.turn_id)], KEY_PREFIX + delivery.key))
    return Message(fit(f"A customer waits for a person: {clean(question)}", MAX_FALLBACK), blocks)


def _message(
    delivery: Delivery, cited: Collection[str], buttons: Sequence[Block], opening: Sequence[Block] = (), announced: str = ""
) -> Message:
    reply, allowed = delivery.reply, allowed_links(delivery.reply, cited)
    origin = _origin(reply)
    used = size(origin) + len(CUT) + _ROOM_FOR_BUTTONS + sum(size(block["text"]["text"]) for block in opening)
    said = body(reply.text, allowed, MAX_MESSAGE - used)
    blocks = [*opening, *(section(text) for text in (said.texts or ("",)))]
    if said.was_cut:
        blocks.append(section(CUT))
    if origin:
        blocks.append(context(origin))
    if buttons:
        blocks.append(actions(buttons))
    blocks[-1] |= {"block_id": (KEY_PREFIX + delivery.key)[:255]}
    words = to_plain(markup.parse(clean(reply.text)[:MAX_MESSAGE], allowed)).strip()
    return Message(fit(announced + (words or "(empty)"), MAX_FALLBACK), blocks)


def _customer_buttons(delivery: Delivery) -> list[Block]:
    reply, turn_id = delivery.reply, delivery.turn_id
    if not turn_id or delivery.action is Action.NOTICE or reply.decision in (Decision.HANDOFF, Decision.SILENT):
        return []
    person = button("person", "Talk to a person", turn_id)
    if not reply.decision.answers:
        return [person]
    return [
        button("feedback_good", "👍", turn_id, says="This answer helped"),
        button("feedback_bad", "👎", turn_id, says="This answer did not help"),
        person,
        *([button("sources", "Show sources", turn_id)] if reply.citations else []),
    ]


def _origin(reply: Reply) -> str:
    """Who wrote it and from what. What a clarification cites are meanings that it offers, not sources."""
    if not reply.decision.answers:
        return ""
    composed = reply.decision is Decision.ANSWER and reply.reason is Reason.COMPOSED
    label = "Written by an AI from these help articles" if composed else "From the help articles"
    titles = sources(reply)
    return f"{label}: {titles}" if titles else label


def _to_message(permalink: str) -> str:
    return f" · {link(permalink, 'see the message')}" if is_web(permalink) else ""
