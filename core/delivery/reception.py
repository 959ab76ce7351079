"""Whose turn it is: the bot answers unless staff own the conversation or a limit is reached; every message becomes a turn all the same."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from core.domain import Decision, Exchange, InboundMessage, Owner, Reason, Reply, notice
from core.ports import ConversationLog, Dialogue
from core.quota import Budget, Limit

logger = logging.getLogger(__name__)

HELP_SECONDS = 600.0  # a mention that says nothing gets help once in this time


async def _no_preview(text: str) -> None:
    """Show nothing."""


class Reception:
    """`Responder` in front of a dialogue.

    Two conversations of one author that exceed a limit in the same instant may both get the notice; within one, turns follow each
    other and it is told once.
    """

    def __init__(self, dialogue: Dialogue, log: ConversationLog, budget: Budget, away: Callable[[], str] = str) -> None:
        """`away` says when people are back, to be told with a hand-over; empty while they are there."""
        self._dialogue = dialogue
        self._log = log
        self._budget = budget
        self._away = away

    async def reply(
        self, message: InboundMessage, history: tuple[Exchange, ...] = (), preview: Callable[[str], Awaitable[None]] = _no_preview
    ) -> Reply:
        """See `Responder.reply`."""
        return self._with_hours(await self._reply(message, history, preview))

    async def _reply(self, message: InboundMessage, history: tuple[Exchange, ...], preview: Callable[[str], Awaitable[None]]) -> Reply:
        if await self._log.owner(message.address) is Owner.STAFF:
            return notice(Decision.SILENT, Reason.WITH_PERSON)
        if not message.for_bot:  # people among themselves have no limits, and nobody butts in with a notice
            return await self._dialogue.reply(message, history)
        if not message.draft:
            await preview("")
        preview = _no_preview if message.draft else preview
        excess = await self._budget.check(message)
        if excess is None:
            return await self._once(message, await self._dialogue.reply(message, history, preview))
        if excess.limit is Limit.TOKENS:
            # The model is what costs. Curated answers, asking back and the way to a person stay; passages are quoted
            # instead of composed, as on a machine without a model. Silence until midnight would be worse than a longer read.
            return await self._once(message, await self._dialogue.without_model().reply(message, history, preview))
        if excess.told:
            return notice(Decision.SILENT, Reason.TOO_MANY)
        logger.warning("the limit of messages by %s is reached, the customer is asked to wait", excess.limit)
        return self._dialogue.too_many()

    def apology(self) -> Reply:
        """See `Responder.apology`."""
        return self._with_hours(self._dialogue.apology())

    def _with_hours(self, reply: Reply) -> Reply:
        """Tell whoever is handed over when somebody comes."""
        away = self._away() if reply.decision is Decision.HANDOFF else ""
        return replace(reply, text=f"{reply.text} {away}") if away else reply

    async def _once(self, message: InboundMessage, reply: Reply) -> Reply:
        """Say how to ask only once to somebody who keeps sending what says nothing."""
        if reply.reason is Reason.NOTHING_TO_READ and await self._budget.told(message, reply.reason, HELP_SECONDS):
            return notice(Decision.SILENT, reply.reason)
        return reply
