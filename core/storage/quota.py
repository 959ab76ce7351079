"""Limits counted in SQL, so that every process shares them: messages of a minute in the inbox, tokens of a day in the turns.

A message is judged by the minute before it, not before now: the verdict is the same however long it waited. Each count stops at its
limit and runs over an index that begins with what is counted, so finished rows of other minutes cost nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, func, literal, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from core.domain import InboundMessage, Reason
from core.quota import Allowance, Excess, Limit
from core.storage.database import Database
from core.storage.tables import TOLD, USED_TOKENS, conversations, inbox, turns
from core.storage.turn_rows import at

WINDOW = timedelta(minutes=1)


class SqlBudget:
    """`Budget` on a `Database`."""

    def __init__(self, database: Database, allowance: Allowance = Allowance()) -> None:
        self._database = database
        self._allowance = allowance

    async def check(self, message: InboundMessage) -> Excess | None:
        """See `Budget.check`."""
        async with self._database.read() as connection:
            accepted = (await connection.execute(select(inbox).where(*_is(message)))).mappings().first()
            limit = await self._exceeded(connection, accepted) if accepted else None
            if limit is None:
                return None
            since = await self._database.now(connection) - WINDOW
            return Excess(limit, await _told(connection, message, Reason.TOO_MANY, since))

    async def told(self, message: InboundMessage, reason: Reason, seconds: float) -> bool:
        """See `Budget.told`."""
        async with self._database.read() as connection:
            since = await self._database.now(connection) - timedelta(seconds=seconds)
            return await _told(connection, message, reason, since)

    async def _exceeded(self, connection: AsyncConnection, accepted: RowMapping) -> Limit | None:
        questions: dict[Limit, ColumnElement[Any]] = {
            limit: _more_than(allowed, scope, accepted) for limit, allowed, scope in self._scopes(accepted) if allowed
        }
        if self._allowance.tokens_per_day:
            questions[Limit.TOKENS] = _spent(await self._database.now(connection), self._allowance.tokens_per_day)
        if not questions:
            return None
        answers = (await connection.execute(select(*(query.label(limit) for limit, query in questions.items())))).mappings().one()
        return next((limit for limit in questions if answers[limit]), None)

    def _scopes(self, accepted: RowMapping) -> tuple[tuple[Limit, int, tuple[str, ...]], ...]:
        """Limits, narrowest first, and the columns of which `accepted` gives the values to count."""
        return (
            (Limit.USER, self._allowance.user_per_minute, ("workspace_id", "actor_id")),
            (Limit.CONVERSATION, self._allowance.conversation_per_minute, ("conversation_id",)),
            (Limit.WORKSPACE, self._allowance.workspace_per_minute, ("workspace_id",)),
            (Limit.EVERYBODY, self._allowance.everybody_per_minute, ()),
        )


def _is(message: InboundMessage) -> tuple[ColumnElement[bool], ...]:
    named = {name: getattr(message.address, name) for name in ("platform", "workspace_id", "channel_id")}
    return tuple(inbox.c[name] == value for name, value in (named | {"message_id": message.message_id}).items())


def _more_than(allowed: int, scope: tuple[str, ...], accepted: RowMapping) -> ColumnElement[Any]:
    """1 when the minute up to `accepted` holds more than `allowed` messages to the bot, else NULL; reads no more than it must."""
    window = (
        inbox.c.accepted_at > accepted["accepted_at"] - WINDOW,
        inbox.c.accepted_at <= accepted["accepted_at"],
        inbox.c.inbox_id + 0 <= accepted["inbox_id"],  # + 0: SQLite would rather walk the whole table by this than the minute
    )
    mine = tuple(inbox.c[name] == accepted[name] for name in scope)
    return select(literal(1)).where(*mine, *window, inbox.c.for_bot).offset(allowed).limit(1).scalar_subquery()


def _spent(now: datetime, allowed: int) -> ColumnElement[bool]:
    """Whether the turns of this day (UTC) took that many tokens; an index holds just those that took any."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    spent = select(func.sum(turns.c.prompt_tokens + turns.c.completion_tokens)).where(turns.c.answered_at >= midnight, text(USED_TOKENS))
    return spent.scalar_subquery() >= allowed


async def _told(connection: AsyncConnection, message: InboundMessage, reason: Reason, since: datetime) -> bool:
    told = (text(TOLD), turns.c.reason == reason.value, turns.c.answered_at > since)
    here = select(conversations.c.conversation_id).where(*at(message.address)).scalar_subquery()
    elsewhere = conversations.c.workspace_id == message.address.workspace_id
    by_actor = select(turns.c.turn_id).join(conversations).where(*told, turns.c.actor_id == message.actor.actor_id, elsewhere)
    in_conversation = select(turns.c.turn_id).where(*told, turns.c.conversation_id == here)
    return bool((await connection.execute(select(or_(in_conversation.exists(), by_actor.exists())))).scalar_one())
