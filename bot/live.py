"""Surfaces whose customer waits on the line, such as the chat page and the terminal: previews and the reply reach an open call."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from bot.dispatch import Dispatch
from core.domain import Action, Address, Cue, InboundMessage, Reason, Reply
from core.ports import Delivery, Inbox
from core.updates import Update, Updates

LOOK_SECONDS = 0.5  # when the answer was written in another process, nothing rings here
WATCH_SECONDS = 8.0  # of an open call that waits for a person; below what a server that ends gives its calls

_Heard: TypeAlias = asyncio.Queue[str | None]  # a piece of a preview, or None: look for the reply


class LiveAdapter:
    """`ChatAdapter` of a platform that keeps nothing: the truth is the inbox, and whoever waits is told to look there."""

    def __init__(self, platform: str) -> None:
        self.platform = platform
        self._listeners: defaultdict[Address, set[_Heard]] = defaultdict(set)

    async def send(self, delivery: Delivery) -> str:
        """See `ChatAdapter.send`; nobody may be waiting any more, and then the reply stays in the log.

        That an answer takes longer is shown as a preview of it: the answer replaces it.
        """
        reply = delivery.reply
        if delivery.action is Action.PERSON or delivery.revises is not None:
            self._tell(delivery.address, None)
            return delivery.key
        self._tell(delivery.address, f"{reply.text}\n\n" if reply.reason in (Reason.DELAYED, Reason.NOTICE) else None)
        return delivery.key

    async def find(self, delivery: Delivery) -> str | None:
        """See `ChatAdapter.find`; telling somebody twice to look does no harm."""
        return None

    async def preview(self, message: InboundMessage, attempt: str, text: str | Cue) -> None:
        """See `ChatAdapter.preview`; the page shows by itself that the work began."""
        if isinstance(text, str) and text:
            self._tell(message.address, text)

    @contextmanager
    def listening(self, address: Address) -> Iterator[_Heard]:
        """Give what is said at `address` while the block runs."""
        heard: _Heard = asyncio.Queue()
        self._listeners[address].add(heard)
        try:
            yield heard
        finally:
            self._listeners[address].discard(heard)
            if not self._listeners[address]:
                del self._listeners[address]

    def _tell(self, address: Address, piece: str | None) -> None:
        for heard in self._listeners.get(address, ()):
            heard.put_nowait(piece)


class Line:
    """A customer's open call: says a message and hears the answer."""

    def __init__(self, dispatch: Dispatch, inbox: Inbox, adapter: LiveAdapter) -> None:
        self._dispatch = dispatch
        self._inbox = inbox
        self._adapter = adapter

    @property
    def platform(self) -> str:
        """Name of the platform."""
        return self._adapter.platform

    async def say(self, message: InboundMessage) -> AsyncGenerator[str | Reply, None]:
        """Accept `message`, yield previews as they are written, then its reply. Raises `NotAcceptedError`.

        Whoever stops listening is answered all the same; saying the same message again then gives the same reply.
        """
        with self._adapter.listening(message.address) as heard:
            await self._dispatch.accept(message)
            while (reply := await self._inbox.answer_to(message)) is None:
                while (piece := await _next(heard)) is not None:
                    yield piece
            yield reply


class Watch:
    """A customer's open call that asks whether a person has said something."""

    def __init__(self, updates: Updates, adapter: LiveAdapter, seconds: float = WATCH_SECONDS) -> None:
        self._updates = updates
        self._adapter = adapter
        self._seconds = seconds

    async def updates(self, address: Address, number: int) -> tuple[Update, ...]:
        """Return what was said after an update, at once if there is something, else when there is; nothing after some seconds."""
        until = asyncio.get_running_loop().time() + self._seconds
        with self._adapter.listening(address) as heard:
            while not (found := await self._updates.since(address, number)) and asyncio.get_running_loop().time() < until:
                await _next(heard)
        return found


async def _next(heard: _Heard) -> str | None:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await heard.get()
    except TimeoutError:
        return None
