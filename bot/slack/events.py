"""An event of Slack as a value of the core; pure, and nothing for what is none of the bot's business.

One message comes up to eight times: as `message`, as `app_mention`, and each again when Slack retries. All of them give equal values.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from bot.slack.blocks import KEY_PREFIX
from bot.slack.payload import Payload, is_true, part, parts, timestamp, word
from bot.slack.reading import Read, read
from core.domain import Actor, Address, Deleted, Edited, InboundMessage
from core.presence import Heard
from core.text import FILE, IMAGE, VOICE_CLIP

PLATFORM = "slack"
PRIVATE = "private-"  # begins the thread of a conversation that only one person sees
REPLY_EVENT = "frontdesk_reply"  # of the metadata that carries the key of a delivery, beside the block

Attachment: TypeAlias = Literal["voice", "image", "file"]

_SPOKEN = ("", "file_share", "thread_broadcast")  # the subtypes in which a person says something
_WORDLESS: dict[Attachment, str] = {"voice": VOICE_CLIP, "image": IMAGE, "file": FILE}
_VOICE_CLIPS = ("audio_message", "slack_audio")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is in one installation."""

    bot_user_id: str
    bot_id: str
    app_id: str
    team_id: str  # of the installation; the enterprise's where it is installed for all of one


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message; of a voice clip or an image without any text it says what it is."""

    heard: Heard


@dataclass(frozen=True, slots=True)
class Receipt:
    """Slack shows us a message of our own: the delivery of `key` arrived."""

    channel_id: str
    ts: str
    key: str


Event: TypeAlias = Incoming | Edited | Deleted | Receipt


def translate(body: Payload, bot: Identity) -> Event | None:
    """Return what an envelope of the Events API says, None when it is nothing to the bot. Never raises, whatever comes."""
    event = part(body, "event")
    channel_id = word(event, "channel")
    if not channel_id or word(event, "type") not in ("message", "app_mention"):
        return None
    place = _Place(body, bot, channel_id)
    match word(event, "subtype"):
        case "message_changed":
            return _changed(event, place)
        case "message_deleted":
            return _deleted(word(event, "deleted_ts"), part(event, "previous_message"), place)
        case "bot_message" | "" | "file_share" | "thread_broadcast":
            return _said(event, place)
        case _:
            return None


class _Place:
    """The channel and the installation that an event belongs to."""

    def __init__(self, body: Payload, bot: Identity, channel_id: str) -> None:
        seen_by: Payload = (parts(body, "authorizations") or [{}])[0]
        self.bot = bot
        self.channel_id = channel_id
        # In a channel shared by two companies `team_id` outside is the sender's; whose installation it is stands in here only.
        owner = word(seen_by, "enterprise_id") if is_true(seen_by, "is_enterprise_install") else word(seen_by, "team_id")
        self.workspace_id = owner or bot.team_id
        self.bot_user_ids = frozenset({word(seen_by, "user_id"), bot.bot_user_id} - {""})

    def address(self, message: Payload) -> Address:
        return Address(PLATFORM, self.workspace_id, self.channel_id, word(message, "thread_ts") or word(message, "ts"))

    def read(self, message: Payload) -> Read:
        return read(word(message, "text"), self.bot_user_ids)

    def is_ours(self, message: Payload) -> bool:
        return bool(self.bot.bot_id) and word(message, "bot_id") == self.bot.bot_id


def _said(event: Payload, place: _Place) -> Incoming | Receipt | None:
    if place.is_ours(event):
        key = _key(event)
        return Receipt(place.channel_id, word(event, "ts"), key) if key and word(event, "ts") else None
    actor_id = word(event, "user") or word(event, "bot_id")
    moment = timestamp(word(event, "ts"))
    # An edit comes as `message_changed` too, with what it was before; as a mention it cannot be told from a new message.
    is_edit = word(event, "type") == "app_mention" and bool(part(event, "edited"))
    if moment is None or not actor_id or actor_id in place.bot_user_ids or is_edit or is_true(event, "hidden"):
        return None
    said, attachment = place.read(event), _attachment(event)
    thread_ts = word(event, "thread_ts")
    message = InboundMessage(
        word(event, "ts"),
        place.address(event),
        Actor(actor_id),
        said.text or (_WORDLESS[attachment] if attachment else ""),
        received_at=datetime.fromtimestamp(moment[0], UTC).replace(microsecond=moment[1]),  # equal however often it comes
        order_key=f"{moment[0]:010}.{moment[1]:06}",
    )
    heard = Heard(
        message,
        direct=_is_direct(event, place.channel_id),
        mentioned=said.to_bot,
        in_thread=bool(thread_ts) and thread_ts != word(event, "ts"),
        to_others=said.to_others and not said.to_bot,
        by_bot=_is_by_bot(event),
    )
    return Incoming(heard)


def _changed(event: Payload, place: _Place) -> Edited | Deleted | None:
    message, before = part(event, "message"), part(event, "previous_message")
    if word(message, "subtype") == "tombstone":  # what is left of a deleted message with replies
        return _deleted(word(message, "ts"), before or message, place)
    if word(message, "subtype") not in _SPOKEN or _is_by_bot(message) or timestamp(word(message, "ts")) is None:
        return None
    edited = word(message, "edited", "ts")
    # A preview of a link, or a reply below, changes a message too; only its author's edit has a new `edited` and other words.
    if not edited or edited == word(before, "edited", "ts") or word(message, "text") == word(before, "text"):
        return None
    return Edited(place.address(message), word(message, "ts"), place.read(message).text)


def _deleted(ts: str, before: Payload, place: _Place) -> Deleted | None:
    if timestamp(ts) is None or _is_by_bot(before):
        return None
    thread_ts = word(before, "thread_ts") or ts
    return Deleted(Address(PLATFORM, place.workspace_id, place.channel_id, thread_ts), ts)


def _is_direct(event: Payload, channel_id: str) -> bool:
    """Tell whether only the sender and the bot are there; a mention does not say the kind of its channel, but its id does."""
    return (word(event, "channel_type") or ("im" if channel_id.startswith("D") else "")) == "im"


def _is_by_bot(message: Payload) -> bool:
    return word(message, "subtype") == "bot_message" or any(message.get(name) for name in ("bot_id", "bot_profile", "app_id"))


def _key(event: Payload) -> str:
    """Return the key of the delivery that a message of our own is; who may write it has been checked."""
    keys = [word(block, "block_id").removeprefix(KEY_PREFIX) for block in parts(event, "blocks") if _has_key(block)]
    if word(event, "metadata", "event_type") == REPLY_EVENT:
        keys.append(word(event, "metadata", "event_payload", "key"))
    return next((key for key in keys if key), "")


def _has_key(block: dict[str, Any] | Payload) -> bool:
    return word(block, "block_id").startswith(KEY_PREFIX)


def _attachment(event: Payload) -> Attachment | None:
    files = parts(event, "files")
    if not files:
        return None
    kind = word(files[0], "mimetype").partition("/")[0].lower()
    if word(files[0], "subtype") in _VOICE_CLIPS or kind == "audio":
        return "voice"
    return "image" if kind == "image" else "file"
