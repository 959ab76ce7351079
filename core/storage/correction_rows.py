"""What of corrections is blanked when the words of a customer go."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.storage.staff_tables import correction_versions, corrections

# The answer is by staff, who may ask another question for it; so is a FAQ row that two of them found fit for everybody.
_BLANK: dict[str, Any] = {"question": "", "alternatives": []}


async def blank_questions(connection: AsyncConnection, where: ColumnElement[bool]) -> int:
    """Forget the questions of corrections, how they read earlier too; return how many corrections it concerns."""
    these = select(corrections.c.correction_id).where(where)
    await connection.execute(update(correction_versions).where(correction_versions.c.correction_id.in_(these)).values(**_BLANK))
    # Their hashes go too: a short text can be found by trying.
    blanked = update(corrections).where(where).values(**_BLANK, digest=corrections.c.correction_id)
    return (await connection.execute(blanked)).rowcount
