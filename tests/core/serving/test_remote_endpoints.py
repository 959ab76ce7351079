"""Of several servers the one with the fewest requests is asked; one that fails is passed over until it is well again."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from core.domain import Limits
from core.serving.breaker import FAILURES, OPEN_SECONDS
from core.serving.endpoints import HEALTH_SECONDS
from core.serving.remote import RemoteGenerator, Timing
from core.serving.resilient import ResilientGenerator
from tests.core.serving.remote_kit import PROMPT, VERSION, Clock, answer, failure, remote
from tests.servers.openai import ANSWER, Fault, ModelServer, refusal


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def ask_and_hold(generator: RemoteGenerator, stack: AsyncExitStack) -> None:
    """Begin an answer and leave it open."""
    pieces = await stack.enter_async_context(aclosing(generator.stream(PROMPT, Limits())))
    await anext(pieces)


async def looked(generator: RemoteGenerator) -> None:
    """Wait until nobody is being asked for its health."""
    async with asyncio.timeout(30):
        await asyncio.gather(*generator._pool._looks)


def asked(*servers: ModelServer) -> list[int]:
    return [len(server.asked) for server in servers]


async def test_requests_go_where_the_fewest_are_open_and_ties_in_order() -> None:
    servers = [ModelServer(always=Fault("hang", pieces=1)) for _ in range(3)]
    async with servers[0], servers[1], servers[2], remote(*servers) as generator, AsyncExitStack() as stack:
        seen = []
        for _ in range(5):
            await ask_and_hold(generator, stack)
            seen.append(asked(*servers))
    assert seen == [[1, 0, 0], [1, 1, 0], [1, 1, 1], [2, 1, 1], [2, 2, 1]]


@pytest.mark.parametrize(
    "fault",
    [refusal(500), refusal(503), refusal(429, "5"), refusal(404), refusal(401), Fault("break"), Fault("vanish"), Fault("hang"),
     Fault("garbage"), Fault("html"), Fault("error")],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)  # fmt: skip
async def test_an_endpoint_that_fails_before_the_first_piece_is_followed_by_the_next(fault: Fault) -> None:
    failing, whole = ModelServer(always=fault), ModelServer()
    timing = Timing(first_piece=1.0) if fault.kind == "hang" else Timing()
    async with failing, whole, remote(failing, whole, timing=timing) as generator:
        await generator.open()  # the library is imported before a second counts
        assert (await answer(generator)).text == ANSWER
    assert asked(failing, whole) == [1, 1]


async def test_an_endpoint_that_is_not_there_is_followed_by_the_next() -> None:
    gone, there = ModelServer(), ModelServer()
    async with gone, there, remote(gone, there) as generator:
        await gone.stop()
        assert (await answer(generator)).text == ANSWER


async def test_when_all_fail_the_error_names_each() -> None:
    first, second = ModelServer(always=refusal(500)), ModelServer(always=Fault("break"))
    async with first, second, remote(first, second) as generator:
        told = await failure(generator)
    assert first.url in told and second.url in told


async def test_one_that_failed_is_asked_after_the_others_until_it_is_well_again(clock: Clock) -> None:
    sick, well = ModelServer(faults=deque([refusal(500)])), ModelServer()
    async with sick, well, remote(sick, well, clock=clock) as generator:
        await answer(generator)
        await answer(generator)
        assert (asked(sick, well), sick.paths.count("/health")) == ([1, 2], 0)
        clock.now += HEALTH_SECONDS
        await answer(generator)  # customers do not wait for the look at its health
        await sick.until(lambda: "/health" in sick.paths)
        await looked(generator)
        await answer(generator)
    assert asked(sick, well) == [2, 3]


async def test_one_that_is_not_well_is_left_for_last_and_looked_at_every_ten_seconds(clock: Clock) -> None:
    sick, well = ModelServer(is_healthy=False, faults=deque([refusal(500)])), ModelServer()
    async with sick, well, remote(sick, well, clock=clock) as generator:
        await answer(generator)
        for _ in range(4):
            clock.now += HEALTH_SECONDS / 2
            await answer(generator)
            await looked(generator)
    assert (asked(sick, well), sick.paths.count("/health")) == ([1, 5], 2)


async def test_a_list_of_models_stands_in_for_a_way_to_ask_for_health(clock: Clock) -> None:
    sick, well = ModelServer(knows_health=False, faults=deque([refusal(500)])), ModelServer()
    async with sick, well, remote(sick, well, clock=clock) as generator:
        await answer(generator)
        clock.now += HEALTH_SECONDS
        await answer(generator)
        await looked(generator)
        await answer(generator)
    assert (asked(sick, well), sick.paths.count("/v1/models")) == ([2, 2], 1)


async def test_an_endpoint_that_fails_five_times_in_a_row_is_left_alone_for_thirty_seconds(clock: Clock) -> None:
    async with ModelServer(always=refusal(500), is_healthy=False) as server, remote(server, clock=clock) as generator:
        for _ in range(FAILURES):
            await failure(generator)
        assert "was not asked" in await failure(generator)
        assert asked(server) == [FAILURES]
        clock.now += OPEN_SECONDS
        server.always = None
        assert (await answer(generator)).text == ANSWER


async def test_what_is_not_the_endpoints_fault_opens_no_breaker(clock: Clock) -> None:
    async with ModelServer(always=refusal(400)) as server, remote(server, clock=clock) as generator:
        for _ in range(FAILURES + 1):
            assert "refused the request" in await failure(generator)
        server.always = None
        assert (await answer(generator)).text == ANSWER


async def test_customers_who_leave_say_nothing_about_an_endpoint() -> None:
    async with ModelServer(always=Fault("hang", pieces=1)) as server, remote(server) as generator:
        for _ in range(FAILURES + 1):
            async with AsyncExitStack() as stack:
                await ask_and_hold(generator, stack)
        server.always = None
        assert (await answer(generator)).text == ANSWER


@pytest.mark.parametrize(
    ("given", "seconds"), [("7", 7.0), ("", 2.0), ("soon", 2.0), ("nan", 2.0), ("86400", 60.0), ("in 30 s", 30.0)], ids=str
)
async def test_a_busy_endpoint_is_left_alone_for_as_long_as_it_asks(clock: Clock, given: str, seconds: float) -> None:
    header = format_datetime(datetime.now(UTC) + timedelta(seconds=30)) if given == "in 30 s" else given
    busy, free = ModelServer(faults=deque([refusal(429, header)])), ModelServer()
    async with busy, free, remote(busy, free, clock=clock) as generator:
        await answer(generator)
        clock.now += seconds - 2 if given == "in 30 s" else seconds - 0.01
        await answer(generator)
        assert asked(busy, free) == [1, 2]
        clock.now += 2
        await answer(generator)
        assert asked(busy, free) == [2, 2]


async def test_when_all_are_busy_nobody_is_asked_and_the_error_says_for_how_long(clock: Clock) -> None:
    async with ModelServer(always=refusal(429, "9")) as server, remote(server, clock=clock) as generator:
        await failure(generator)
        assert f"{server.url} asked to be left alone for 9 s more" in await failure(generator)
    assert asked(server) == [1]


async def test_a_slow_endpoint_is_given_more_time_when_there_is_no_other() -> None:
    slow, other = ModelServer(always=Fault("hang")), ModelServer()
    timing = Timing(first_piece=1.0, first_piece_of_last=20.0)
    async with slow, other, remote(slow, other, timing=timing) as generator:
        await generator.open()  # the library is imported before a second counts
        assert (await answer(generator)).text == ANSWER  # 1 s, then the other
        await other.stop()
        question = asyncio.create_task(failure(generator))
        await slow.until(lambda: len(slow.asked) == 2)
        await slow.until(lambda: slow.writing == 1)
        slow.gate.set()  # it goes on, to an end without an answer
        assert "broke its answer off" in await question


async def test_around_it_a_fallback_answers_when_every_endpoint_fails() -> None:
    first, spare = ModelServer(always=refusal(500)), ModelServer(models=("spare",))
    async with first, spare, remote(first) as generator, remote(spare, name="spare") as other:
        end = await answer(ResilientGenerator(generator, other))
    assert (end.model_version, end.text) == ("remote:spare", ANSWER)
    assert asked(first, spare) == [2, 1]


async def test_many_at_once_are_spread_and_all_answered() -> None:
    servers = [ModelServer() for _ in range(3)]
    async with servers[0], servers[1], servers[2], remote(*servers) as generator:
        ends = await asyncio.gather(*(answer(generator) for _ in range(30)))
        assert generator.load[:2] == (0, 0)
    assert {(end.text, end.model_version) for end in ends} == {(ANSWER, VERSION)}
    assert asked(*servers) == [10, 10, 10]
