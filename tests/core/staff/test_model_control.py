"""One command changes the model of every process, waits until each has followed, and says what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.errors import ModelError
from core.registry import Alias, Kind, ModelVersion, VersionRecord
from core.staff.model_control import RegistryModelControl
from tests.core.serving.test_guard import Log
from tests.core.serving.versions import Host


@asynccontextmanager
async def running(*hosts: Host) -> AsyncIterator[None]:
    """Processes that follow, looking all the time."""

    async def follow(host: Host) -> None:
        while True:
            await host.follower.look()
            await host.follower._report()
            await asyncio.sleep(0.01)

    for host in hosts:
        await host.follower.start()
        await host.follower.open()
    tasks = [asyncio.create_task(follow(host)) for host in hosts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.fixture
async def host() -> Host:
    host = Host()
    for model_id in ("b@2", "c@3"):
        await host.registry.register(ModelVersion(model_id, Kind.GENERATOR, model_id))
    await host.registry.register(ModelVersion("e@1", Kind.EMBEDDER, "e"))
    await host.promote("a@1")
    return host


def control(host: Host, log: Log | None = None, patience: float = 60.0) -> RegistryModelControl:
    return RegistryModelControl(host.registry, host.board, log or Log(), no_embedder, patience)


async def no_embedder(actor: str, after: int | None) -> str:
    return f"{actor} takes the embedder back, after {after}"


async def test_a_promotion_returns_when_every_process_serves_it(host: Host) -> None:
    other = Host(host.registry, host.board, "host-2")
    async with running(host, other):
        said = await control(host).promote("b@2", "ada")
        assert (host.champion, other.champion) == ("b@2", "b@2")
    assert said.startswith("Done in 2 of 2 processes. host-1: champion: a@1 -> b@2 in ")
    assert "probe 1 of 1" in said


async def test_a_promotion_that_fails_in_one_process_says_why_and_serves_nowhere(host: Host) -> None:
    other = Host(host.registry, host.board, "host-2", refused={"b@2": "b@2 needs 8 GB."})
    async with running(host, other):
        with pytest.raises(ModelError, match=r"b@2 does not serve as champion: .*b@2 needs 8 GB\."):
            await control(host).promote("b@2", "ada")
        async with asyncio.timeout(30):
            while (host.champion, other.champion) != ("a@1", "a@1"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_two_rollbacks_go_back_two_versions_and_a_third_says_that_there_is_none(host: Host) -> None:
    steps = control(host)
    async with running(host):
        await steps.promote("b@2", "ada")
        await steps.promote("c@3", "ada")
        await steps.rollback("generator", "ada")
        assert host.champion == "b@2"
        await steps.rollback("generator", "ada")
        assert host.champion == "a@1"
        with pytest.raises(ModelError, match="Nothing served before a@1"):
            await steps.rollback("generator", "ada")


async def test_a_reload_opens_the_same_version_anew(host: Host) -> None:
    async with running(host):
        said = await control(host).reload("ada")
    assert "a@1 -> a@1" in said
    assert [one.opened for one in host.shelf.of("a@1")] == [1, 1]


async def test_a_reload_that_fails_says_why(host: Host) -> None:
    async with running(host):
        host.refused["a@1"] = "it repeats itself."
        with pytest.raises(ModelError, match=r"a@1 could not be opened anew.*it repeats itself"):
            await control(host).reload("ada")
        assert host.champion == "a@1"


async def test_bad_input_65_of_two_orders_at_once_one_is_told_that_the_other_won(host: Host) -> None:
    async with running(host):
        told = await asyncio.gather(*(control(host).promote(one, "ada") for one in ("b@2", "c@3")), return_exceptions=True)
        (lost,) = (str(one) for one in told if isinstance(one, ModelError))
        assert "Somebody else has just changed the models" in lost or "ada moved on" in lost
        assert host.champion == (await host.registry.current(Kind.GENERATOR, Alias.CHAMPION)).model_id  # type: ignore[union-attr]


async def test_what_cannot_be_meant_is_refused_in_words(host: Host) -> None:
    steps = control(host)
    async with running(host):
        for order, said in (
            (steps.promote("a@1", "ada"), "a@1 serves already"),
            (steps.promote("a@", "ada"), "a@1"),
            (steps.promote("e@1", "ada"), "kind embedder"),
            (steps.canary(10, "", "ada"), "Name the version to try"),
            (steps.canary(10, "a@1", "ada"), "is the champion"),
            (steps.canary(101, "b@2", "ada"), "not 101%"),
            (steps.canary(10, "e@1", "ada"), "no generator"),
            (steps.rollback("cats", "ada"), "Kinds: generator, embedder"),
            (steps.end_canary("ada"), "no challenger"),
        ):
            with pytest.raises(ModelError, match=said):
                await order
    assert len(await host.registry.history(Kind.GENERATOR, Alias.CHAMPION)) == 1


async def test_a_canary_is_tried_moved_promoted_and_then_gone(host: Host) -> None:
    steps = control(host)
    async with running(host):
        await steps.canary(10, "b@2", "ada")
        await steps.canary(50, "", "ada")
        assert host.canary.share == 50
        await steps.promote("b@2", "ada")
        async with asyncio.timeout(30):
            while host.switches[Alias.CHALLENGER].serves:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert (host.champion, host.canary.share) == ("b@2", 0)


async def test_a_process_that_does_not_follow_is_named(host: Host) -> None:
    await host.follower.start()
    await host.follower.open()
    with pytest.raises(ModelError, match="After 0 s host-1 had not followed yet"):
        await control(host, patience=0.3).promote("b@2", "ada")


async def test_without_any_process_the_next_one_serves_it(host: Host) -> None:
    assert "no process runs models at the moment" in await control(host).promote("b@2", "ada")
    async with running(host):
        assert host.champion == "b@2"


async def test_the_status_tells_who_serves_what_how_well_and_what_was_changed(host: Host) -> None:
    log = Log()
    for number in range(40):
        await log.add("a@1", VersionRecord(1.0 + number / 10, number % 10 == 0, quoted=number % 4 == 0, helpful=number % 2 == 0 or None))
    async with running(host):
        await control(host).canary(10, "b@2", "ada")
        said = (await control(host, log).status()).split("\n")
    assert said[0].startswith("Champion: a@1, since ")
    assert (
        said[1]
        == "  40 answers; helpful 100% (84% to 100%), abstained 10% (4% to 23%), backed by passages 78% (62% to 88%); p50 3.0 s, p95 4.8 s"
    )
    assert said[2].startswith("Challenger: b@2 for 10 % of conversations, since ")
    assert said[3] == "  no answers yet"
    assert said[4].startswith("Process host-1: champion a@1: 2 running, 1 waiting, 30 tokens/s, challenger b@2")
    assert said[-1].endswith("promote a@1 by ada")


async def test_an_embedder_is_rolled_back_by_what_can_index(host: Host) -> None:
    assert await control(host).rollback("embedder", "ada", after=3) == "ada takes the embedder back, after 3"
