"""How requests of a local platform fail and wait, by script or by chance; the same for each of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(eq=False)
class Fault:
    """What meets the next `times` requests of a method."""

    kind: str
    times: int
    retry_after: float  # seconds


@dataclass(eq=False)
class Gate:
    """Where the requests of one method wait; `waiting` of them do."""

    after: bool
    waiting: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let them through."""
        self.opened.set()


@dataclass(eq=False)
class Script:
    """`reset` is the probability that a message is posted and its connection then broken off without an answer, `limit` that it is
    refused with 429 and not posted.
    """

    seed: int = 0
    reset: float = 0.0
    limit: float = 0.0
    retry_after: float = 1  # seconds, with `limit`
    posts: tuple[str, ...] = ()  # the methods that `reset` and `limit` are about
    planned: dict[str, list[Fault]] = field(default_factory=dict)
    _gates: dict[str, Gate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def changed(self) -> None:
        """Wake whoever waits for something to happen here."""
        raise NotImplementedError

    @contextmanager
    def hold(self, method: str, after: bool = False) -> Iterator[Gate]:
        """Requests of a method wait inside, before they do anything or, with `after`, before they are answered."""
        self._gates[method] = gate = Gate(after)
        try:
            yield gate
        finally:
            gate.release()
            self._gates.pop(method)

    def release_all(self) -> None:
        """Nobody waits any longer."""
        for gate in self._gates.values():
            gate.release()

    async def wait_at(self, method: str, after: bool) -> None:
        """Wait where the method is held."""
        gate = self._gates.get(method)
        if gate is None or gate.after != after:
            return
        gate.waiting += 1
        self.changed()
        await gate.opened.wait()
        gate.waiting -= 1

    def next_fault(self, method: str) -> Fault | None:
        """The next of the script, or one by chance."""
        for planned in (self.planned.get(method), self.planned.get("*")):
            if planned:
                planned[0].times -= 1
                return planned.pop(0) if planned[0].times <= 0 else planned[0]
        if method in self.posts:
            limited, broken = self._dice.random() < self.limit, self._dice.random() < self.reset
            if limited or broken:
                return Fault("429" if limited else "reset_after_accept", 1, self.retry_after)
        return None
