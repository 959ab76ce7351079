"""Where the bot speaks: what each mode of a channel makes of a message, the same on every platform; pure but for its port."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from core.domain import Address, InboundMessage

EVERYWHERE = "*"  # stands for every platform, workspace and channel


class Mode(StrEnum):
    """How much the bot takes part in a channel."""

    OFF = "off"  # never
    MENTION = "mention"  # when it is mentioned
    THREAD = "thread"  # also to those who go on in a thread in which they asked it
    CONFIDENT = "confident"  # also to whoever did not ask it, when it is sure
    DRAFT = "draft"  # as `confident`, but staff see every reply first


@dataclass(frozen=True, slots=True)
class Heard:
    """A message as a platform brought it, and how it came."""

    message: InboundMessage
    direct: bool = False  # a private conversation with the bot
    mentioned: bool = False
    in_thread: bool = False  # under an earlier message
    to_others: bool = False  # it mentions somebody, and not the bot
    by_bot: bool = False
    opens: bool = False  # the first post of a thread in a forum: asked of whoever helps there, so of the bot too


class Channel(NamedTuple):
    """What admins have set for a channel; `mode` is None where nobody did."""

    mode: Mode | None = None
    muted: bool = False
    everywhere: bool = False  # it is silent in all channels, and in private too


class Channels(Protocol):
    """What admins have set, by channel."""

    async def channel(self, platform: str, workspace_id: str, channel_id: str) -> Channel:
        """Return the setting of a channel."""
        ...

    async def set_mode(self, platform: str, workspace_id: str, channel_id: str, mode: Mode) -> None:
        """Set where the bot speaks."""
        ...

    async def set_muted(self, platform: str, workspace_id: str, channel_id: str, muted: bool) -> None:
        """Silence the bot, or let it speak again in the mode that was set before."""
        ...

    async def has_asked(self, address: Address, actor_id: str) -> bool:
        """Tell whether this person has asked the bot something in this conversation."""
        ...


def needs_past(heard: Heard, channel: Channel) -> bool:
    """Tell whether `listen` depends on who has asked in this conversation before."""
    return heard.in_thread and not (heard.direct or heard.mentioned or heard.to_others) and channel.mode not in (Mode.OFF, Mode.MENTION)


def listen(heard: Heard, channel: Channel, default: Mode, *, has_asked: bool) -> InboundMessage | None:
    """Return the message to accept, marked with what the bot may do with it; None when it is none of its business.

    What is returned None is not stored either. A direct message is always for the bot; another bot never is, or two could talk forever.
    """
    mode = channel.mode or default
    if heard.by_bot or channel.everywhere:
        return None
    if heard.direct:
        return heard.message
    if channel.muted or mode is Mode.OFF:
        return None
    message = replace(heard.message, draft=mode is Mode.DRAFT)
    if heard.mentioned:
        return message
    if heard.to_others or mode is Mode.MENTION:
        return None
    if heard.opens:
        return message
    if heard.in_thread:
        return message if has_asked else None
    return None if mode is Mode.THREAD else replace(message, for_bot=False, overheard=True)
