"""What staff use, in dictionaries: channels, turns (put in with `MemoryTurnBook.add`), feedback, drafts, previews."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from core.domain import Action, Address, Decision
from core.drafts import STAFF, words_of
from core.feedback import Feedback
from core.positions import Position
from core.presence import EVERYWHERE, Channel, Mode
from core.previews import Preview
from core.review import TurnRecord


class MemoryTurnBook:
    """`TurnBook` in a dictionary; the other stores of this module look into it."""

    def __init__(self) -> None:
        self.records: dict[str, TurnRecord] = {}
        self.drafts: set[str] = set()
        self.asked: set[tuple[Address, str]] = set()
        self._references: dict[tuple[str, str], str] = {}

    def add(self, record: TurnRecord, *, for_bot: bool = True, draft: bool = False) -> None:
        """Keep a turn; `for_bot`: its author asked the bot; `draft`: staff saw its reply first."""
        self.records[record.turn_id] = record
        if for_bot:
            self.asked.add((record.address, record.actor_id))
        if draft:
            self.drafts.add(record.turn_id)

    def refer(self, turn_id: str, reference: str) -> None:
        """Keep which message of the platform brought a turn."""
        self._references[self.records[turn_id].address.platform, reference] = turn_id

    async def turn(self, turn_id: str) -> TurnRecord | None:
        """See `TurnBook.turn`."""
        return self.records.get(turn_id)

    async def recent(self, platform: str, workspace_id: str, actor_id: str, limit: int) -> tuple[TurnRecord, ...]:
        """See `TurnBook.recent`."""
        theirs = (platform, workspace_id, actor_id)
        return self._told(lambda one: (one.address.platform, one.address.workspace_id, one.actor_id) == theirs, limit)

    async def conversation_at(self, address: Address, limit: int = 20) -> tuple[TurnRecord, ...]:
        """See `TurnBook.conversation_at`."""
        return self._told(lambda one: one.address == address, limit)

    async def turn_by_reference(self, platform: str, reference: str) -> TurnRecord | None:
        """See `TurnBook.turn_by_reference`."""
        return self.records.get(self._references.get((platform, reference), ""))

    def _told(self, wanted: Callable[[TurnRecord], bool], limit: int) -> tuple[TurnRecord, ...]:
        newest_first = reversed(self.records.values())
        return tuple(one for one in newest_first if wanted(one) and one.reply.decision is not Decision.SILENT)[:limit]


class MemoryChannels:
    """`Channels` in a dictionary."""

    def __init__(self, book: MemoryTurnBook) -> None:
        self._book = book
        self._channels: dict[tuple[str, str, str], Channel] = {}

    async def channel(self, platform: str, workspace_id: str, channel_id: str) -> Channel:
        """See `Channels.channel`."""
        mine = self._channels.get((platform, workspace_id, channel_id), Channel())
        return mine._replace(everywhere=self._channels.get((EVERYWHERE,) * 3, Channel()).muted)

    async def set_mode(self, platform: str, workspace_id: str, channel_id: str, mode: Mode) -> None:
        """See `Channels.set_mode`."""
        before = self._channels.get((platform, workspace_id, channel_id), Channel())
        self._channels[platform, workspace_id, channel_id] = before._replace(mode=mode)

    async def set_muted(self, platform: str, workspace_id: str, channel_id: str, muted: bool) -> None:
        """See `Channels.set_muted`."""
        before = self._channels.get((platform, workspace_id, channel_id), Channel())
        self._channels[platform, workspace_id, channel_id] = before._replace(muted=muted)

    async def has_asked(self, address: Address, actor_id: str) -> bool:
        """See `Channels.has_asked`."""
        told = (one for one in self._book.records.values() if one.reply.decision is not Decision.SILENT)
        return (address, actor_id) in self._book.asked or any((one.address, one.actor_id) == (address, actor_id) for one in told)


class MemoryFeedbackLog:
    """`FeedbackLog` in a dictionary."""

    def __init__(self, book: MemoryTurnBook) -> None:
        self._book = book
        self.given: dict[tuple[str, str], Feedback] = {}

    async def give(self, feedback: Feedback) -> bool:
        """See `FeedbackLog.give`."""
        if feedback.turn_id not in self._book.records:
            return False
        self.given[feedback.turn_id, feedback.actor_id] = feedback.cleaned()
        return True

    async def of(self, turn_id: str) -> tuple[Feedback, ...]:
        """See `FeedbackLog.of`."""
        mine = (feedback for feedback in self.given.values() if feedback.turn_id == turn_id)
        return tuple(sorted(mine, key=lambda feedback: (feedback.given_at, feedback.actor_id)))


class Queued(NamedTuple):
    """What a `MemoryDrafts` would have delivered."""

    address: Address
    action: Action
    text: str


class MemoryDrafts:
    """`Drafts` in a list, `queued`."""

    def __init__(self, book: MemoryTurnBook) -> None:
        self._book = book
        self._decided: set[str] = set()
        self._said: set[str] = set()
        self.queued: list[Queued] = []

    async def send(self, turn_id: str, text: str | None) -> bool:
        """See `Drafts.send`."""
        words = words_of(text) if text is not None else None
        if words == "" or not await self.discard(turn_id):
            return False
        record = self._book.records[turn_id]
        self.queued.append(Queued(record.address, Action.REPLY, words or record.reply.text))
        return True

    async def discard(self, turn_id: str) -> bool:
        """See `Drafts.discard`."""
        if turn_id not in self._book.drafts or turn_id in self._decided or not self._book.records[turn_id].reply.text:
            return False
        self._decided.add(turn_id)
        return True

    async def notify(self, address: Address, text: str, key: str) -> bool:
        """See `Drafts.notify`."""
        words = words_of(text)
        if not words or key in self._said:
            return False
        self._said.add(key)
        self.queued.append(Queued(address, Action.NOTICE, words))
        return True

    async def announce(self, platform: str, text: str, key: str, run_id: str = "") -> bool:
        """See `Drafts.announce`."""
        words, said = words_of(text), f"{platform} {key}"
        if not words or said in self._said:
            return False
        self._said.add(said)
        self.queued.append(Queued(Address(platform, "", STAFF, run_id or STAFF), Action.NEWS, words))
        return True


class MemoryPositions:
    """`Positions` in a dictionary."""

    def __init__(self) -> None:
        self._positions: dict[tuple[str, str], Position] = {}

    async def all(self, platform: str, limit: int) -> Mapping[str, Position]:
        """See `Positions.all`."""
        mine = {channel_id: position for (of, channel_id), position in self._positions.items() if of == platform}
        newest_first = sorted(mine.items(), key=lambda one: one[1].message_id, reverse=True)
        return dict(newest_first[:limit])

    async def advance(self, platform: str, by_channel: Mapping[str, Position]) -> None:
        """See `Positions.advance`."""
        for channel_id, position in by_channel.items():
            before = self._positions.get((platform, channel_id))
            if before is None or before.message_id < position.message_id:
                self._positions[platform, channel_id] = position


class MemoryPreviews:
    """`Previews` in a dictionary."""

    def __init__(self) -> None:
        self._previews: dict[Address, Preview] = {}
        self._held: dict[Address, str] = {}

    def hold(self, address: Address, attempt: str) -> None:
        """Let an attempt begin, as the inbox does."""
        self._held[address] = attempt

    async def begin(self, address: Address, attempt: str) -> bool:
        """See `Previews.begin`."""
        if self._held.get(address) != attempt or address in self._previews:
            return False
        self._previews[address] = Preview(attempt, None)
        return True

    async def shown(self, address: Address, reference: str) -> bool:
        """See `Previews.shown`."""
        preview = self._previews.get(address)
        if preview is None or preview.leaving:
            return False
        self._previews[address] = preview._replace(reference=reference)
        return True

    async def of(self, address: Address) -> Preview | None:
        """See `Previews.of`."""
        return self._previews.get(address)

    async def leave(self, address: Address) -> bool:
        """See `Previews.leave`; no reply is on its way here."""
        preview = self._previews.get(address)
        if preview is None:
            return False
        self._previews[address] = preview._replace(leaving=True)
        return True

    async def missing(self, address: Address) -> str | None:
        """See `Previews.missing`."""
        preview = self._previews.get(address)
        if preview is None or preview.reference:
            return preview and preview.reference
        del self._previews[address]
        return None

    async def end(self, address: Address) -> None:
        """See `Previews.end`."""
        self._previews.pop(address, None)
