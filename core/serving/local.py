"""A causal language model in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from core import prompting
from core.domain import Generation, Limits, Prompt, Usage
from core.errors import ModelError
from core.registry import Load
from core.serving import chat
from core.serving.bases import SharedBases, best_device
from core.serving.hosting import Host, Request
from core.serving.traffic import Counted, Traffic
from core.serving.weights import Weights

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_REHEARSAL = prompting.build("Hello?", ())

__all__ = ["LocalGenerator", "best_device"]


class LocalGenerator:
    """`Generator` on a folder of safetensors, opened at first use."""

    def __init__(
        self,
        weights: Weights,
        device: str = "auto",
        *,
        version: str = "",
        adapter: Path | None = None,
        bases: SharedBases | None = None,
        anew: bool = False,
        precision: str = "auto",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve `weights` on `device`: `cpu`, `cuda`, `mps` or `auto`, the best at hand.

        `version` is what answers name as their model; empty: the version of the weights. `adapter` is a folder that peft wrote, a LoRA
        for these weights. Generators with the same `bases`, weights and device share one loaded model, whatever their adapters, and
        those with an adapter add only that; `anew` reads from disk what is loaded already. `precision` is `auto`, `float32` or `packed`
        (see `bases.load`). `aclose` finishes what runs, fails what waits, and frees the model with its last user.
        """
        self._weights = weights
        self._device = device
        self._version = version or weights.version
        self._adapter = adapter
        self._precision = precision
        self._bases = bases or SharedBases()
        self._anew = anew
        self._opening: asyncio.Future[tuple[Host, PreTrainedTokenizerBase]] | None = None
        self._opened: tuple[Host, PreTrainedTokenizerBase] | None = None
        self._traffic = Traffic(clock)

    @property
    def version(self) -> str:
        """See `Generator.version`."""
        return self._version

    @property
    def is_open(self) -> bool:
        """See `Generator.is_open`."""
        return self._opened is not None

    @property
    def load(self) -> Load:
        """See `Generator.load`; an answer waits until its first token."""
        return self._traffic.load

    async def open(self) -> None:
        """See `Generator.open`."""
        await self._open()

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        """See `Generator.stream`. Raises `ModelError` when the model cannot be opened or fails, and at once when too many wait."""
        host, tokenizer = await self._open()
        async with aclosing(self._written(host, tokenizer, prompt, limits)) as pieces:
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        """See `Generator.aclose`."""
        if self._opening is not None:
            await asyncio.wait([self._opening])  # a thread that loads cannot be stopped
            self._opening = None
        opened, self._opened = self._opened, None
        if opened is not None:
            await asyncio.to_thread(opened[0].close)

    async def _open(self) -> tuple[Host, PreTrainedTokenizerBase]:
        """Open once, whoever waits for it and however many go away meanwhile: each try would load a model of its own."""
        if self._opened is not None:
            return self._opened
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._load())
            self._opening.add_done_callback(lambda done: done.cancelled() or done.exception())  # all who waited may be gone
        try:  # not through a name: the traceback of whoever gives up would keep the model
            return await asyncio.shield(self._opening)
        finally:
            if self._opening is not None and self._opening.done():
                self._opening = None

    async def _load(self) -> tuple[Host, PreTrainedTokenizerBase]:
        opened = await asyncio.to_thread(self._bases.open, self._weights, self._device, self._precision, self._adapter, anew=self._anew)
        try:
            await self._rehearse(*opened)
        except BaseException:
            await asyncio.to_thread(opened[0].close)
            raise
        self._opened = opened
        return opened

    async def _rehearse(self, host: Host, tokenizer: PreTrainedTokenizerBase) -> None:
        """Write two tokens: libraries warm up, the system prompt is kept, and a model that cannot run is found now."""
        async with aclosing(self._written(host, tokenizer, _REHEARSAL, Limits(2))) as pieces:
            async for _ in pieces:
                pass

    async def _written(
        self, host: Host, tokenizer: PreTrainedTokenizerBase, prompt: Prompt, limits: Limits
    ) -> AsyncGenerator[str | Generation, None]:
        request = Request(chat.encode(tokenizer, prompting.messages(prompt)), limits.max_tokens, asyncio.get_running_loop())
        with self._traffic.request() as counted:
            try:
                host.submit(request)
                async with aclosing(self._pieces(request, tokenizer, counted)) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                request.cancelled = True

    async def _pieces(
        self, request: Request, tokenizer: PreTrainedTokenizerBase, counted: Counted
    ) -> AsyncGenerator[str | Generation, None]:
        tokens: list[int] = []
        shown = ""
        while True:
            event = await request.events.get()
            if isinstance(event, Exception):
                raise ModelError(f"{self.version} failed: {event}") from event
            if isinstance(event, str):
                text = chat.decode(tokenizer, tokens)
                if len(text) > len(shown):
                    yield text[len(shown) :]
                yield Generation(text.strip(), self.version, event, Usage(len(request.input_ids), len(tokens)))
                return
            tokens += event
            counted.begun()
            self._traffic.wrote(len(event))
            text = chat.decode(tokenizer, tokens)
            if not text.endswith(chat.UNFINISHED) and len(text) > len(shown):
                yield text[len(shown) :]
                shown = text
