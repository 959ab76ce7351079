"""What admins have set for channels, and who has asked where, in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, or_, select

from core.domain import Address, Decision, utc_now
from core.presence import EVERYWHERE, Channel, Mode
from core.storage.database import Database
from core.storage.staff_tables import channels
from core.storage.tables import conversations, inbox, turns
from core.storage.turn_rows import at


class SqlChannels:
    """`Channels` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def channel(self, platform: str, workspace_id: str, channel_id: str) -> Channel:
        """See `Channels.channel`."""
        keys = (platform, workspace_id, channel_id), (EVERYWHERE,) * 3
        either = (and_(*(column == value for column, value in zip(channels.primary_key, key, strict=True))) for key in keys)
        query = select(channels.c.platform, channels.c.mode, channels.c.muted).where(or_(*either))
        async with self._database.read() as connection:
            rows = {row.platform: row for row in await connection.execute(query)}
        mine, everywhere = rows.get(platform), rows.get(EVERYWHERE)
        return Channel(Mode(mine.mode) if mine and mine.mode else None, bool(mine and mine.muted), bool(everywhere and everywhere.muted))

    async def set_mode(self, platform: str, workspace_id: str, channel_id: str, mode: Mode) -> None:
        """See `Channels.set_mode`."""
        await self._set(platform, workspace_id, channel_id, mode=mode.value)

    async def set_muted(self, platform: str, workspace_id: str, channel_id: str, muted: bool) -> None:
        """See `Channels.set_muted`."""
        await self._set(platform, workspace_id, channel_id, muted=muted)

    async def has_asked(self, address: Address, actor_id: str) -> bool:
        """See `Channels.has_asked`."""
        here = select(conversations.c.conversation_id).where(*at(address)).scalar_subquery()
        # In these words SQLite takes the index of messages to the bot by conversation: 1 to 4 ms among a million.
        asked = select(inbox.c.inbox_id).where(inbox.c.conversation_id == here, inbox.c.actor_id == actor_id, inbox.c.for_bot)
        told = (turns.c.actor_id == actor_id, turns.c.decision != Decision.SILENT.value)
        answered = select(turns.c.turn_id).where(turns.c.conversation_id == here, *told)
        async with self._database.read() as connection:
            return bool((await connection.execute(select(or_(asked.exists(), answered.exists())))).scalar_one())

    async def _set(self, platform: str, workspace_id: str, channel_id: str, **values: Any) -> None:
        """Change what `values` names and leave the rest of the channel as it is."""
        values["changed_at"] = utc_now()
        keys = {"platform": platform, "workspace_id": workspace_id, "channel_id": channel_id}
        insert = self._database.insert(channels).values(**({"mode": None, "muted": False} | keys | values))
        async with self._database.write() as connection:
            await connection.execute(insert.on_conflict_do_update(index_elements=list(channels.primary_key), set_=values))
