"""The one path of every inbound message, and the one place where an error becomes something a customer may read."""

from __future__ import annotations

import logging
from typing import NamedTuple

from core.dialogue.engine import Engine, Preview, no_preview
from core.domain import InboundMessage, Reply
from core.errors import FrontdeskError
from core.ports import ConversationLog

logger = logging.getLogger(__name__)

APOLOGY = "Sorry, something went wrong on our side and your message was not answered. Please try again in a minute."


class Answered(NamedTuple):
    """A logged turn."""

    turn_id: str
    reply: Reply


class NotAnsweredError(FrontdeskError):
    """A message could not be answered; the text is fit for a customer, the cause is in the log."""


class Dispatch:
    """Answers a message with the conversation so far in mind, and logs the turn."""

    def __init__(self, engine: Engine, conversation_log: ConversationLog) -> None:
        self._engine = engine
        self._log = conversation_log

    async def accept(self, message: InboundMessage, preview: Preview = no_preview) -> Answered:
        """Return the logged answer. Raises `NotAnsweredError` whatever went wrong."""
        try:
            history = await self._log.history(message.address)
            reply = await self._engine.reply(message, history, preview)
            return Answered(await self._log.append(message, reply), reply)
        except Exception as error:
            logger.exception("message %s was not answered", message.message_id)
            raise NotAnsweredError(APOLOGY) from error
