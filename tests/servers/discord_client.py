"""A client of discord.py that keeps what it hears, and runs as long as it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import discord
import pytest
from discord import app_commands

Setup = Callable[["Bot"], Awaitable[None]]


class Bot(discord.Client):
    """`prepare` is its `setup_hook`."""

    def __init__(self, content: bool = True, prepare: Setup | None = None, **more: Any) -> None:
        intents = discord.Intents.default()
        intents.message_content = content
        options: dict[str, Any] = {"allowed_mentions": discord.AllowedMentions.none(), "guild_ready_timeout": 0.01}
        super().__init__(intents=intents, **options | more)
        self.tree = app_commands.CommandTree(self)
        self.heard: list[tuple[str, Any]] = []
        self._news, self._prepare = asyncio.Event(), prepare

    async def setup_hook(self) -> None:
        if self._prepare:
            await self._prepare(self)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Not after the 5 s that Discord asks for."""

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        self.heard.append((event, args[-1] if args else None))
        self._news.set()
        super().dispatch(event, *args, **kwargs)

    def of(self, event: str) -> list[Any]:
        """What came with events of a name."""
        return [what for name, what in self.heard if name == event]

    async def hears(self, event: str, times: int = 1) -> Any:
        """What came with an event, the so manieth of its name."""
        async with asyncio.timeout(30):
            while len(self.of(event)) < times:
                self._news.clear()
                await self._news.wait()
        return self.of(event)[times - 1]

    def text(self, id_: int) -> discord.PartialMessageable:
        """A channel to write into."""
        return self.get_partial_messageable(id_)

    @asynccontextmanager
    async def running(self, token: str) -> AsyncIterator[Self]:
        """Connected, and ready."""
        await self.login(token)
        self.listening = listening = asyncio.create_task(self.connect())
        try:
            await self.hears("ready")
            yield self
        finally:
            await self.close()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def refused(call: Awaitable[Any]) -> tuple[int, int]:
    """The status and the code that a request is refused with."""
    with pytest.raises(discord.HTTPException) as caught:
        await call
    return caught.value.status, caught.value.code
