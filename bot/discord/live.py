"""What a conversation on Discord shows while an answer is written: that the bot types, and a message that grows.

At most one message of it stays: the intent is recorded before anything is posted, and the reply takes the message's place.
Everything here is best effort, runs beside the answer, and is the first thing to go under rate limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import NamedTuple

from bot.discord.events import snowflake_at
from bot.discord.rest import UNKNOWN_MESSAGE, DiscordRefusedError, Json, Rest, nonce_of
from bot.discord.rooms import Room, Rooms
from bot.discord.unfinished import MARK, unfinished
from core.domain import Address, InboundMessage, utc_now
from core.errors import DeliveryError, FrontdeskError, UncertainError
from core.previews import Preview, Previews

logger = logging.getLogger(__name__)

FIRST_SECONDS = 0.8  # an answer that is quicker shows no preview
EDIT_SECONDS = 1.5  # Discord takes five edits in five seconds
EDIT_CHARACTERS = 80
MAX_EDITS = 12
TYPING_SECONDS = 8.0  # Discord shows it for ten
TYPING_REFRESHES = 7  # a minute in all
CALLS_A_SECOND = 20  # of the 50 that Discord takes of one bot; the others are for replies
_MAX_KEPT = 1000  # answers at a time; turns that end in silence never come back for theirs
_PATIENCE_SECONDS = 3.0  # for a call that is under way when the reply is ready
_LOOK_BACK = timedelta(minutes=15)
_PART = "preview"


class Standing(NamedTuple):
    """The message that a reply should replace: where it is, or the nonce to post under if nobody knows whether it is there."""

    reference: str
    nonce: str


@dataclass
class _Shown:
    """The preview of one attempt to answer."""

    message: InboundMessage
    attempt: str
    began_at: float
    text: str = ""
    sent: int = 0  # characters of `text` that are shown
    edits: int = 0
    touched_at: float = 0.0
    room: Room | None = None
    message_id: str = ""
    over: bool = False  # nothing more is shown
    showing: asyncio.Task[None] | None = None
    typing: asyncio.Task[None] | None = None


class LivePreviews:
    """Shows answers while they are written."""

    def __init__(self, rest: Rest, rooms: Rooms, previews: Previews, clock: Callable[[], float] = monotonic) -> None:
        self._rest = rest
        self._rooms = rooms
        self._previews = previews
        self._clock = clock
        self._shown: OrderedDict[Address, _Shown] = OrderedDict()
        self._calls: deque[float] = deque()  # of the last second
        self._tasks: set[asyncio.Task[None]] = set()

    def show(self, message: InboundMessage, attempt: str, text: str) -> None:
        """Append `text`; empty: the work begins. Returns at once, what it costs is paid beside the answer."""
        shown = self._shown.get(message.address)
        if shown is None or shown.attempt != attempt:
            shown = self._begin_anew(message, attempt)
        shown.text += f"{text} " if text else ""
        if shown.text and (shown.showing is None or shown.showing.done()):  # else the one under way, or the next piece, brings it along
            shown.showing = self._beside(self._bring_up_to_date(shown))

    async def settle(self, message: InboundMessage, attempt: str) -> None:
        """Show nothing more, and return when nothing is under way: a late edit would write over the reply."""
        shown = self._shown.get(message.address)
        if shown is not None and shown.attempt == attempt:
            await _quiet(shown, for_reply=True)

    def withdraw(self, address: Address, attempt: str) -> None:
        """Take away what an attempt showed to which no reply comes. Returns at once."""
        self._beside(self._withdraw(address, attempt))

    async def finish(self, address: Address, asked_at: datetime) -> Standing | None:
        """Stop showing; return the message that the reply should replace, None when there is none. Raises a `DeliveryError`."""
        await self._stop(address, for_reply=True)
        kept = await self._previews.of(address)
        if kept is None or kept.leaving:
            await self.drop(address, asked_at)  # who began to take it away may have died over it
            return None
        return Standing(kept.reference or await self._look(address, kept, asked_at), nonce_of(kept.attempt, _PART))

    async def take_away(self, address: Address) -> None:
        """Delete a preview unless a reply is on its way that will replace it; best effort."""
        await self._stop(address)
        if await self._previews.leave(address):
            await self.drop(address, utc_now() - _LOOK_BACK)

    async def drop(self, address: Address, asked_at: datetime) -> None:
        """Delete a preview that cannot become the reply; best effort."""
        kept = await self._previews.of(address)
        if kept is not None:
            await self._delete(kept.reference or await self._look(address, kept, asked_at))
            await self._previews.end(address)

    async def aclose(self) -> None:
        """Stop whatever is being shown."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def idle(self) -> None:
        """Return when nothing is under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin_anew(self, message: InboundMessage, attempt: str) -> _Shown:
        before = self._shown.pop(message.address, None)
        if before is not None:
            _end(before)
        shown = self._shown[message.address] = _Shown(message, attempt, self._clock())
        shown.typing = self._beside(self._type(shown))
        while len(self._shown) > _MAX_KEPT:
            _end(self._shown.popitem(last=False)[1])
        return shown

    def _beside(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _stop(self, address: Address, *, for_reply: bool = False) -> None:
        shown = self._shown.pop(address, None)
        if shown is not None:
            await _quiet(shown, for_reply=for_reply)

    async def _withdraw(self, address: Address, attempt: str) -> None:
        """Take away what an attempt showed, unless another attempt has begun there."""
        try:
            shown = self._shown.get(address)
            if shown is not None and shown.attempt == attempt:
                await self._stop(address)
            kept = await self._previews.of(address)
            if kept is not None and kept.attempt == attempt:
                await self.take_away(address)
        except FrontdeskError as error:
            logger.warning("what was shown of an answer that never came may stay: %s", error)

    async def _type(self, shown: _Shown) -> None:
        """Say that the bot types until there is something to read, for a minute at most."""
        try:
            room = await self._rooms.find(shown.message.address)
            for _ in range(TYPING_REFRESHES):
                if shown.over or not self._within():
                    return
                await self._rest.type(room.channel_id)
                await asyncio.sleep(TYPING_SECONDS)
        except DeliveryError as error:
            logger.info("nobody sees that an answer is being written: %s", error)

    async def _bring_up_to_date(self, shown: _Shown) -> None:
        try:
            if not shown.over and self._is_due(shown):
                await (self._go_on(shown) if shown.message_id else self._begin(shown))
        except FrontdeskError as error:
            shown.over = True
            logger.info("the preview of an answer ends: %s", error)

    def _is_due(self, shown: _Shown) -> bool:
        now = self._clock()
        if not shown.message_id:
            return now - shown.began_at >= FIRST_SECONDS
        is_worth_it = len(shown.text) - shown.sent >= EDIT_CHARACTERS and shown.edits < MAX_EDITS
        return is_worth_it and now - shown.touched_at >= EDIT_SECONDS

    async def _begin(self, shown: _Shown) -> None:
        address = shown.message.address
        if not self._within() or not await self._previews.begin(address, shown.attempt):
            shown.over = True
            return
        length = len(shown.text)
        try:
            room = shown.room = await self._rooms.open(address, shown.message.text)
            posted = await self._rest.post(room.channel_id, unfinished(shown.text), nonce_of(shown.attempt, _PART), reply_to=room.reply_to)
        except UncertainError:
            raise
        except DeliveryError:  # nothing was posted, so the reply need not look for it
            await self._previews.end(address)
            raise
        shown.message_id, shown.sent, shown.touched_at = posted["id"], length, self._clock()
        reference = f"{room.channel_id}/{posted['id']}"
        if not await self._previews.shown(address, reference):
            _end(shown)
            if not await self._is_reply(room.channel_id, posted["id"]):  # one that was quicker may have taken its place
                await self._delete(reference)
        _stop_typing(shown)

    async def _is_reply(self, channel_id: str, message_id: str) -> bool:
        """Whether a message has become a reply; if Discord does not say: better a half answer that stays than none."""
        try:
            mine = await self._rest.mine_after(channel_id, int(message_id) - 1, most=1)
        except DeliveryError as error:
            logger.warning("an unfinished answer may stay: %s", error)
            return True
        return any(one["id"] == message_id and not _is_unfinished(one) for one in mine)

    async def _go_on(self, shown: _Shown) -> None:
        if shown.room is None or not self._within():
            return
        kept = await self._previews.of(shown.message.address)
        shown.over = kept is None or kept.leaving or kept.attempt != shown.attempt  # this process was slow, another has replied
        if shown.over:
            return
        shown.edits, shown.sent = shown.edits + 1, len(shown.text)
        await self._rest.edit(shown.room.channel_id, shown.message_id, unfinished(shown.text))
        shown.touched_at = self._clock()

    async def _look(self, address: Address, kept: Preview, since: datetime) -> str:
        """Return where a preview is that may have been posted while nobody could write down where; empty when it is not there."""
        room, nonce = await self._rooms.find(address), nonce_of(kept.attempt, _PART)
        try:
            mine = await self._rest.mine_after(room.channel_id, snowflake_at(since), room.reply_to)
        except DiscordRefusedError as error:  # better a half answer that stays than none
            logger.warning("a preview cannot be looked for: %s", error)
            return ""
        # Discord shows a nonce only for a while; what a preview ends with it shows for ever.
        found = [one for one in mine if one.get("nonce") == nonce or _is_unfinished(one)]
        return f"{room.channel_id}/{found[-1]['id']}" if found else ""

    async def _delete(self, reference: str) -> None:
        channel_id, _, message_id = reference.partition("/")
        try:
            if reference:
                await self._rest.delete(channel_id, message_id)
        except DeliveryError as error:
            if not (isinstance(error, DiscordRefusedError) and error.code == UNKNOWN_MESSAGE):
                logger.warning("an unfinished answer stays: %s", error)

    def _within(self) -> bool:
        """Count one more call unless the last second holds too many."""
        now = self._clock()
        while self._calls and self._calls[0] <= now - 1:
            self._calls.popleft()
        if len(self._calls) >= CALLS_A_SECOND:
            return False
        self._calls.append(now)
        return True


def _stop_typing(shown: _Shown) -> None:
    if shown.typing is not None:
        shown.typing.cancel()


def _end(shown: _Shown) -> None:
    shown.over = True
    _stop_typing(shown)


def _is_unfinished(message: Json) -> bool:
    return bool(message["content"].endswith(MARK) and not message["components"])


async def _quiet(shown: _Shown, *, for_reply: bool) -> None:
    """Show nothing more, and wait for a call that is under way, but not for long.

    Then it is broken off: discord.py would repeat an edit after a rate limit, over the reply. A reply finds what was posted all the
    same, by its nonce; where none comes, what is posted late must live to take itself away.
    """
    _end(shown)
    if shown.showing is not None and not shown.showing.done():
        await asyncio.wait([shown.showing], timeout=_PATIENCE_SECONDS)
        if for_reply or shown.message_id:
            shown.showing.cancel()
