"""An office of one test: the local Slack, the bot and an SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest

from bot.slack import app
from core.storage.database import Database
from tests.bot.slack.office import BOB, BOT, STAFF_ROOM, Office, office
from tests.servers.slack import SlackPlatform
from tests.servers.slack_state import Channel


class OpenOffice(Protocol):
    """Opens the office, and closes it after the test; `slack` are options of the local Slack, the others those of `office`."""

    async def __call__(self, slack: dict[str, Any] | None = None, **options: Any) -> Office: ...


@pytest.fixture(autouse=True)
def _slack_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command on a busy machine takes longer than Slack waits; what happens then is a test of its own."""
    monkeypatch.setattr(app, "_ANSWER_SECONDS", 25.0)


@pytest.fixture
async def open_office(open_database: Callable[[str], Awaitable[Database]]) -> AsyncIterator[OpenOffice]:
    async with AsyncExitStack() as stack:

        async def opened(slack: dict[str, Any] | None = None, **options: Any) -> Office:
            platform = await stack.enter_async_context(SlackPlatform(**{"echo_own": True, "ack_seconds": 30.0, **(slack or {})}))
            platform.channels[STAFF_ROOM] = Channel(STAFF_ROOM, "staff", members={BOB, BOT})
            return await stack.enter_async_context(office(await open_database("sqlite"), platform, **options))

        yield opened
