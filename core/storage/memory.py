"""The stores in dictionaries: for tests and for a bot that keeps nothing."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime

from core.domain import Address, Exchange, InboundMessage, Owner, Passage, Reply, utc_now
from core.errors import KnowledgeError
from core.knowledge import Entry, Release, SourceImport
from core.ports import Turn
from core.text import MAX_QUESTION_CHARS, clean


class MemoryConversationLog:
    """`ConversationLog` in a dictionary."""

    def __init__(self) -> None:
        self._turns: defaultdict[Address, list[Turn]] = defaultdict(list)
        self._owners: dict[Address, Owner] = {}

    async def append(self, message: InboundMessage, reply: Reply) -> str:
        """See `ConversationLog.append`."""
        turn = Turn(uuid.uuid4().hex, clean(message.text)[:MAX_QUESTION_CHARS], message.received_at, reply)
        self._turns[message.address].append(turn)
        return turn.turn_id

    async def history(self, address: Address, limit: int = 4) -> tuple[Exchange, ...]:
        """See `ConversationLog.history`."""
        return tuple(Exchange(turn.question, turn.reply.text) for turn in self._turns[address][-limit:])

    async def turns(self, address: Address) -> tuple[Turn, ...]:
        """See `ConversationLog.turns`."""
        return tuple(self._turns[address])

    async def is_known(self, address: Address) -> bool:
        """See `ConversationLog.is_known`."""
        return address in self._turns

    async def owner(self, address: Address) -> Owner:
        """See `ConversationLog.owner`."""
        return self._owners.get(address, Owner.BOT)

    async def set_owner(self, address: Address, owner: Owner) -> None:
        """See `ConversationLog.set_owner`."""
        self._owners[address] = owner


class MemoryKnowledgeStore:
    """`KnowledgeStore` in dictionaries."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], tuple[str, datetime]] = {}
        self._passages: defaultdict[str, dict[str, tuple[str, Passage]]] = defaultdict(dict)
        self._releases: defaultdict[str, dict[str, Release]] = defaultdict(dict)
        self._activations: defaultdict[str, list[str]] = defaultdict(list)

    async def replace_source(
        self, knowledge: str, source: str, passages: Iterable[Passage], *, keep_missing: Callable[[], bool]
    ) -> SourceImport:
        """See `KnowledgeStore.replace_source`."""
        rows = self._passages[knowledge]
        existing = {key: passage for key, (owner, passage) in rows.items() if owner == source}
        mine: dict[str, Passage] = {}
        conflicts: list[str] = []
        for passage in passages:
            owner = rows[passage.passage_id][0] if passage.passage_id in rows else source
            if owner == source:
                mine[passage.passage_id] = passage
            else:
                conflicts.append(passage.passage_id)
        missing = set() if keep_missing() else existing.keys() - mine.keys()
        for key in missing:
            del rows[key]
        rows.update({key: (source, passage) for key, passage in mine.items()})
        for key in mine:
            self._versions[knowledge, key] = (uuid.uuid4().hex, utc_now())
        added = len(mine.keys() - existing.keys())
        unchanged = sum(existing.get(key) == passage for key, passage in mine.items())
        return SourceImport(added, len(mine) - added - unchanged, unchanged, len(missing), tuple(conflicts))

    async def sources(self, knowledge: str) -> tuple[str, ...]:
        """See `KnowledgeStore.sources`."""
        return tuple(sorted({source for source, _ in self._passages[knowledge].values()}))

    async def passages(self, knowledge: str) -> tuple[Passage, ...]:
        """See `KnowledgeStore.passages`."""
        return tuple(passage for _, (_, passage) in sorted(self._passages[knowledge].items()))

    async def add_release(self, knowledge: str, version: str, passages: int, embedder: str, actor: str) -> None:
        """See `KnowledgeStore.add_release`."""
        self._releases[knowledge].setdefault(version, Release(version, passages, embedder, utc_now(), active=False))
        self._activations[knowledge].append(version)

    async def activate(self, knowledge: str, version: str, actor: str) -> None:
        """See `KnowledgeStore.activate`."""
        if version not in self._releases[knowledge]:
            raise KnowledgeError(f"{version!r} is no published version of {knowledge!r}. See: frontdesk knowledge list")
        self._activations[knowledge].append(version)

    async def active(self, knowledge: str) -> str | None:
        """See `KnowledgeStore.active`."""
        return self._activations[knowledge][-1] if self._activations[knowledge] else None

    async def releases(self, knowledge: str) -> tuple[Release, ...]:
        """See `KnowledgeStore.releases`."""
        active = await self.active(knowledge)
        newest_first = reversed(self._releases[knowledge].values())
        return tuple(release._replace(active=release.version == active) for release in newest_first)

    async def names(self) -> tuple[str, ...]:
        """See `KnowledgeStore.names`."""
        return tuple(sorted({name for kept in (self._passages, self._releases) for name, rows in kept.items() if rows}))

    async def entry(self, knowledge: str, passage_id: str) -> Entry | None:
        """See `KnowledgeStore.entry`."""
        found = self._passages[knowledge].get(clean(passage_id))
        return self._entry(knowledge, *found) if found else None

    async def find(self, knowledge: str, text: str, limit: int, offset: int = 0) -> tuple[Entry, ...]:
        """See `KnowledgeStore.find`."""
        return tuple(self._entry(knowledge, *one) for one in self._matching(knowledge, text)[offset : offset + limit])

    async def count(self, knowledge: str, text: str = "") -> int:
        """See `KnowledgeStore.count`."""
        return len(self._matching(knowledge, text))

    async def put(self, knowledge: str, source: str, passage: Passage, version: str | None) -> bool:
        """See `KnowledgeStore.put`."""
        if self._version(knowledge, passage.passage_id) != version:
            return False
        self.write(knowledge, source, passage)
        return True

    async def remove(self, knowledge: str, passage_id: str, version: str) -> bool:
        """See `KnowledgeStore.remove`."""
        if self._version(knowledge, passage_id) != version:
            return False
        del self._passages[knowledge][passage_id]
        return True

    async def changed_at(self, knowledge: str) -> datetime | None:
        """See `KnowledgeStore.changed_at`."""
        return max((self._versions[knowledge, key][1] for key in self._passages[knowledge]), default=None)

    def write(self, knowledge: str, source: str, passage: Passage) -> None:
        """Put a passage in, whatever was there."""
        self._passages[knowledge][passage.passage_id] = (source, passage)
        self._versions[knowledge, passage.passage_id] = (uuid.uuid4().hex, utc_now())

    def _version(self, knowledge: str, passage_id: str) -> str | None:
        return self._versions[knowledge, passage_id][0] if passage_id in self._passages[knowledge] else None

    def _matching(self, knowledge: str, text: str) -> list[tuple[str, Passage]]:
        wanted = clean(text).lower()
        rows = (row for _, row in sorted(self._passages[knowledge].items()))
        return [(source, one) for source, one in rows if any(wanted in said.lower() for said in (one.passage_id, one.title, one.text))]

    def _entry(self, knowledge: str, source: str, passage: Passage) -> Entry:
        return Entry(passage, source, *self._versions[knowledge, passage.passage_id])
