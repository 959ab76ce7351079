"""The way in for messages of every chat platform: who speaks to whom decides whether the bot takes them."""

from __future__ import annotations

from dataclasses import replace

from bot.dispatch import Dispatch
from bot.staff_threads import Author, StaffThreads
from core.domain import Owner
from core.ports import ConversationLog
from core.presence import Channels, Heard, Mode, listen, needs_past

SETTLE_SECONDS = 0.5  # in a conversation that goes on, what follows this quickly belongs to the same question


class Door:
    """Stores what is for the bot, and gives conversations to staff who speak up in them."""

    def __init__(self, dispatch: Dispatch, channels: Channels, log: ConversationLog, default: Mode, threads: StaffThreads) -> None:
        """`default` is the mode of channels that nobody has set."""
        self._dispatch = dispatch
        self._channels = channels
        self._log = log
        self._default = default
        self._threads = threads

    async def hear(self, heard: Heard, author: Author) -> bool:
        """Store a message if it is for the bot; True when staff took the conversation over with it.

        What staff write in the thread of a hand-off goes to its customer. Raises `NotAcceptedError` and `StorageError`: then the
        platform must send it again.
        """
        if await self._threads.hear(heard, author):
            return False
        heard = await self._to_person(heard)
        message, at = heard.message, heard.message.address
        channel = await self._channels.channel(at.platform, at.workspace_id, at.channel_id)
        has_asked = needs_past(heard, channel) and await self._channels.has_asked(at, message.actor.actor_id)
        if heard.in_thread and not has_asked and await self._is_word_of_staff(heard, author):
            was_theirs = await self._log.owner(at) is Owner.STAFF
            is_new = await self._dispatch.accept(replace(message, for_bot=False, by_staff=True))
            return is_new and not was_theirs
        accepted = listen(heard, channel, self._default, has_asked=has_asked)
        if accepted is None and await self._is_for_person(heard):
            accepted = message
        if accepted is not None:
            accepted = replace(accepted, joins=heard.direct and not heard.in_thread)  # people send "hi" and then what they want
            await self._dispatch.accept(accepted, SETTLE_SECONDS if heard.direct or heard.in_thread else 0.0)
        return False

    async def _to_person(self, heard: Heard) -> Heard:
        """Take what names somebody in a conversation with a person for a part of it: it may well be that person's name."""
        if heard.to_others and heard.in_thread and heard.message.text and await self._log.owner(heard.message.address) is Owner.STAFF:
            return replace(heard, to_others=False)
        return heard

    async def _is_for_person(self, heard: Heard) -> bool:
        """Tell whether a customer writes to the person who has them: they were told that this goes there, wherever the bot may speak."""
        at = heard.message.address
        if heard.by_bot or heard.to_others or not (heard.in_thread or heard.direct) or await self._log.owner(at) is not Owner.STAFF:
            return False
        return await self._channels.has_asked(at, heard.message.actor.actor_id)

    async def _is_word_of_staff(self, heard: Heard, author: Author) -> bool:
        """Tell whether this is said by staff in a conversation of the bot, and not to the bot."""
        if heard.direct or heard.mentioned or heard.by_bot or not await self._log.is_known(heard.message.address):
            return False
        return await author.is_staff()
