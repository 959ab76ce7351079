"""A reply as a Slack message: for the customer, for one reader alone, and for staff."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from bot import replies
from bot.parting import size
from bot.slack.kit import Block, actions, body, button, context, origin, quotation, section
from bot.slack.mrkdwn import is_live, link, to_plain
from bot.slack.sections import fit
from core import markup
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
    opening = [section(f"*{replies.A_DRAFT}*{_to_message(permalink)}"), section(quotation(question, _MAX_QUESTION))]
    return _message(delivery, cited, _buttons(delivery, *replies.OF_DRAFT), opening, "A draft to check: ")


def alert(delivery: Delivery, question: str, permalink: str = "", asker: str = "") -> Message:
    """Return the news for staff that a customer waits for a person; `asker` is their id where staff cannot answer in the conversation."""
    text = f"*{replies.WAITS}*{_to_message(permalink)}\n{replies.why(delivery.reply)}"
    if _USER.fullmatch(asker):
        text += f"\n{replies.IN_PRIVATE} <@{asker}>"
    blocks = [section(text), section(quotation(question, _MAX_QUESTION))]
    blocks.append(actions(_buttons(delivery, replies.HAND_BACK), KEY_PREFIX + delivery.key))
    return Message(fit(f"{replies.WAITS}: {clean(question)}", MAX_FALLBACK), blocks)


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
    return f" · {link(permalink, replies.SEE_MESSAGE)}" if is_live(permalink) else ""
