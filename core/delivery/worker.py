"""Answers what waits in the inbox: claim a conversation, let the dialogue reply, finish in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from core.delivery.crew import Bell, Crew, backoff
from core.delivery.faults import reach
from core.domain import Cue, Decision, InboundMessage, Reply
from core.errors import LeaseLostError, StorageError
from core.metering import Event, Measure, Meter, NoMeter
from core.ports import Claim, ConversationLog, Inbox, Responder
from core.tracing import log_context

logger = logging.getLogger(__name__)

_PREVIEW_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a worker may take, in seconds; `renew` is a quarter of `lease`, so that three misses are survived."""

    lease: float = 60.0
    renew: float = 15.0
    answer: float = 300.0  # a dialogue that hangs would otherwise keep its lease for ever; a busy processor may take minutes
    drain: float = 15.0
    max_attempts: int = 3
    first_delay: float = 2.0
    longest_delay: float = 60.0
    at_once: int = 32


class Worker:
    """Runs the dialogue on accepted messages; any number of them, in any number of processes."""

    def __init__(
        self,
        inbox: Inbox,
        log: ConversationLog,
        responder: Responder,
        preview: Callable[[InboundMessage, str, str | Cue], Awaitable[None]],
        accepted: Bell,
        finished: Bell,
        terms: Terms = Terms(),
        meter: Meter = NoMeter(),
    ) -> None:
        """`preview` shows a piece of the answer to a message in an attempt; `accepted` wakes this worker, it rings `finished`."""
        self._inbox = inbox
        self._log = log
        self._responder = responder
        self._preview = preview
        self._finished = finished
        self._terms = terms
        self._meter = meter
        self._crew = Crew(self._claim, self._answer, accepted, at_once=terms.at_once, drain_seconds=terms.drain)

    async def run(self) -> None:
        """Answer until cancelled; what is being written then is finished, or given back after `Terms.drain`."""
        await self._crew.run()

    async def _claim(self) -> Claim | None:
        claim = await self._inbox.claim(self._terms.lease)
        if claim is not None:
            reach("after_claim")
            if claim.taken_over:
                self._meter.count(Event.TAKEOVER)
        return claim

    async def _answer(self, claim: Claim) -> None:
        workspace = claim.messages[-1].address.workspace_id
        with log_context(workspace=workspace, conversation_id=claim.conversation_id):
            await self._answer_or_put_off(claim)

    async def _answer_or_put_off(self, claim: Claim) -> None:
        try:
            await self._turn(claim)
        except asyncio.CancelledError:
            with suppress(LeaseLostError, StorageError):
                await self._inbox.release(claim)
            raise
        except LeaseLostError as error:
            self._meter.count(Event.LEASE_LOST)
            logger.info("%s", error)
            await self._withdraw(claim)  # taken back, edited, or a person's now
        except Exception as error:  # handed to the customer as an apology when it goes on
            logger.exception("attempt %d to answer failed", claim.attempts)
            await self._put_off(claim, error)

    async def _turn(self, claim: Claim) -> None:
        if claim.attempts > self._terms.max_attempts:  # its workers died before they could say why
            await self._give_up(claim, "its workers died")
            return
        reply = await self._keeping_the_lease(claim, self._reply(claim))
        reach("before_finish")
        await self._finish(claim, reply)
        if reply.decision is Decision.SILENT:
            await self._withdraw(claim)
        self._meter.observe(Measure.ATTEMPTS, claim.attempts)
        self._meter.observe(Measure.MODEL_SECONDS, reply.timings_ms.generate / 1000)
        reach("after_finish")
        self._finished.ring()

    async def _reply(self, claim: Claim) -> Reply:
        address = claim.messages[-1].address
        async with asyncio.timeout(self._terms.answer):
            history = await self._log.history(address)
            reach("while_answering")
            preview = self._previewing(claim)
            reply = await self._responder.reply(claim.message, history, preview)
            await preview(Cue.WRITTEN)
            return reply

    def _previewing(self, claim: Claim) -> Callable[[str | Cue], Awaitable[None]]:
        """Return what shows pieces of the answer for as long as that works: a preview must not cost the answer."""
        works, has_begun = True, False

        async def preview(text: str | Cue) -> None:
            nonlocal works, has_begun
            has_begun = has_begun or isinstance(text, str)
            try:
                if works and has_begun:
                    async with asyncio.timeout(_PREVIEW_SECONDS):
                        await self._preview(claim.messages[-1], claim.lease, text)
            except Exception as error:
                works = False
                logger.warning("previews of this answer end: %r", error)

        return preview

    async def _withdraw(self, claim: Claim) -> None:
        """Take away what was shown: no reply comes of this attempt."""
        with suppress(Exception):  # whatever keeps it from going, the turn is over
            async with asyncio.timeout(_PREVIEW_SECONDS):
                await self._preview(claim.messages[-1], claim.lease, Cue.NOTHING)

    async def _keeping_the_lease(self, claim: Claim, answering: Awaitable[Reply]) -> Reply:
        """Return the reply; stop at once when the lease is lost: to an edit, a deletion, or another worker."""
        tasks = asyncio.ensure_future(answering), asyncio.ensure_future(self._renew(claim))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].cancelled():  # by itself: it must not pass for a shutdown, after which it would begin again at once
                raise RuntimeError("the dialogue cancelled itself")
            if tasks[0].done():
                return tasks[0].result()
            tasks[1].result()  # raises LeaseLostError
            raise LeaseLostError(f"conversation {claim.conversation_id} is no longer ours")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _renew(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self._terms.renew)
            with suppress(StorageError):  # the next renewal may come through, and the lease decides in the end
                await self._inbox.renew(claim, self._terms.lease)

    async def _finish(self, claim: Claim, reply: Reply) -> None:
        """Write the answer; while the database is away keep it, for as long as the lease lasts."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._terms.lease
        while True:
            try:
                await self._inbox.finish(claim, reply)
                return
            except StorageError:
                if loop.time() > deadline:
                    raise
            await asyncio.sleep(backoff(2, self._terms.first_delay, self._terms.longest_delay))

    async def _put_off(self, claim: Claim, error: Exception) -> None:
        with suppress(LeaseLostError, StorageError):
            if claim.attempts >= self._terms.max_attempts:
                await self._give_up(claim, repr(error))
            else:
                delay = backoff(claim.attempts, self._terms.first_delay, self._terms.longest_delay)
                await self._inbox.retry(claim, repr(error), delay)

    async def _give_up(self, claim: Claim, error: str) -> None:
        turn_id = await self._inbox.bury(claim, error, self._responder.apology())
        self._meter.count(Event.DEAD)
        with log_context(turn_id=turn_id):
            logger.error("%d attempts failed, the customer was handed over: %s", claim.attempts, error)
        self._finished.ring()
