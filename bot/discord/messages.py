"""A reply as messages of Discord: for the customer, and for staff. Pure: texts only, what can be pressed is in `buttons`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from bot import replies
from bot.discord.markdown import MARKDOWN, begin, escape, is_live, link
from bot.handoff_card import Ink, card
from bot.layout import Line, Run, line_text
from bot.parting import cut, fitted, parted, size
from core import markup
from core.domain import Passage
from core.handoff import Handoff, Packet
from core.ports import Delivery
from core.text import clean

MAX_PART = 1900  # Discord takes 2,000
MAX_PARTS = 4
CUT = f"*{replies.CUT}*"

_MAX_READ = 2 * MAX_PART * MAX_PARTS
_MAX_ORIGIN = 500  # leaves 1,200 for the text beside it, the longest link that a part must hold
_MAX_QUESTION = 500
_MAX_TITLE = 100
_LEAST = 2  # paragraphs of a packet: who waits and why, and their question


def render(delivery: Delivery, texts: Collection[str] = ()) -> tuple[str, ...]:
    """Return a reply as the customer sees it: 1 to 4 contents of at most 2,000 characters; `texts` are those of its sources."""
    return _parts(delivery, texts)


def draft(delivery: Delivery, question: str, permalink: str = "", texts: Collection[str] = ()) -> tuple[str, ...]:
    """Return a reply for staff to check before the customer gets it."""
    return _parts(delivery, texts, f"{headed(replies.A_DRAFT, permalink)}\n{quotation(question)}")


def shared(delivery: Delivery, question: str, texts: Collection[str] = ()) -> tuple[str, ...]:
    """Return a private answer for everybody in the channel, under its question."""
    return _parts(delivery, texts, quotation(question))


def alert(handoff: Handoff, packet: Packet, permalink: str = "", asker: str = "") -> str:
    """Return what staff must know of a customer who waits for a person; `asker` is their id where they asked in private."""
    named = f"<@{asker}>" if asker.isascii() and asker.isdecimal() else ""  # shown as a name; it pings nobody, as no message of ours may
    ink = Ink(bold=lambda text: f"**{text}**", fit=lambda text, limit: _fit_line(clean(text), limit), quote=_quoted)
    return _fitting(card(handoff, packet, ink, _to_message(permalink), named).paragraphs)


def in_thread(delivery: Delivery, opening: str = "") -> tuple[str, ...]:
    """Return what is told in the thread of a hand-off; `opening` is finished Markdown."""
    return _parts(delivery, (), opening)


def taken_over(by: str, permalink: str, question: str) -> str:
    """Return the news for staff that one of them, with the id `by`, answers a customer."""
    return f"{headed(replies.TAKEN_OVER, permalink)}\n<@{by}> answers.\n{quotation(question)}"


def quotation(text: str) -> str:
    """Return what somebody wrote, as a quote."""
    return _quoted(text, _MAX_QUESTION)


def _quoted(text: str, limit: int) -> str:
    return replies.quotation(text, limit, _fit_line)


def _fitting(paragraphs: Sequence[str]) -> str:
    """Return paragraphs as one message: what is least important stands in the middle, and goes where there is no room for all."""
    kept = list(paragraphs)
    while size("\n".join(kept)) > MAX_PART and len(kept) > _LEAST:
        kept.pop(-2)
    return "\n".join(kept)


def sources(passages: Sequence[Passage]) -> tuple[str, ...]:
    """Return passages to read, each with links only to the addresses written in it, as messages."""
    texts = [text for passage in passages for text in _read_aloud(passage)]
    return _joined(texts)[:MAX_PARTS] or (replies.NO_SOURCES,)


def _fit_line(text: str, limit: int) -> str:
    return fitted(text, limit, lambda line: begin(escape(line)))


def _read_aloud(passage: Passage) -> Iterator[str]:
    title = Run(cut(" ".join(clean(passage.title).split()), _MAX_TITLE) or passage.passage_id, bold=True)
    linked = title._replace(url=passage.url) if passage.url and is_live(passage.url) else title
    yield line_text(Line("", (linked,)), MARKDOWN)
    allowed = markup.urls(f"{passage.text} {passage.url or ''}")
    yield from parted(markup.parse(clean(passage.text)[:_MAX_READ], allowed), MARKDOWN, MAX_PART)


def _parts(delivery: Delivery, texts: Collection[str], opening: str = "") -> tuple[str, ...]:
    reply, read = delivery.reply, clean(delivery.reply.text)
    written = replies.origin(reply, link, _MAX_ORIGIN)
    origin = f"-# {written}" if written else ""
    blocks = markup.parse(read[:_MAX_READ], replies.allowed_links(reply, texts))
    whole = _joined([opening, *parted(blocks, MARKDOWN, MAX_PART), origin])
    if len(whole) <= MAX_PARTS and len(read) <= _MAX_READ:
        return whole or (replies.EMPTY,)
    end = f"{CUT}\n{origin}".rstrip()
    most = MAX_PART - size(end) - 1
    *first, last = _joined([opening, *parted(blocks, MARKDOWN, most)], most)[:MAX_PARTS] or (replies.EMPTY,)
    return (*first, f"{last}\n{end}")


def _joined(texts: Sequence[str], limit: int = MAX_PART) -> tuple[str, ...]:
    """Return texts with neighbours in one message where both fit; a message that shows nothing is none."""
    joined: list[str] = []
    for text in (text for text in texts if text.strip()):
        if joined and size(f"{joined[-1]}\n{text}") <= limit:
            joined[-1] += f"\n{text}"
        else:
            joined.append(text)
    return tuple(joined)


def _to_message(permalink: str) -> str:
    return link(permalink, replies.SEE_MESSAGE) if is_live(permalink) else ""


def headed(headline: str, permalink: str = "") -> str:
    """Return a headline with the way to the message it is about."""
    return " · ".join(filter(None, (f"**{headline}**", _to_message(permalink))))
