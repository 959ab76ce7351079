"""Many callers, one blocking call: what arrives while a batch runs becomes the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Runs `work` on lists of items in one thread of its own; nothing waits on purpose, so a lone item is not delayed."""

    def __init__(self, work: Callable[[list[Item]], Sequence[Result]], max_batch: int) -> None:
        """`work` gets 1..`max_batch` items and returns one result each; its exception reaches every caller of the batch."""
        self._work = work
        self._max_batch = max_batch
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batcher")

    async def submit(self, item: Item) -> Result:
        """Return the result for `item`."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        await asyncio.sleep(0)  # let every task that is ready now join the first batch
        while self._waiting:
            batch, self._waiting = self._waiting[: self._max_batch], self._waiting[self._max_batch :]
            wanted = [(item, future) for item, future in batch if not future.cancelled()]
            if wanted:
                await self._run(wanted)

    async def _run(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            outcomes: list[Result | Exception] = list(await loop.run_in_executor(self._thread, self._work, [item for item, _ in batch]))
            if len(outcomes) != len(batch):
                raise ValueError(f"{len(batch)} items gave {len(outcomes)} results")
        except Exception as error:  # handed to every caller, who asked for this work
            outcomes = [error] * len(batch)
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            _settle(future, outcome)


def _settle(future: asyncio.Future[Result], outcome: Result | Exception) -> None:
    if future.cancelled():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
