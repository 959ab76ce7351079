"""Positions in SQL: one row for each channel that has been heard."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from core.positions import Position
from core.storage.database import Database
from core.storage.staff_tables import positions


class SqlPositions:
    """`Positions` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self, platform: str, limit: int) -> Mapping[str, Position]:
        """See `Positions.all`."""
        newest_first = select(positions).where(positions.c.platform == platform).order_by(positions.c.message_id.desc()).limit(limit)
        async with self._database.read() as connection:
            rows = (await connection.execute(newest_first)).all()
        return {row.channel_id: Position(row.workspace_id, row.message_id) for row in rows}

    async def advance(self, platform: str, by_channel: Mapping[str, Position]) -> None:
        """See `Positions.advance`."""
        if not by_channel:
            return
        async with self._database.write() as connection:
            for channel_id, position in sorted(by_channel.items()):  # in one order, so that no two processes wait for each other
                values = {"platform": platform, "channel_id": channel_id, **position._asdict()}
                insert = self._database.insert(positions).values(**values)
                is_further = positions.c.message_id < insert.excluded.message_id
                changed = {"message_id": insert.excluded.message_id}
                keys = list(positions.primary_key)
                await connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed, where=is_further))
