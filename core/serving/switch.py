"""A generator whose model can be replaced while it serves: an answer ends on the model it began on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from core.domain import Generation, Limits, Prompt
from core.errors import ModelError
from core.ports import Generator
from core.registry import Load

logger = logging.getLogger(__name__)


class _Seated:
    """A generator and how many answers are being written on it."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.answers = 0
        self.retired = False


class ModelSwitch:
    """`Generator` on whichever model was put in last. For one event loop."""

    def __init__(self, name: str) -> None:
        """`name` is for errors and the log."""
        self._name = name
        self._seated: _Seated | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def version(self) -> str:
        """See `Generator.version`; of an empty switch its name."""
        return self._seated.generator.version if self._seated else self._name

    @property
    def serves(self) -> str:
        """The version that serves, empty when none does."""
        return self._seated.generator.version if self._seated else ""

    @property
    def is_open(self) -> bool:
        """See `Generator.is_open`."""
        return self._seated is not None and self._seated.generator.is_open

    @property
    def load(self) -> Load:
        """See `Generator.load`."""
        return self._seated.generator.load if self._seated else Load()

    async def open(self) -> None:
        """See `Generator.open`."""
        await self._current().generator.open()

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        """See `Generator.stream`. Raises `ModelError` when the switch is empty."""
        seated = self._current()
        seated.answers += 1
        try:
            async with aclosing(seated.generator.stream(prompt, limits)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            seated.answers -= 1
            self._close_if_done(seated)

    def put(self, generator: Generator | None) -> None:
        """Let the next answer begin on `generator`, None: on nothing; the one before is closed when its last answer is out."""
        before, self._seated = self._seated, _Seated(generator) if generator else None
        if before is not None:
            before.retired = True
            self._close_if_done(before)

    async def aclose(self) -> None:
        """See `Generator.aclose`; what was replaced is closed too, whether or not its answers are out."""
        if self._seated is not None:
            await self._seated.generator.aclose()
            self._seated = None
        await self.settled()

    async def settled(self) -> None:
        """Wait until every replaced generator without answers is closed."""
        if self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    def _current(self) -> _Seated:
        if self._seated is None:
            raise ModelError(f"No model serves as {self._name}. See: frontdesk models status")
        return self._seated

    def _close_if_done(self, seated: _Seated) -> None:
        if seated.retired and not seated.answers:
            seated.retired = False  # once
            task = asyncio.ensure_future(self._close(seated.generator))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _close(self, generator: Generator) -> None:
        with suppress(asyncio.CancelledError):
            try:
                await generator.aclose()
                logger.info("model %r has written its last answer and is closed", generator.version)
            except Exception:  # it serves nobody any more: the new one must not suffer from how the old one ends
                logger.exception("model %r could not be closed", generator.version)
