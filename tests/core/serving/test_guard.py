"""A challenger that is worse is taken out by whichever process sees it first, once, with the reason for all to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from core.domain import utc_now
from core.registry import Alias, Kind, ModelVersion, Step, VersionRecord
from core.serving.guard import Guard
from core.storage.memory_models import MemoryModelRegistry


@dataclass
class Log:
    """`VersionLog` of what is put in, each with its time."""

    kept: list[tuple[str, datetime, VersionRecord]] = field(default_factory=list)

    async def add(self, model_id: str, record: VersionRecord) -> None:
        now = utc_now()
        self.kept.append((model_id, now, record._replace(at=now)))

    async def records(self, model_id: str, since: datetime, limit: int) -> tuple[VersionRecord, ...]:
        return tuple(record for model, at, record in self.kept if model == model_id and at > since)[:limit]


async def trial() -> tuple[Guard, Log]:
    registry, log = MemoryModelRegistry(), Log()
    for model_id, alias in (("a@1", Alias.CHAMPION), ("b@2", Alias.CHALLENGER)):
        await registry.register(ModelVersion(model_id, Kind.GENERATOR, model_id))
        await registry.assign(Kind.GENERATOR, alias, model_id, Step.PROMOTE, "ada", share=20)
    return Guard(registry, log), log


async def answers(log: Log, model_id: str, *, quoted: bool) -> None:
    for _ in range(64):
        await log.add(model_id, VersionRecord(1.0, abstained=False, quoted=quoted, helpful=None))


async def test_a_worse_challenger_is_stopped_once_whoever_looks() -> None:
    guard, log = await trial()
    other = Guard(guard.registry, log)
    await answers(log, "a@1", quoted=False)
    await answers(log, "b@2", quoted=True)
    found = [await guard.look(), await other.look()]
    assert "no passage backs" in found[0]
    assert found[1] == ""
    stopped, tried = await guard.registry.history(Kind.GENERATOR, Alias.CHALLENGER)
    assert (stopped.model_id, stopped.step, stopped.actor) == ("", Step.CLEAR, "guard")
    assert stopped.reason == f"Challenger b@2 was stopped: {found[0]}."
    assert tried.model_id == "b@2"


async def test_a_good_challenger_goes_on_and_what_was_before_its_trial_does_not_count() -> None:
    guard, log = await trial()
    await answers(log, "a@1", quoted=False)
    await answers(log, "b@2", quoted=False)
    assert await guard.look() == ""
    guard, log = await trial()
    await answers(log, "a@1", quoted=False)
    await answers(log, "b@2", quoted=True)
    await guard.registry.assign(Kind.GENERATOR, Alias.CHALLENGER, "", Step.CLEAR, "ada")
    await guard.registry.assign(Kind.GENERATOR, Alias.CHALLENGER, "b@2", Step.PROMOTE, "ada", share=20)
    assert await guard.look() == ""


async def test_another_share_goes_on_with_the_same_trial() -> None:
    guard, log = await trial()
    await answers(log, "a@1", quoted=False)
    await answers(log, "b@2", quoted=True)
    await guard.registry.assign(Kind.GENERATOR, Alias.CHALLENGER, "b@2", Step.PROMOTE, "ada", share=50)
    assert "no passage backs" in await guard.look()
