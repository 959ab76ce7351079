"""A reply as a Slack message: for the customer, for one reader alone, and for staff."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from bot import replies
from bot.handoff_card import Ink, card
from bot.parting import size
from bot.slack.kit import Block, actions, body, button, context, origin, quotation, section
from bot.slack.mrkdwn import is_live, link, to_plain
from bot.slack.sections import fit
from core import markup
from core.handoff import Handoff, Packet
from core.ports import Delivery
from core.text import clean

MAX_MESSAGE = 12_000
MAX_FALLBACK = 3000
KEY_PREFIX = "frontdesk:"  # of the block that tells us which delivery a message is, when Slack shows it to us again
CUT = f"_{replies.CUT}_"

_ROOM_FOR_BUTTONS = 400
_MAX_QUESTION = 1000
_USER = re.compile(r"[UW][A-Z0-9]{1,30}")


class Message(NamedTuple):
    """What `chat.postMessage` takes: `text` is what a notification shows."""

    text: str
    blocks: list[Block]


def render(delivery: Delivery, cited: Collection[str] = ()) -> Message:
    """Return a reply as the customer sees it."""
    return _message(delivery, cited, _buttons(delivery, *replies.choices(delivery)))


def private(delivery: Delivery, cited: Collection[str] = ()) -> Message:
    """Return a reply that only the one who asked sees, and may show to the channel."""
    return _message(delivery, cited, _buttons(delivery, *replies.choices(delivery), replies.SHARE))


def draft(delivery: Delivery, question: str, permalink: str = "", cited: Collection[str] = ()) -> Message:
    """Return a reply for staff to check before the customer gets it."""
    opening = [section(headed(replies.A_DRAFT, permalink)), section(quotation(question, _MAX_QUESTION))]
    return _message(delivery, cited, _buttons(delivery, *replies.OF_DRAFT), opening, "A draft to check: ")


def run_news(delivery: Delivery, choices: Sequence[replies.Choice]) -> Message:
    """Return what staff are told of a run of the learning loop: written by us, so its links are live."""
    run_id = delivery.address.thread_id
    return _message(
        delivery, (delivery.reply.text,), [button(one.act, one.label, run_id, says=one.says, style=one.style) for one in choices]
    )


def alert(key: str, handoff: Handoff, packet: Packet, permalink: str = "", asker: str = "") -> Message:
    """Return what staff must know of a customer who waits for a person; `asker` is their id where they asked in private."""
    named = f"<@{asker}>" if _USER.fullmatch(asker) else ""
    ink = Ink(bold=lambda text: f"*{text}*", fit=lambda text, limit: fit(clean(text), limit), quote=quotation)
    shown = card(handoff, packet, ink, _to_message(permalink), named)
    blocks = [section(paragraph) for paragraph in shown.paragraphs]
    if shown.choices:
        blocks.append(actions([button(one.act, one.label, handoff.handoff_id, style=one.style) for one in shown.choices]))
    blocks[-1] |= {"block_id": (KEY_PREFIX + key)[:255]}
    return Message(fit(f"{shown.headline}: {clean(packet.question)}", MAX_FALLBACK), blocks)


def headed(headline: str, permalink: str = "") -> str:
    """Return a headline with the way to the message it is about."""
    return " · ".join(filter(None, (f"*{headline}*", _to_message(permalink))))


def in_thread(delivery: Delivery, opening: str = "") -> Message:
    """Return what is told in the thread of a hand-off; `opening` is finished mrkdwn."""
    return _message(delivery, (), (), [section(opening)] if opening else ())


def _message(
    delivery: Delivery, cited: Collection[str], buttons: Sequence[Block], opening: Sequence[Block] = (), announced: str = ""
) -> Message:
    reply, allowed = delivery.reply, replies.allowed_links(delivery.reply, cited)
    written = origin(reply)
    used = size(written) + len(CUT) + _ROOM_FOR_BUTTONS + sum(size(block["text"]["text"]) for block in opening)
    said = body(reply.text, allowed, MAX_MESSAGE - used)
    blocks = [*opening, *(section(text) for text in (said.texts or ("",)))]
    if said.was_cut:
        blocks.append(section(CUT))
    if written:
        blocks.append(context(written))
    if buttons:
        blocks.append(actions(buttons))
    blocks[-1] |= {"block_id": (KEY_PREFIX + delivery.key)[:255]}
    words = to_plain(markup.parse(clean(reply.text)[:MAX_MESSAGE], allowed)).strip()
    return Message(fit(announced + (words or "(empty)"), MAX_FALLBACK), blocks)


def _buttons(delivery: Delivery, *choices: replies.Choice) -> list[Block]:
    return [button(one.act, one.label, delivery.turn_id, says=one.says, style=one.style) for one in choices]


def _to_message(permalink: str) -> str:
    return link(permalink, replies.SEE_MESSAGE) if is_live(permalink) else ""
