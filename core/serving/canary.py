"""A new version beside the one that serves: it answers a part of the conversations, or writes silently beside."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from core.domain import Generation, Limits, Prompt
from core.errors import ModelError
from core.ports import Generator
from core.registry import Load
from core.serving.resilient import Patience, ResilientGenerator
from core.serving.switch import ModelSwitch

logger = logging.getLogger(__name__)

_SHADOWS_AT_ONCE = 2  # more would take the time of customers; what comes beyond is not tried, a sample is enough

_PATIENCE = Patience(first_token=15.0, between_tokens=10.0, whole=20.0)  # the champion still needs its own time after it
Shadowed = Callable[[Generation, Prompt, float], Awaitable[None]]
Failed = Callable[[str, float], Awaitable[None]]


class Canary:
    """`Generator` that sends `share` percent of the conversations to the challenger, each conversation always to the same model."""

    def __init__(self, champion: Generator, challenger: ModelSwitch, shadowed: Shadowed, failed: Failed) -> None:
        """`shadowed` is told what a challenger without a share wrote, to which prompt, in how many seconds; `failed`, that it failed."""
        self._champion = champion
        self._challenger = challenger
        self._tried = ResilientGenerator(challenger, patience=_PATIENCE)  # nobody waits for ever, and what fails is left alone
        self._failed = failed
        self._shadowed = shadowed
        self._shadows: set[asyncio.Task[None]] = set()
        self.share = 0

    @property
    def version(self) -> str:
        """See `Generator.version`: the champion's. A `Generation` names the generator that wrote it."""
        return self._champion.version

    @property
    def is_open(self) -> bool:
        """See `Generator.is_open`: the champion's."""
        return self._champion.is_open

    @property
    def load(self) -> Load:
        """See `Generator.load`: the champion's."""
        return self._champion.load

    async def open(self) -> None:
        """See `Generator.open`: the champion."""
        await self._champion.open()

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        """See `Generator.stream`. A challenger that fails before its first piece leaves the answer to the champion."""
        if self._is_chosen(prompt.conversation):
            has_begun, version, started = False, self._challenger.serves, time.perf_counter()
            try:
                async with aclosing(self._tried.stream(prompt, limits)) as pieces:
                    async for piece in pieces:
                        has_begun = True
                        yield piece
                return
            except ModelError as error:
                if has_begun:
                    raise
                logger.warning("the challenger failed, the champion answers: %s", error)
                await self._failed(version, time.perf_counter() - started)
        is_written = False
        try:
            async with aclosing(self._champion.stream(prompt, limits)) as pieces:
                async for piece in pieces:
                    is_written = isinstance(piece, Generation)
                    yield piece
        finally:  # whoever has the result reads no further
            if is_written:
                self._shadow(prompt, limits)

    async def aclose(self) -> None:
        """See `Generator.aclose`."""
        for task in self._shadows:
            task.cancel()
        await asyncio.gather(*self._shadows, return_exceptions=True)
        await self._challenger.aclose()
        await self._champion.aclose()

    async def idle(self) -> None:
        """Wait until nothing is written silently."""
        await asyncio.gather(*self._shadows, return_exceptions=True)

    def _is_chosen(self, conversation: str) -> bool:
        return bool(self.share and self._challenger.is_open) and bucket(self._challenger.serves, conversation) < self.share

    def _shadow(self, prompt: Prompt, limits: Limits) -> None:
        """Have the challenger write the same, after the customer has the answer: their time comes first."""
        if self.share or not self._challenger.is_open or len(self._shadows) >= _SHADOWS_AT_ONCE:
            return
        task = asyncio.ensure_future(self._write_silently(prompt, limits))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _write_silently(self, prompt: Prompt, limits: Limits) -> None:
        started = time.perf_counter()
        try:
            async with aclosing(self._tried.stream(prompt, limits)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Generation):
                        await self._shadowed(piece, prompt, time.perf_counter() - started)
        except Exception as error:  # nobody waits for it, and whatever it is must not end in "exception was never retrieved"
            logger.warning("the challenger failed while it wrote silently: %r", error)


def bucket(version: str, conversation: str) -> int:
    """Return a number from 0 to 99 that is the same for a conversation and a version every time, in every process."""
    digest = hashlib.sha256(f"{version}\n{conversation}".encode()).digest()
    return int.from_bytes(digest[:8]) % 100
