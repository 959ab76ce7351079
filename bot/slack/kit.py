"""The pieces of Block Kit that Frontdesk uses, each within Slack's limits whatever it is given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from bot import replies
from bot.parting import cut
from bot.replies import EMPTY
from bot.slack.mrkdwn import link
from bot.slack.sections import Sections, fit, sections
from core import markup
from core.domain import Reply
from core.text import clean

Block: TypeAlias = dict[str, Any]

MAX_BLOCK_ID, MAX_ACTION_VALUE, MAX_BUTTON, MAX_TITLE = 255, 2000, 75, 24
MAX_INPUT, MAX_METADATA, MAX_OPTION, MAX_LABEL = 3000, 3000, 75, 2000
_MAX_READ = 24_000  # of Markdown: twice what a message may show
_MAX_CONTEXT = 2800


def plain_text(text: str, limit: int) -> Block:
    """Return words that Slack reads no marks in."""
    return {"type": "plain_text", "text": cut(clean(text), limit) or EMPTY, "emoji": False}


def mrkdwn(text: str) -> Block:
    """Return a text object of finished mrkdwn; `verbatim`: Slack adds no links and no mentions of its own."""
    return {"type": "mrkdwn", "text": text or EMPTY, "verbatim": True}


def section(text: str) -> Block:
    """Return a section of finished mrkdwn, at most 3,000 characters long."""
    return {"type": "section", "text": mrkdwn(text)}


def context(*texts: str) -> Block:
    """Return a row of small print of finished mrkdwn."""
    return {"type": "context", "elements": [mrkdwn(text) for text in texts]}


def header(text: str) -> Block:
    """Return a large line."""
    return {"type": "header", "text": plain_text(text, 150)}


def button(action_id: str, text: str, value: str = "", *, says: str = "", style: str = "", confirm: Block | None = None) -> Block:
    """Return a button; `says` is what a screen reader says, `style` is `primary` or `danger`."""
    made: Block = {"type": "button", "action_id": action_id, "text": plain_text(text, MAX_BUTTON)}
    optional = {"value": cut(value, MAX_ACTION_VALUE), "accessibility_label": says, "style": style, "confirm": confirm}
    return made | {name: given for name, given in optional.items() if given}


def actions(elements: Sequence[Block], block_id: str = "") -> Block:
    """Return a row of buttons."""
    return {"type": "actions", "elements": list(elements)} | ({"block_id": block_id[:MAX_BLOCK_ID]} if block_id else {})


def option(value: str, text: str) -> Block:
    """Return one of several choices."""
    return {"value": value, "text": plain_text(text, MAX_OPTION)}


def text_input(name: str, label: str, text: str = "", *, optional: bool = False, hint: str = "") -> Block:
    """Return a field of several lines; its block and action are both called `name`."""
    element: Block = {"type": "plain_text_input", "action_id": name, "multiline": True, "max_length": MAX_INPUT}
    if text:
        element["initial_value"] = cut(text, MAX_INPUT)
    made: Block = {"type": "input", "block_id": name, "label": plain_text(label, MAX_LABEL), "element": element, "optional": optional}
    return made | ({"hint": plain_text(hint, MAX_LABEL)} if hint else {})


def choice(name: str, label: str, options: Sequence[Block], kind: str = "radio_buttons") -> Block:
    """Return a field with one choice of `options`; its block and action are both called `name`."""
    element = {"type": kind, "action_id": name, "options": list(options)}
    return {"type": "input", "block_id": name, "label": plain_text(label, MAX_LABEL), "element": element}


def body(markdown: str, allowed: Iterable[str], limit: int) -> Sections:
    """Return Markdown as texts for sections, with links only to `allowed`, all together at most `limit` characters long."""
    read = clean(markdown)
    found = sections(markup.parse(read[:_MAX_READ], frozenset(allowed)), limit)
    return found._replace(was_cut=found.was_cut or len(read) > _MAX_READ)


def quotation(text: str, limit: int) -> str:
    """Return what somebody wrote, as a quote, in at most `limit` characters."""
    return replies.quotation(text, limit, fit)


def origin(reply: Reply) -> str:
    """Return who wrote a reply and from what, as finished mrkdwn."""
    return replies.origin(reply, link, _MAX_CONTEXT)
