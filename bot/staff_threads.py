"""What staff write in the thread of a hand-off: it goes to the customer, unless it is meant for colleagues."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.dispatch import APOLOGY, NotAcceptedError
from core.handoff import Handoff, Helper, word_key
from core.presence import Heard
from core.staff.actions import Act
from core.staff.handoff import HandoffDesk
from core.text import FILE, IMAGE, VOICE_CLIP

INSIDE = "//"  # begins what stays among staff
NOT_STAFF = "What was just written here was not sent: only staff who are named in the settings write to customers."
UNREADABLE = "What was just written here cannot be read, so it was not sent. Mention me in it, reply to me, or press Reply."
NO_FILES = "A file was not sent: only text goes to the customer."


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a message; asked of their platform only where it matters."""

    is_staff: Callable[[], Awaitable[bool]]
    name: Callable[[], Awaitable[str]]


class StaffThreads:
    """Passes on what staff write; any process may, each message goes out once."""

    def __init__(self, desk: HandoffDesk, channel_id: str) -> None:
        """`channel_id` is the channel of staff on this platform, empty where there is none."""
        self._desk = desk
        self._channel_id = channel_id

    async def hear(self, heard: Heard, author: Author) -> bool:
        """Take a message if it stands in the thread of a hand-off. Raises `NotAcceptedError`: then the platform must send it again."""
        at = heard.message.address
        if not (self._channel_id and heard.in_thread and at.channel_id == self._channel_id) or heard.by_bot:
            return False
        handoff = await self._desk.book.at(at.platform, f"{at.channel_id}/{at.thread_id}")
        if handoff is None and await self._desk.book.is_settling(at.platform):
            raise NotAcceptedError(APOLOGY)  # the thread is perhaps one of these, and will be known in a moment
        if handoff is not None and not _stays_inside(heard):
            await self._pass_on(heard, handoff, author)
        return handoff is not None

    async def _pass_on(self, heard: Heard, handoff: Handoff, author: Author) -> None:
        message = heard.message
        key = word_key(message.address.platform, message.address.channel_id, message.message_id)
        actor = f"{message.address.platform}:{message.address.workspace_id}:{message.actor.actor_id}"
        if not await author.is_staff():
            await self._desk.refuse(actor, Act.ANSWER, handoff)
            problem = NOT_STAFF
        elif not message.text:
            problem = UNREADABLE
        elif message.text in (VOICE_CLIP, IMAGE, FILE):
            problem = NO_FILES
        else:
            problem = await self._desk.write(handoff, Helper(actor, await author.name()), message.text, key, echo=False)
        if problem:
            await self._desk.tell_thread(handoff, problem, f"unsent-{key}")


def _stays_inside(heard: Heard) -> bool:
    """Tell whether it is for colleagues: marked so, or addressed to one of them. What cannot be read is not known to be."""
    return heard.message.text.startswith(INSIDE) or (heard.to_others and not heard.mentioned and bool(heard.message.text))
