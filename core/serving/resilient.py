"""A generator around one that fails: limits of time, a retry, a fallback, and no text twice."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

from core.domain import Generation, Limits, Prompt
from core.errors import ModelError
from core.ports import Generator
from core.registry import Load
from core.serving.breaker import Breaker, Outcome

logger = logging.getLogger(__name__)

_ATTEMPTS = (2, 1)  # of the primary and of the fallback


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that one generator is waited for."""

    # 10 would do for a model that starts at once. On a CPU prompts are read in one or two at a time, 0.3 s each, and with all 32 rows
    # taken a request waits for a place: from here it cannot be seen when the model could begin with this one.
    first_token: float = 30.0
    between_tokens: float = 10.0
    whole: float = 45.0  # loading and the retry included


class ResilientGenerator:
    """`Generator` that asks `primary`, once more when it fails, then `fallback`, and leaves alone what keeps failing.

    All of that before the first piece: what was shown is never followed by a second text, the stream raises `ModelError` instead.
    """

    def __init__(
        self,
        primary: Generator,
        fallback: Generator | None = None,
        patience: Patience = Patience(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` counts seconds."""
        self._primary = primary
        self._generators = (primary,) if fallback is None else (primary, fallback)
        self._sources = [_Source(generator, patience, clock) for generator in self._generators]
        self._patience = patience
        self._clock = clock

    @property
    def version(self) -> str:
        """See `Generator.version`: the primary's. A `Generation` names the generator that wrote it."""
        return self._primary.version

    @property
    def is_open(self) -> bool:
        """See `Generator.is_open`: the primary's."""
        return self._primary.is_open

    @property
    def load(self) -> Load:
        """See `Generator.load`: the primary's."""
        return self._primary.load

    async def open(self) -> None:
        """See `Generator.open`; a primary that cannot be loaded does not keep the fallback from being ready."""
        problems = []
        for generator in self._generators:
            try:
                await generator.open()
            except ModelError as error:
                problems.append(error)
        if problems:
            raise problems[0]

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        """See `Generator.stream`. Raises `ModelError`, whatever the generators raise."""
        problems = []
        for source, deadline in self._attempts():
            has_begun = False
            try:
                async with aclosing(source.stream(prompt, limits, deadline)) as pieces:
                    async for piece in pieces:
                        has_begun = True
                        yield piece
                return
            except ModelError as error:
                if has_begun:
                    raise
                logger.info("%s; whoever is next is asked", error)
                problems.append(str(error))
        raise ModelError("; ".join(problems))

    async def aclose(self) -> None:
        """See `Generator.aclose`; all are closed, even if one cannot be."""
        async with AsyncExitStack() as closing:
            for generator in self._generators:
                closing.push_async_callback(generator.aclose)

    def _attempts(self) -> Iterator[tuple[_Source, float]]:
        """Yield whom to ask and until when; the fallback gets its time however long the primary took."""
        for source, attempts in zip(self._sources, _ATTEMPTS, strict=False):
            deadline = self._clock() + self._patience.whole
            for _ in range(attempts):
                yield source, deadline


class _Source:
    """A generator, asked within limits of time and behind a breaker."""

    def __init__(self, generator: Generator, patience: Patience, clock: Callable[[], float]) -> None:
        self._generator = generator
        self._patience = patience
        self._clock = clock
        self._breaker = Breaker(generator.version, clock)

    async def stream(self, prompt: Prompt, limits: Limits, deadline: float) -> AsyncGenerator[str | Generation, None]:
        """Yield what one attempt yields. Raises `ModelError` when it fails, or when there is no leave or time for it."""
        if self._clock() >= deadline:  # not the model's fault this time
            raise ModelError(f"{self._generator.version} was given no second try: the time was up")
        permit = self._breaker.enter()
        if permit is None:
            raise ModelError(f"{self._generator.version} failed too often lately and was not asked")
        outcome = Outcome.UNKNOWN
        try:
            async with aclosing(self._in_time(prompt, limits, deadline)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Generation):
                        outcome = Outcome.SUCCESS
                    yield piece
        except ModelError:
            outcome = Outcome.FAILURE
            raise
        except Exception as error:
            outcome = Outcome.FAILURE
            # Only its kind: the text of an exception that nobody foresaw may hold what a customer wrote.
            what = "was too slow" if isinstance(error, TimeoutError) else f"failed with {type(error).__name__}"
            raise ModelError(f"{self._generator.version} {what}") from error
        finally:
            self._breaker.leave(permit, outcome)

    async def _in_time(self, prompt: Prompt, limits: Limits, deadline: float) -> AsyncGenerator[str | Generation, None]:
        # One that must be loaded first gets all the time there is: giving up earlier would load it a second time beside the first.
        patience = self._patience.first_token if self._generator.is_open else self._patience.whole
        async with aclosing(self._generator.stream(prompt, limits)) as pieces:
            while True:
                piece = await self._next(pieces, min(patience, deadline - self._clock()))
                yield piece
                if isinstance(piece, Generation):
                    return
                patience = self._patience.between_tokens

    async def _next(self, pieces: AsyncGenerator[str | Generation, None], seconds: float) -> str | Generation:
        if seconds <= 0:  # `asyncio.timeout` would not stop a model that never waits
            raise TimeoutError
        async with asyncio.timeout(seconds):
            piece = await anext(pieces, None)
        if piece is None:
            raise ModelError(f"{self._generator.version} ended without a result")
        return piece
