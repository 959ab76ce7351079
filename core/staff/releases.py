"""Publishing knowledge while the process goes on serving, and going back to an older version."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from core.audit import STARTED, AuditLog
from core.errors import FrontdeskError, NotAllowedError, StorageError
from core.knowledge import KnowledgeStore
from core.members import Member

logger = logging.getLogger(__name__)

ELSEWHERE = "This process has no embedder, so it cannot publish. Run: frontdesk knowledge publish"
BUSY = "A version is being published already."
_FAILED = "Publishing failed. The log of the server says why; what was served before is still served."

Progress = Callable[[str, int, int], None]  # step, done since the last call, total
Publish = Callable[[str, str, Progress], Awaitable[str]]  # knowledge, actor, progress -> version


class Stage(NamedTuple):
    """How far publishing is; when it is over, its `version` or `problem`."""

    is_running: bool = False
    step: str = ""
    done: int = 0
    total: int = 0
    version: str = ""
    problem: str = ""


class Releases:
    """Publishes one version at a time, in the task that `run` is."""

    def __init__(self, knowledge: KnowledgeStore, audit: AuditLog, publish: Publish | None) -> None:
        """`publish` is None in a process without an embedder."""
        self._knowledge = knowledge
        self._audit = audit
        self._publish = publish
        self._orders: asyncio.Queue[tuple[Publish, str, str]] = asyncio.Queue()
        self.stage = Stage()

    @property
    def can_publish(self) -> bool:
        """Whether this process can."""
        return self._publish is not None

    async def publish(self, member: Member, knowledge: str) -> None:
        """Begin to publish what is kept now. Raises `NotAllowedError` where it is not possible, or under way."""
        if self._publish is None:
            raise NotAllowedError(ELSEWHERE)
        if self.stage.is_running:
            raise NotAllowedError(BUSY)
        before, self.stage = self.stage, Stage(is_running=True)
        try:
            await self._audit.record(member.actor, "knowledge.publish", knowledge, STARTED)
        except BaseException:  # nothing began, so another try must be possible
            self.stage = before
            raise
        self._orders.put_nowait((self._publish, knowledge, member.actor))

    async def roll_back(self, member: Member, knowledge: str, version: str) -> None:
        """Serve a published version again. Raises `NotAllowedError` when there is none of this name."""
        if version not in [release.version for release in await self._knowledge.releases(knowledge)]:
            raise NotAllowedError("This version was never published.")
        await self._knowledge.activate(knowledge, version, member.actor)
        await self._audit.record(member.actor, "knowledge.rollback", knowledge, "done", version=version)

    async def run(self) -> None:
        """Publish what is ordered, until cancelled."""
        while True:
            self.stage = await self._published(*await self._orders.get())

    async def _published(self, publish: Publish, knowledge: str, actor: str) -> Stage:
        result, version = "failed", ""
        try:
            version = await publish(knowledge, actor, self._told)
            result = "done"
            return Stage(version=version)
        except FrontdeskError as error:
            logger.error("knowledge %r was not published: %s", knowledge, error)
            return Stage(problem=str(error))
        except Exception:  # whoever waits on the page must be told, and the next publish must be possible
            logger.exception("knowledge %r was not published", knowledge)
            return Stage(problem=_FAILED)
        finally:
            await self._note_end(actor, knowledge, result, version)

    async def _note_end(self, actor: str, knowledge: str, result: str, version: str) -> None:
        try:
            await self._audit.record(actor, "knowledge.publish", knowledge, result, version=version)
        except StorageError as error:  # a database that is away for a moment must not end the process
            logger.error("the audit log lacks that publishing %r ended (%s): %s", knowledge, result, error)

    def _told(self, step: str, done: int, total: int) -> None:
        """Keep how far it is; called in another thread, where replacing one value is safe."""
        before = self.stage.done if self.stage.step == step else 0
        self.stage = Stage(is_running=True, step=step, done=before + done, total=total)
