"""Fills a database with finished conversations, as a year of service leaves it."""

from __future__ import annotations

from core.storage.database import Database

_EACH = 10  # turns of a conversation

_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {last}) SELECT i FROM n",
    "postgresql": "SELECT i FROM generate_series(0, {last}) AS i",
}
_STATEMENTS = (
    """INSERT INTO conversations (conversation_id, platform, workspace_id, channel_id, thread_id, started_at)
    SELECT 'old-' || i, 'chat', 'workspace-' || (i % 5), 'support', 'old-' || i, {time} FROM ({conversations}) AS numbers""",
    """INSERT INTO inbox (conversation_id, platform, workspace_id, channel_id, message_id, order_key, actor_id, actor_name, text,
                          text_sha256, for_bot, received_at, state, attempts, turn_id)
    SELECT 'old-' || (i / {each}), 'chat', 'workspace-' || ((i / {each}) % 5), 'support', 'old-' || i, '', 'customer-' || (i / {each}), '',
           'an old question', 'x', {true}, {time}, 'done', 1, 'turn-' || i FROM ({turns}) AS numbers""",
    """INSERT INTO turns (turn_id, conversation_id, position, actor_id, question, question_sha256, asked_at, answered_at, decision, reason,
                          text, confidence, citations, hits, lineage, timings_ms, prompt_tokens, completion_tokens)
    SELECT 'turn-' || i, 'old-' || (i / {each}), i % {each}, 'customer', 'an old question', 'x', {time}, {time}, 'direct', 'confident',
           'an old answer', 0.9, '[]', '[]', '{{}}', '{{}}', 100, 20 FROM ({turns}) AS numbers""",
    """INSERT INTO outbox (turn_id, part, conversation_id, platform, "key", state, attempts, due_at, reference, sent_at)
    SELECT 'turn-' || i, 0, 'old-' || (i / {each}), 'chat', 'turn-' || i || '-0', 'sent', 1, {time}, 'x', {time}
    FROM ({turns}) AS numbers""",
)


async def fill(database: Database, turns: int) -> None:
    """Write `turns` answered messages, ten to a conversation, and let the database count them."""
    kind = database.engine.dialect.name
    values = {
        "time": "'2026-01-01 00:00:00'" if kind == "sqlite" else "TIMESTAMPTZ '2026-01-01'",
        "true": "1" if kind == "sqlite" else "TRUE",
        "each": _EACH,
        "turns": _NUMBERS[kind].format(last=turns - 1),
        "conversations": _NUMBERS[kind].format(last=turns // _EACH - 1),
    }
    for statement in _STATEMENTS:
        async with database.write() as connection:
            await connection.exec_driver_sql(statement.format(**values))
    async with database.write() as connection:
        await connection.exec_driver_sql("ANALYZE")
