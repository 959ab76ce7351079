"""One version is published at a time, in the background, and what comes of it is told and audited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.errors import KnowledgeError, NotAllowedError, StorageError
from core.members import EVERYWHERE, Member, Role
from core.staff.releases import BUSY, ELSEWHERE, Progress, Releases, Stage
from core.storage.memory import MemoryKnowledgeStore
from core.storage.memory_records import MemoryAuditLog

BOB = Member("bob", "Bob", Role.EDITOR, EVERYWHERE)


@dataclass
class Press:
    """Publishes when it is let go on, or fails."""

    problem: Exception | None = None
    began: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    store: MemoryKnowledgeStore = field(default_factory=MemoryKnowledgeStore)
    audit: MemoryAuditLog = field(default_factory=MemoryAuditLog)

    async def publish(self, knowledge: str, actor: str, progress: Progress) -> str:
        progress("embed", 2, 5)
        progress("embed", 1, 5)
        self.began.set()
        await self.go_on.wait()
        if self.problem:
            raise self.problem
        return "v1"

    def results(self) -> list[tuple[str, str]]:
        return [(entry.action, entry.result) for entry, _ in self.audit.rows]


@pytest.fixture
async def press() -> Press:
    return Press()


@pytest.fixture
async def releases(press: Press) -> AsyncIterator[Releases]:
    releases = Releases(press.store, press.audit, press.publish)
    task = asyncio.create_task(releases.run())
    yield releases
    task.cancel()
    await asyncio.wait([task])


async def ended(releases: Releases) -> Stage:
    async with asyncio.timeout(30):
        while releases.stage.is_running:  # noqa: ASYNC110  # pages look again and again too
            await asyncio.sleep(0.01)
    return releases.stage


async def test_how_far_it_is_can_be_seen_and_nobody_begins_another(releases: Releases, press: Press) -> None:
    await releases.publish(BOB, "kb")
    with pytest.raises(NotAllowedError, match=BUSY):
        await releases.publish(BOB, "kb")
    await press.began.wait()
    assert releases.stage == Stage(is_running=True, step="embed", done=3, total=5)
    press.go_on.set()
    assert await ended(releases) == Stage(version="v1")
    assert press.results() == [("knowledge.publish", "started"), ("knowledge.publish", "done")]


@pytest.mark.parametrize(
    ("problem", "said"), [(KnowledgeError("It is empty."), "It is empty."), (RuntimeError("secret"), "The log of the server")]
)
async def test_a_failure_is_told_without_secrets_and_the_next_one_is_possible(
    releases: Releases, press: Press, problem: Exception, said: str
) -> None:
    press.problem = problem
    press.go_on.set()
    await releases.publish(BOB, "kb")
    stage = await ended(releases)
    assert said in stage.problem and "secret" not in stage.problem
    press.problem = None
    await releases.publish(BOB, "kb")
    assert (await ended(releases)).version == "v1"
    assert [result for _, result in press.results()] == ["started", "failed", "started", "done"]


class AwayAuditLog(MemoryAuditLog):
    """Cannot be written while the database is away."""

    is_away = False

    async def record(self, actor: str, action: str, target: str, result: str, **detail: Any) -> int:
        """See `AuditLog.record`."""
        if self.is_away:
            raise StorageError("The database does not answer.")
        return await super().record(actor, action, target, result, **detail)


async def test_a_database_that_is_away_at_the_beginning_keeps_nobody_from_the_next_try(press: Press, releases: Releases) -> None:
    press.audit = releases._audit = AwayAuditLog()
    press.audit.is_away = True
    with pytest.raises(StorageError):
        await releases.publish(BOB, "kb")
    press.audit.is_away = False
    press.go_on.set()
    await releases.publish(BOB, "kb")
    assert (await ended(releases)).version == "v1"


async def test_a_database_that_is_away_at_the_end_ends_no_process(press: Press, releases: Releases) -> None:
    press.audit = releases._audit = AwayAuditLog()
    for is_away in (True, False):
        await releases.publish(BOB, "kb")
        await press.began.wait()
        press.audit.is_away = is_away
        press.go_on.set()
        assert (await ended(releases)).version == "v1"
        press.audit.is_away = False


async def test_a_process_that_ends_leaves_what_was_served(press: Press) -> None:
    releases = Releases(press.store, press.audit, press.publish)
    task = asyncio.create_task(releases.run())
    await releases.publish(BOB, "kb")
    await press.began.wait()
    task.cancel()
    await asyncio.wait([task])
    assert press.results()[-1] == ("knowledge.publish", "failed")


async def test_a_process_without_an_embedder_says_where_to_publish(press: Press) -> None:
    releases = Releases(press.store, press.audit, None)
    assert not releases.can_publish
    with pytest.raises(NotAllowedError, match=ELSEWHERE[:30]):
        await releases.publish(BOB, "kb")
