"""What was passed on in a hand-off and is changed or taken back afterwards: the copy on the other side follows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import Action, Decision, Deleted, Edited, Reason
from core.drafts import words_of
from core.handoff import word_key
from core.storage.database import Database
from core.storage.handoff_rows import Place, revise, show_anew
from core.storage.handoff_tables import handoff_words, handoffs
from core.storage.message_rows import kept
from core.storage.tables import conversations, inbox, outbox, turns
from core.text import MAX_QUESTION_CHARS


async def amend_anyway(database: Database, connection: AsyncConnection, edited: Edited, row: RowMapping | None) -> bool:
    """Follow an edit of what waits for no answer: by a person of staff (no `row`), or of what the bot left to one."""
    if row is None:
        return await _change_word(database, connection, edited, words_of(edited.text))
    mine = (turns.c.turn_id == row["turn_id"], turns.c.decision == Decision.SILENT.value, turns.c.reason == Reason.WITH_PERSON.value)
    if not row["text"] or (await connection.execute(select(turns.c.turn_id).where(*mine))).first() is None:
        return False  # it was answered as it stood, or has been erased
    words, digest = kept(edited.text)
    await connection.execute(update(inbox).where(inbox.c.inbox_id == row["inbox_id"]).values(text=words, text_sha256=digest))
    together = select(inbox.c.text).where(inbox.c.turn_id == row["turn_id"]).order_by(inbox.c.order_key, inbox.c.inbox_id)
    said = "\n".join((await connection.execute(together)).scalars())[:MAX_QUESTION_CHARS]
    await connection.execute(update(turns).where(turns.c.turn_id == row["turn_id"]).values(question=said, question_sha256=digest))
    await _show_turn_anew(database, connection, row["turn_id"])
    return True


async def erase_anyway(database: Database, connection: AsyncConnection, deleted: Deleted, row: RowMapping | None) -> None:
    """Follow a deletion wherever the text was passed on: what a person of staff said (no `row`), or what they were told."""
    if row is None:
        await _change_word(database, connection, deleted, "")
        return
    await _show_turn_anew(database, connection, row["turn_id"])
    here = select(handoffs).where(handoffs.c.conversation_id == row["conversation_id"])
    for handoff in (await connection.execute(here)).mappings().all():
        await show_anew(database, connection, handoff)


async def _change_word(database: Database, connection: AsyncConnection, changed: Edited | Deleted, words: str) -> bool:
    """Say something else than a person of staff said first, or nothing: before it is sent, or where it stands."""
    at = changed.address
    key = word_key(at.platform, at.channel_id, changed.message_id)
    query = select(outbox).join(handoff_words, handoff_words.c.key == outbox.c.key).where(outbox.c.key == key)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        return False
    await connection.execute(select(conversations).where(conversations.c.conversation_id == row["conversation_id"]).with_for_update())
    await _follow(database, connection, row, words)
    return True


async def _follow(database: Database, connection: AsyncConnection, row: RowMapping, words: str) -> None:
    """Change a row of the outbox; one that is on its way or there is shown anew as well."""
    still = (outbox.c.outbox_id == row["outbox_id"], outbox.c.state == "pending")
    values: dict[str, Any] = {"text": words} | ({} if words else {"state": "dropped"})
    if (await connection.execute(update(outbox).where(*still).values(**values))).rowcount == 0:
        await connection.execute(update(outbox).where(outbox.c.outbox_id == row["outbox_id"]).values(text=words))
        await revise(database, connection, Place(row["conversation_id"], row["platform"]), row["key"])


async def _show_turn_anew(database: Database, connection: AsyncConnection, turn_id: str) -> None:
    relayed = select(outbox).where(outbox.c.turn_id == turn_id, outbox.c.action == Action.RELAY.value)
    for row in (await connection.execute(relayed)).mappings().all():
        await revise(database, connection, Place(row["conversation_id"], row["platform"]), row["key"])
