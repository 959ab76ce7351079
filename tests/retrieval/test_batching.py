"""Callers share batches; each gets its own result or the error of its batch."""

from __future__ import annotations

import asyncio
import threading

import pytest

from retrieval.batching import Batcher


class Doubling:
    """Work that notes its batches and can be held."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.started = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.started.set()
        self.may_end.wait(10)
        if 13 in items:
            raise ValueError("unlucky")
        return [item * 2 for item in items]


async def is_running(work: Doubling) -> None:
    assert await asyncio.to_thread(work.started.wait, 10)


async def test_every_caller_gets_its_own_result_in_batches_of_at_most_the_limit() -> None:
    work = Doubling()
    batcher = Batcher(work, max_batch=4)
    assert await asyncio.gather(*map(batcher.submit, range(20, 30))) == [item * 2 for item in range(20, 30)]
    assert [len(batch) for batch in work.batches] == [4, 4, 2]


async def test_what_arrives_while_a_batch_runs_becomes_the_next_batch() -> None:
    work = Doubling()
    work.may_end.clear()
    batcher = Batcher(work, max_batch=8)
    first = asyncio.create_task(batcher.submit(1))
    await is_running(work)
    others = [asyncio.create_task(batcher.submit(item)) for item in (2, 3)]
    await is_running(work)  # takes a turn of the event loop, in which both join the queue
    work.may_end.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6]
    assert work.batches == [[1], [2, 3]]


async def test_an_error_reaches_every_caller_of_its_batch_and_none_of_the_next() -> None:
    batcher = Batcher(Doubling(), max_batch=2)
    results = await asyncio.gather(*map(batcher.submit, (13, 1, 2, 3)), return_exceptions=True)
    assert [type(result) for result in results[:2]] == [ValueError, ValueError]
    assert results[2:] == [4, 6]


async def test_a_caller_that_gives_up_costs_the_others_nothing() -> None:
    work = Doubling()
    work.may_end.clear()
    batcher = Batcher(work, max_batch=8)
    running, quitter = asyncio.create_task(batcher.submit(1)), asyncio.create_task(batcher.submit(2))
    await is_running(work)
    quitter.cancel()
    work.may_end.set()
    assert await running == 2
    assert await batcher.submit(3) == 6


async def test_work_is_never_given_an_empty_batch() -> None:
    work = Doubling()
    work.may_end.clear()
    batcher = Batcher(work, max_batch=1)
    first = asyncio.create_task(batcher.submit(1))
    await is_running(work)
    quitter = asyncio.create_task(batcher.submit(2))
    await is_running(work)  # takes a turn of the event loop, in which it joins the queue
    quitter.cancel()
    work.may_end.set()
    assert await first == 2
    assert await batcher.submit(3) == 6
    assert work.batches == [[1], [3]]


async def test_too_few_results_are_an_error_of_every_caller_and_no_endless_wait() -> None:
    batcher: Batcher[int, int] = Batcher(lambda items: items[1:], max_batch=8)
    results = await asyncio.wait_for(asyncio.gather(*map(batcher.submit, (1, 2)), return_exceptions=True), 10)
    assert [type(result) for result in results] == [ValueError, ValueError]


def test_a_batcher_serves_one_event_loop_after_another() -> None:
    batcher = Batcher(Doubling(), max_batch=4)
    assert [asyncio.run(batcher.submit(item)) for item in (1, 2)] == [2, 4]


async def test_work_runs_outside_the_thread_of_the_event_loop() -> None:
    batcher: Batcher[int, int] = Batcher(lambda items: [threading.get_ident() for _ in items], max_batch=4)
    assert await batcher.submit(1) != threading.get_ident()


@pytest.mark.parametrize("count", [1, 7, 300])
async def test_results_keep_to_their_items_whatever_their_number(count: int) -> None:
    batcher = Batcher(lambda items: [f"<{item}>" for item in items], max_batch=64)
    assert await asyncio.gather(*(batcher.submit(n) for n in range(count))) == [f"<{n}>" for n in range(count)]
