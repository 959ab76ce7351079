"""A message of Discord as a value of the core; pure, and nothing for what is none of the bot's business."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bot.discord.reading import Read, read
from core.domain import Actor, Address, Deleted, Edited, InboundMessage
from core.presence import Heard
from core.text import FILE, IMAGE, VOICE_CLIP

if TYPE_CHECKING:
    import discord

PLATFORM = "discord"
PRIVATE = "dm"  # the workspace of direct messages
_EPOCH = datetime(2015, 1, 1, tzinfo=UTC)  # of Discord's ids
_SPOKEN = (0, 19)  # the types of messages in which a person says something: a message, a reply


@dataclass(frozen=True, slots=True)
class Me:
    """Who the bot is in a guild."""

    user_id: int
    role_ids: frozenset[int] = frozenset()  # its own role: mentioning that means the bot


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is said: `thread_id` in a thread or a post of a forum, no guild in a direct message."""

    guild_id: int | None
    channel_id: int  # of a thread, the channel or forum that it belongs to
    thread_id: int | None = None
    is_forum: bool = False

    @property
    def is_direct(self) -> bool:
        """Whether only one person and the bot are there."""
        return self.guild_id is None

    def address(self, message_id: int) -> Address:
        """Return the conversation that a message belongs to; one in a channel begins its own, and its thread will have its id."""
        if self.is_direct:
            return Address(PLATFORM, PRIVATE, str(self.channel_id), str(self.channel_id))
        return Address(PLATFORM, str(self.guild_id), str(self.channel_id), str(self.thread_id or message_id))


def time_of(snowflake: int) -> datetime:
    """Return when an id was made."""
    return _EPOCH + timedelta(milliseconds=snowflake >> 22)


def snowflake_at(moment: datetime) -> int:
    """Return the lowest id that could have been made at `moment`."""
    return max(int((moment - _EPOCH) / timedelta(milliseconds=1)), 0) << 22


def order_key(snowflake: int) -> str:
    """Return an id so that it sorts as text: 20 digits."""
    return f"{snowflake:020}"


def heard(message: discord.Message, place: Place, me: Me) -> Heard | None:
    """Return what a message says and how it came; None for the bot's own, for bots, webhooks and what the system says."""
    if not is_said(message, me):
        return None
    said, wordless = _read(message, me), _wordless(message)
    to_bot = said.to_bot or _names_bot(message, me)
    inbound = InboundMessage(
        str(message.id),
        place.address(message.id),
        Actor(str(message.author.id)),
        said.text or wordless,
        received_at=time_of(message.id),
        order_key=order_key(message.id),
    )
    opens = place.is_forum and message.id == place.thread_id
    # What Discord does not show to a bot without the right to contents cannot be answered, only who wrote it is known.
    is_withheld = not (message.content or wordless or place.is_direct or to_bot)
    return Heard(
        inbound,
        direct=place.is_direct,
        mentioned=to_bot,
        in_thread=place.thread_id is not None and not opens,
        to_others=not to_bot and (said.to_others or _speaks_to_others(message, me) or is_withheld),
        opens=opens,
    )


def edited(message: discord.Message, place: Place, me: Me) -> Edited | None:
    """Return what a message says now; None when nobody changed it, or its words are not shown."""
    if not is_said(message, me) or message.edited_at is None or not message.content:
        return None
    return Edited(place.address(message.id), str(message.id), _read(message, me).text or _wordless(message))


def deleted(message_id: int, place: Place) -> Deleted:
    """Return that a message was taken back."""
    return Deleted(place.address(message_id), str(message_id))


def is_said(message: discord.Message, me: Me) -> bool:
    """Tell whether a person says something: not the bot, another bot, a webhook or Discord itself."""
    author = message.author
    return not (author.id == me.user_id or author.bot or message.webhook_id) and message.type.value in _SPOKEN


def _read(message: discord.Message, me: Me) -> Read:
    names = {one.id: one.display_name for one in message.mentions} | {one.id: one.name for one in message.role_mentions}
    return read(message.content, me.role_ids | {me.user_id}, names)


def _answered(message: discord.Message) -> int | None:
    """Whose message this one answers, None when it answers none or that is gone."""
    reference = message.reference
    answered = reference.resolved if reference is not None else None
    author = getattr(answered, "author", None)
    return author.id if author is not None else None


def _names_bot(message: discord.Message, me: Me) -> bool:
    named = any(one.id == me.user_id for one in message.mentions) or any(one.id in me.role_ids for one in message.role_mentions)
    return named or _answered(message) == me.user_id


def _speaks_to_others(message: discord.Message, me: Me) -> bool:
    answered = _answered(message)
    return bool(message.mentions) or message.mention_everyone or (answered is not None and answered not in (message.author.id, me.user_id))


def _wordless(message: discord.Message) -> str:
    """What stands for a message without words."""
    if message.flags.voice:
        return VOICE_CLIP
    if not message.attachments:
        return IMAGE if message.stickers else ""
    kind = (message.attachments[0].content_type or "").partition("/")[0].lower()
    return {"audio": VOICE_CLIP, "image": IMAGE}.get(kind, FILE)
