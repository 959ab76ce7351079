"""Delivers what waits in the outbox: every reply once, in order within its conversation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from core.delivery.crew import Bell, Crew, backoff
from core.delivery.faults import reach
from core.domain import utc_now
from core.errors import DeliveryError, LeaseLostError, RateLimitedError, RefusedError, StorageError, UncertainError
from core.metering import Event, Meter, NoMeter
from core.ports import ChatAdapter, Delivery, Outbox
from core.tracing import log_context

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a courier may take, in seconds: a send and a look together stay below the lease."""

    lease: float = 60.0
    call: float = 10.0
    drain: float = 4.0  # after the page and the worker, which have 25 s together
    max_attempts: int = 12
    first_delay: float = 0.5
    longest_delay: float = 60.0
    at_once: int = 16


class Courier:
    """Sends replies through the adapters of this process."""

    def __init__(
        self, outbox: Outbox, adapters: Mapping[str, ChatAdapter], finished: Bell, terms: Terms = Terms(), meter: Meter = NoMeter()
    ) -> None:
        """`adapters` by platform; `finished` wakes this courier."""
        self._outbox = outbox
        self._adapters = adapters
        self._terms = terms
        self._meter = meter
        self._crew = Crew(self._claim, self._deliver, finished, at_once=terms.at_once, drain_seconds=terms.drain)

    async def run(self) -> None:
        """Deliver until cancelled; what is under way then is finished."""
        await self._crew.run()

    async def _claim(self) -> Delivery | None:
        return await self._outbox.claim(self._adapters.keys(), self._terms.lease)

    async def _deliver(self, delivery: Delivery) -> None:
        with log_context(workspace=delivery.address.workspace_id, turn_id=delivery.turn_id):
            await self._send_or_put_off(delivery)

    async def _send_or_put_off(self, delivery: Delivery) -> None:
        try:
            reference = await self._send(delivery)
            reach("after_send")
            await self._outbox.sent(delivery, reference)
            reach("after_record")
            if delivery.turn_id and not delivery.action.is_about_handoff and delivery.revises is None:
                self._meter.answered(delivery.reply.decision, (utc_now() - delivery.asked_at).total_seconds())
        except (LeaseLostError, StorageError) as error:
            logger.warning("reply %s: %s", delivery.key, error)  # its lease runs out, and the next courier looks before it sends
        except Exception as error:  # a fault of the adapter must not lose the reply
            await self._put_off(delivery, error)

    async def _send(self, delivery: Delivery) -> str:
        """Return where the reply is; look first when an earlier attempt may have arrived."""
        adapter = self._adapters[delivery.address.platform]
        if delivery.uncertain:
            self._meter.count(Event.AMBIGUOUS_SEND)
            async with asyncio.timeout(self._terms.call):
                found = await adapter.find(delivery)
            if found is not None:
                return found
        reach("before_send")
        try:
            async with asyncio.timeout(self._terms.call):
                return await adapter.send(delivery)
        except TimeoutError as error:
            raise UncertainError(f"no answer within {self._terms.call:g} s") from error

    async def _put_off(self, delivery: Delivery, error: Exception) -> None:
        with suppress(LeaseLostError, StorageError):
            if self._is_hopeless(delivery, error):
                logger.error("reply %s cannot be delivered: %s", delivery.key, error)
                await self._outbox.bury(delivery, repr(error))
                self._meter.count(Event.DEAD)
                return
            delay = backoff(delivery.attempts, self._terms.first_delay, self._terms.longest_delay)
            if isinstance(error, RateLimitedError):
                delay = error.seconds
            await self._outbox.retry(delivery, repr(error), delay, uncertain=_may_have_arrived(delivery, error))

    def _is_hopeless(self, delivery: Delivery, error: Exception) -> bool:
        worn_out = delivery.attempts >= self._terms.max_attempts and not isinstance(error, RateLimitedError)
        return worn_out or isinstance(error, RefusedError)


def _may_have_arrived(delivery: Delivery, error: Exception) -> bool:
    """Whether to look before the next attempt: only a platform that said no, or could not be reached, certainly has nothing."""
    said_no = isinstance(error, DeliveryError) and not isinstance(error, UncertainError)
    partly = isinstance(error, RateLimitedError) and error.partly
    return delivery.uncertain or partly or not said_no
