"""What an alias names is served within a look, by every process or by none; what serves is never given up for what does not."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import ModelError
from core.registry import Alias, Kind, Step, served_before
from tests.core.serving.versions import Host, Versioned, written


async def serving(model_id: str = "a@1", **more: object) -> Host:
    host = Host(**more)  # type: ignore[arg-type]
    await host.promote(model_id)
    await host.follower.start()
    await host.follower.open()
    return host


async def current(host: Host, alias: Alias = Alias.CHAMPION) -> str:
    move = await host.registry.current(Kind.GENERATOR, alias)
    return move.model_id if move else ""


async def test_a_promotion_is_loaded_probed_and_served_and_told_once() -> None:
    host = await serving()
    move = await host.promote("b@2")
    assert await host.follower.look()
    assert host.champion == "b@2"
    await host.switches[Alias.CHAMPION].settled()
    assert [(one.version, one.opened, one.closed) for one in host.shelf.loaded] == [("a@1", 1, 1), ("b@2", 1, 0)]
    assert host.news == [("Model b@2 serves as champion now (before: a@1; promote by ada; probe 1 of 1).", f"model-move-{move}")]
    assert not await host.follower.look()


@pytest.mark.parametrize("how", ["it fails its probe", "it cannot be opened", "its library raises what nobody foresaw"])
async def test_a_version_that_fails_leaves_the_old_one_serving_in_every_process_and_says_why(how: str) -> None:
    host = await serving()
    match how:
        case "it fails its probe":
            host.refused["b@2"] = "b@2 failed its probe: 0 of 4."
        case "it cannot be opened":
            host.shelf.made["b@2"] = Versioned("b@2", refusal=ModelError("b@2 failed its probe: 0 of 4."))
        case _:
            host.shelf.made["b@2"] = Versioned("b@2", refusal=MemoryError("b@2 failed its probe: 0 of 4."))
    await host.promote("b@2")
    await host.follower.look()
    assert (host.champion, await current(host)) == ("a@1", "a@1")
    assert [one.closed for one in host.shelf.of("b@2")] == [1]
    assert host.shelf.of("a@1")[0].closed == 0
    (news,) = {text for text, _ in host.news}
    assert news.startswith("Model b@2 does not serve as champion: ")
    assert "b@2 failed its probe: 0 of 4." in news
    assert news.endswith("a@1 serves on.")
    last = (await host.registry.history(Kind.GENERATOR, Alias.CHAMPION))[0]
    assert (last.step, last.actor) == (Step.REVERT, "host:host-1")


async def test_of_two_processes_one_that_cannot_serve_brings_both_back() -> None:
    good = await serving()
    bad = Host(good.registry, good.board, "host-2", refused={"b@2": "no memory for b@2."})
    await bad.follower.start()
    await bad.follower.open()
    await good.promote("b@2")
    await good.follower.look()
    assert good.champion == "b@2"
    await bad.follower.look()
    await good.follower.look()
    assert (good.champion, bad.champion, await current(good)) == ("a@1", "a@1", "a@1")


async def test_two_processes_that_each_serve_what_the_other_cannot_come_to_rest() -> None:
    one = await serving()
    one.refused["b@2"] = "no memory."
    other = Host(one.registry, one.board, "host-2")
    other.shelf.made["a@1"] = Versioned("a@1", refusal=ModelError("a@1 is not on this machine."))
    await other.follower.start()
    await other.follower.open()
    await one.promote("b@2")
    for _ in range(4):
        for host in (other, one):
            await host.follower.look()
    assert (one.champion, other.champion, await current(one)) == ("a@1", "b@2", "a@1")
    assert not await one.follower.look()
    (report,) = (report for report in await one.board.reports(60) if report.host_id == "host-2")
    await other.follower._report()
    (report,) = (report for report in await one.board.reports(60) if report.host_id == "host-2")
    assert "not on this machine" in report.seats[0].problem


async def test_of_two_processes_that_fail_the_same_both_are_well_afterwards_and_load_nothing_twice() -> None:
    one = await serving()
    other = Host(one.registry, one.board, "host-2")
    await other.follower.start()
    await other.follower.open()
    for alias in (Alias.CHAMPION, Alias.CHALLENGER):
        for host in (one, other):
            host.refused["b@2"] = "no memory."
        await one.promote("b@2", alias, share=10)
        await asyncio.gather(*(host.follower.look() for host in (one, other)))
        await asyncio.gather(*(host.follower.look() for host in (one, other)))
    for host in (one, other):
        await host.follower._report()
        assert len(host.shelf.of("a@1")) == 1
    assert [seat.problem for report in await one.board.reports(60) for seat in report.seats] == ["", ""]


async def test_what_recovers_by_itself_is_no_problem_any_more() -> None:
    host = Host()
    host.shelf.made["a@1"] = Versioned("a@1", refusal=ModelError("not there yet."))
    await host.promote("a@1")
    await host.follower.start()
    await host.follower.open()
    host.shelf.loaded[0].is_open = True  # a server that has come up
    await host.follower._report()
    (report,) = await host.board.reports(60)
    assert [seat.problem for seat in report.seats] == [""]


async def test_a_challenger_that_fails_leaves_the_one_before_with_its_share() -> None:
    host = await serving()
    await host.promote("b@2", Alias.CHALLENGER, share=20)
    await host.follower.look()
    host.refused["c@3"] = "no."
    await host.promote("c@3", Alias.CHALLENGER, share=50)
    for _ in range(2):
        await host.follower.look()
    assert (host.switches[Alias.CHALLENGER].serves, host.canary.share) == ("b@2", 20)


async def test_what_never_served_is_nothing_to_go_back_to() -> None:
    host = Host(refused={"bad@0": "no."})
    await host.follower.start()
    for model_id in ("bad@0", "a@1"):
        await host.promote(model_id)
        await host.follower.look()
    assert host.champion == "a@1"
    assert served_before(await host.registry.history(Kind.GENERATOR, Alias.CHAMPION)) is None


async def test_a_rollback_goes_back_and_a_failed_one_goes_nowhere() -> None:
    host = await serving()
    await host.promote("b@2")
    await host.follower.look()
    before = served_before(await host.registry.history(Kind.GENERATOR, Alias.CHAMPION))
    assert before == "a@1"
    host.refused["a@1"] = "its files are gone."
    await host.promote("a@1", step=Step.ROLLBACK)
    await host.follower.look()
    assert (host.champion, await current(host)) == ("b@2", "b@2")
    assert served_before(await host.registry.history(Kind.GENERATOR, Alias.CHAMPION)) == "a@1"  # it may be tried again
    host.refused.clear()
    await host.promote("a@1", step=Step.ROLLBACK)
    await host.follower.look()
    assert (host.champion, served_before(await host.registry.history(Kind.GENERATOR, Alias.CHAMPION))) == ("a@1", None)


async def test_bad_input_65_of_two_promotions_at_once_the_later_wins_and_the_earlier_is_closed() -> None:
    host = await serving()
    loading, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Versioned):
        async def open(self) -> None:
            loading.set()
            await go_on.wait()
            await super().open()

    slow = Slow("b@2")
    load = host.shelf.load

    async def loaded(version, *, anew=False):  # type: ignore[no-untyped-def]
        return slow if version.model_id == "b@2" else await load(version)

    host.shelf.load = loaded  # type: ignore[method-assign]
    await host.promote("b@2")
    following = asyncio.create_task(host.follower.look())
    await loading.wait()
    await host.promote("c@3")
    go_on.set()
    await following
    assert (host.champion, slow.closed) == ("c@3", 1)
    assert [text for text, _ in host.news if "b@2" in text] == []


async def test_bad_input_65_a_reload_that_runs_out_of_memory_changes_nothing() -> None:
    host = await serving()
    host.shelf.made["a@1"] = Versioned("a@1", refusal=ModelError("a@1 needs 8 GB, 2 GB are free."))
    await host.promote("a@1", step=Step.RELOAD)
    await host.follower.look()
    assert (await written(host.canary)).model_version == "a@1"
    assert "a@1 needs 8 GB, 2 GB are free." in host.follower.last
    assert len(await host.registry.history(Kind.GENERATOR, Alias.CHAMPION)) == 2  # nothing to give back: the alias never moved
    host.shelf.made.clear()
    await host.promote("a@1", step=Step.RELOAD)
    await host.follower.look()
    await host.switches[Alias.CHAMPION].settled()
    assert [one.closed for one in host.shelf.of("a@1")] == [1, 1, 0]


async def test_a_share_is_followed_without_loading_anything_again() -> None:
    host = await serving()
    for share in (0, 10, 50):
        await host.promote("b@2", Alias.CHALLENGER, share=share)
        await host.follower.look()
        assert host.canary.share == share
    assert len(host.shelf.of("b@2")) == 1
    assert [text.split("serves as ")[1].split(" now")[0] for text, _ in host.news] == [
        "challenger, silently beside",
        "challenger for 10 % of conversations",
        "challenger for 50 % of conversations",
    ]


async def test_a_challenger_that_fails_is_taken_out_and_the_champion_is_untouched() -> None:
    host = await serving()
    host.refused["b@2"] = "it repeats itself."
    await host.promote("b@2", Alias.CHALLENGER, share=50)
    await host.follower.look()
    assert (await current(host, Alias.CHALLENGER), host.switches[Alias.CHALLENGER].serves, host.canary.share) == ("", "", 0)
    assert len(host.shelf.of("a@1")) == 1


async def test_what_cannot_be_opened_at_the_start_is_reported_and_given_back_to_nobody() -> None:
    host = Host()
    host.shelf.made["a@1"] = Versioned("a@1", refusal=ModelError("a@1 is damaged."))
    await host.promote("a@1")
    await host.follower.start()
    await host.follower.open()
    (report,) = await host.board.reports(60)
    assert [(seat.ready, seat.problem) for seat in report.seats] == [(False, "a@1 is damaged.")]
    assert await current(host) == "a@1"


async def test_a_process_says_what_it_serves_and_takes_it_back_when_it_ends() -> None:
    host = Host()
    await host.promote("a@1")
    await host.follower.start()
    task = asyncio.create_task(host.follower.run())
    while not (reports := await host.board.reports(60)):  # noqa: ASYNC110  # the board rings no bell
        await asyncio.sleep(0)
    seat = reports[0].seats[0]
    assert (seat.alias, seat.model_id, seat.ready, seat.load) == (Alias.CHAMPION, "a@1", True, (1, 2, 30.0))
    task.cancel()
    await asyncio.wait([task])
    assert await host.board.reports(60) == ()
