"""The one path of every inbound event, and the one place where an error becomes something a customer may read."""

from __future__ import annotations

import logging
from typing import TypeAlias

from core.delivery.crew import Bell
from core.delivery.faults import reach
from core.domain import Deleted, Edited, InboundMessage
from core.errors import FrontdeskError
from core.metering import Event as Counted
from core.metering import Meter, NoMeter
from core.ports import Inbox

logger = logging.getLogger(__name__)

Event: TypeAlias = InboundMessage | Edited | Deleted
APOLOGY = "Sorry, something went wrong on our side and your message was not answered. Please try again in a minute."


class NotAcceptedError(FrontdeskError):
    """An event could not be stored; the text is fit for a customer, the cause is in the log."""


class Dispatch:
    """Stores what comes in, before its platform is told, and wakes the workers of this process."""

    def __init__(self, inbox: Inbox, accepted: Bell, meter: Meter = NoMeter()) -> None:
        self._inbox = inbox
        self._meter = meter
        self._accepted = accepted

    async def accept(self, event: Event, settle: float = 0.0) -> bool:
        """Return whether the event was new. Raises `NotAcceptedError` when it is not stored: the platform must send it again."""
        try:
            new = await self._store(event, settle)
        except Exception as error:
            logger.exception("%s %s was not accepted", type(event).__name__, event.message_id)
            raise NotAcceptedError(APOLOGY) from error
        reach("after_accept")
        self._accepted.ring()
        return new

    async def _store(self, event: Event, settle: float) -> bool:
        match event:
            case InboundMessage():
                new = await self._inbox.accept(event, settle)
                self._meter.count(Counted.ACCEPTED if new else Counted.DUPLICATE)
                return new
            case Edited():
                return await self._inbox.amend(event)
            case Deleted():
                return await self._inbox.erase(event)
