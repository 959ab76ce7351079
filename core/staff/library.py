"""What staff do with single passages of the knowledge: look, write, take out; seen by customers from the next publish on."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace

from core.audit import AuditLog
from core.domain import Hit, Passage
from core.errors import NotAllowedError, SnapshotError
from core.knowledge import Entry, KnowledgeStore
from core.members import Member
from core.staff.releases import Releases
from core.staff.unanswered import Unanswered
from core.text import clean, says_something

SOURCE = "console"  # the source of what is written here: importing a file leaves it alone
CHANGED = "Somebody changed this passage meanwhile. Here is how it reads now; please look again."
MAX_TITLE_CHARS, MAX_TEXT_CHARS, MAX_ALTERNATIVES = 1000, 20_000, 50


class Library:
    """The knowledge base that is served, as staff work on it."""

    def __init__(
        self,
        knowledge: KnowledgeStore,
        served: Callable[[], Awaitable[str]],
        releases: Releases,
        unanswered: Unanswered,
        shown: Callable[[], Awaitable[tuple[Passage, ...]]],
        find: Callable[[str], Awaitable[tuple[Hit, ...]]] | None,
        audit: AuditLog,
    ) -> None:
        """`served` names the knowledge base, `shown` gives the passages of its served version, in the order in which they are kept.

        `find` is retrieval on it, None where this process has none.
        """
        self.store = knowledge
        self.served = served
        self.releases = releases
        self.unanswered = unanswered
        self._shown = shown
        self._find = find
        self._compared: tuple[object, ...] = ()
        self._is_changed = False
        self._audit = audit

    @property
    def can_find(self) -> bool:
        """Whether this process can look for passages as it does for customers."""
        return self._find is not None

    async def found(self, question: str) -> tuple[Hit, ...]:
        """Return what a customer's question finds now, best first; nothing where nothing is published."""
        if self._find is None or not says_something(question):
            return ()
        try:
            return await self._find(question)
        except SnapshotError:
            return ()

    async def is_changed(self) -> bool:
        """Tell whether customers are answered from other passages than those that are kept; compared anew once one of both is another."""
        knowledge = await self.served()
        now = (knowledge, await self.store.active(knowledge), await self.store.changed_at(knowledge), await self.store.count(knowledge))
        if now != self._compared:
            self._is_changed = await self._differs(knowledge)
            self._compared = now
        return self._is_changed

    async def _differs(self, knowledge: str) -> bool:
        try:
            return await self.store.passages(knowledge) != await self._shown()
        except SnapshotError:  # gone or damaged: publishing is what helps
            return True

    async def write(self, member: Member, passage: Passage, seen: Entry | None) -> str:
        """Keep a passage, a new one where `seen` is None, and return its id. Raises `NotAllowedError`."""
        passage = _cleaned(passage)
        if not (says_something(passage.title) and says_something(passage.text)):
            raise NotAllowedError("Please write both a question and an answer.")
        if passage.url and not passage.url.startswith(("https://", "http://")):
            raise NotAllowedError("The link must begin with https:// or http://.")
        if seen is None:
            row_id = f"console-{uuid.uuid4().hex[:12]}"
            passage = replace(passage, passage_id=row_id, document_id=row_id)
        done = await self.store.put(await self.served(), SOURCE, passage, seen.version if seen else None)
        await self._note(member, "knowledge.edit" if seen else "knowledge.add", passage.passage_id, done)
        if not done:
            raise NotAllowedError(CHANGED)
        return passage.passage_id

    async def remove(self, member: Member, seen: Entry) -> None:
        """Take a passage out. Raises `NotAllowedError` when somebody changed it meanwhile."""
        done = await self.store.remove(await self.served(), seen.passage.passage_id, seen.version)
        await self._note(member, "knowledge.delete", seen.passage.passage_id, done)
        if not done:
            raise NotAllowedError(CHANGED)

    async def _note(self, member: Member, action: str, passage_id: str, done: bool) -> None:
        await self._audit.record(member.actor, action, passage_id, "done" if done else "too_late", knowledge=await self.served())


def _cleaned(passage: Passage) -> Passage:
    wordings = (clean(wording)[:MAX_TITLE_CHARS] for wording in passage.alternatives)
    different = tuple(dict.fromkeys(wording for wording in wordings if says_something(wording)))[:MAX_ALTERNATIVES]
    title, text = clean(passage.title)[:MAX_TITLE_CHARS], clean(passage.text)[:MAX_TEXT_CHARS]
    url = clean(passage.url or "")[:MAX_TITLE_CHARS] or None
    return replace(passage, title=title, text=text, url=url, alternatives=tuple(one for one in different if one != title))
