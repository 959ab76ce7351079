"""Discord's part of the object graph; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bot.bootstrap import Frontdesk
from bot.door import Door
from core.errors import SettingsError
from core.presence import Mode
from core.storage.channels import SqlChannels
from core.storage.positions import SqlPositions
from core.storage.previews import SqlPreviews
from core.storage.turn_book import SqlTurnBook
from retrieval.retriever import SnapshotRetriever

if TYPE_CHECKING:
    from bot.discord.parts import DiscordParts


@asynccontextmanager
async def discord_of(
    graph: Frontdesk, retriever: SnapshotRetriever, ready_seconds: float = 2.0, identify_seconds: float = 5.0
) -> AsyncIterator[DiscordParts]:
    """Give everything of Discord that a process may need, on one pool of connections; the times are those of `FrontdeskClient`.

    Raises `SettingsError` when the packages are not there.
    """
    if find_spec("discord") is None:
        raise SettingsError("Discord needs packages that are not installed: pip install 'frontdesk[discord]'")
    from bot.discord.adapter import Stores
    from bot.discord.client import FrontdeskClient
    from bot.discord.parts import assemble

    async def texts(passage_ids: tuple[str, ...]) -> tuple[str, ...]:
        found = [await retriever.passage(passage_id) for passage_id in passage_ids]
        return tuple(passage.text for passage in found if passage)

    asked, database = graph.settings.discord, graph.database
    stores = Stores(SqlTurnBook(database), SqlPreviews(database), texts)
    door = Door(graph.dispatch, SqlChannels(database), graph.conversation_log, Mode(asked.mode))
    async with FrontdeskClient(asked.message_content, ready_seconds, identify_seconds) as client:
        parts = assemble(client, asked, stores, graph.dispatch, door, SqlPositions(database))
        try:
            yield parts
        finally:
            await parts.live.aclose()
            await parts.tags.aclose()
