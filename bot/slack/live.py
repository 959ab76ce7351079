"""What a Slack thread shows while an answer is written: a stream in a private conversation, an edited message elsewhere.

At most one message of it stays: the intent is recorded before anything is posted, and the reply takes the message's place.
Everything here is best effort, runs beside the answer, and is the first thing to go under rate limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from bot.addresses import JOINER
from bot.slack.client import QUIET, VERBATIM, SlackRefusedError
from bot.slack.events import REPLY_EVENT
from bot.slack.mrkdwn import escape, to_plain
from bot.slack.sections import fit
from bot.slack.workspaces import Workspace
from core import markup
from core.domain import Address, InboundMessage
from core.errors import DeliveryError, FrontdeskError, RefusedError, UncertainError
from core.previews import Preview, Previews

logger = logging.getLogger(__name__)

STATUS = "is looking through the help articles…"
PREVIEW_EVENT = "frontdesk_preview"
STREAM_SECONDS = 240.0  # Slack ends a stream after about five minutes
APPEND_SECONDS = 1.0
EDIT_SECONDS = 1.5
STREAMS_A_MINUTE = 18  # chat.startStream is tier 2: 20 a minute and workspace
EDITS_A_MINUTE = 40  # chat.update is tier 3: 50 a minute and workspace; some are left for replies
MAX_SHOWN = 3500  # chat.update refuses a text above 4,000
_MAX_KEPT = 1000  # answers at a time; turns that end in silence never come back for theirs
_PATIENCE_SECONDS = 3.0  # for a call that is under way when the reply is ready


@dataclass
class _Shown:
    """The preview of one attempt to answer."""

    message: InboundMessage
    attempt: str
    text: str = ""
    sent: int = 0  # characters of `text` that are shown
    reference: str = ""
    started_at: float = 0.0
    touched_at: float = 0.0
    greeted: bool = False
    over: bool = False  # nothing more is shown
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def streams(self) -> bool:
        """Whether it is a private conversation: a stream has one reader."""
        return self.message.address.channel_id.startswith("D")


class LivePreviews:
    """Shows answers while they are written."""

    def __init__(self, previews: Previews, clock: Callable[[], float] = monotonic) -> None:
        self._previews = previews
        self._clock = clock
        self._shown: OrderedDict[Address, _Shown] = OrderedDict()
        self._calls: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)  # of the last minute, by workspace and kind
        self._tasks: set[asyncio.Task[None]] = set()

    def withdraw(self, workspace: Workspace, address: Address, attempt: str) -> None:
        """Take away what an attempt showed to which no reply comes. Returns at once, it is done beside whatever comes next."""
        self._beside(self._withdraw(workspace, address, attempt))

    def show(self, workspace: Workspace, message: InboundMessage, attempt: str, text: str) -> None:
        """Append `text`; empty: say that the work begins. Returns at once, what it costs is paid beside the answer."""
        shown = self._shown.get(message.address)
        if shown is None or shown.attempt != attempt:
            shown = self._shown[message.address] = _Shown(message, attempt)
            while len(self._shown) > _MAX_KEPT:
                self._shown.popitem(last=False)
        shown.text += to_plain(markup.parse(text)) + " " if text else ""  # no link is live yet: which may be, the whole answer tells
        if not shown.busy.locked():  # else the one under way, or the next piece, brings it along
            self._beside(self._bring_up_to_date(workspace, shown))

    async def settle(self, message: InboundMessage, attempt: str) -> None:
        """Show nothing more, and return when what is under way has ended: a late edit would write over the reply."""
        shown = self._shown.get(message.address)
        if shown is not None and shown.attempt == attempt:
            await _quiet(shown)

    async def aclose(self) -> None:
        """Stop whatever is being shown."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def finish(self, workspace: Workspace, address: Address) -> str | None:
        """Stop showing; return the message that the reply should replace, None when there is none."""
        await self._stop(address)
        kept = await self._previews.of(address)
        if kept is None or kept.leaving:
            await self.drop(workspace, address)  # who began to take it away may have died over it
            return None
        reference = await self._reference(workspace, address, kept) or await self._previews.missing(address)
        if reference is not None:
            await self._stop_stream(workspace, reference)
        return reference

    async def take_away(self, workspace: Workspace, address: Address) -> None:
        """Delete a preview unless a reply is on its way that will replace it; best effort."""
        await self._stop(address)
        if await self._previews.leave(address):
            await self.drop(workspace, address)

    async def drop(self, workspace: Workspace, address: Address) -> None:
        """Delete a preview that cannot become the reply; best effort."""
        kept = await self._previews.of(address)
        if kept is None:
            return
        if (reference := await self._reference(workspace, address, kept)) is not None:
            await self._delete(workspace, reference)
        await self._previews.end(address)

    def _beside(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop(self, address: Address) -> None:
        shown = self._shown.pop(address, None)
        if shown is not None:
            await _quiet(shown)

    async def _withdraw(self, workspace: Workspace, address: Address, attempt: str) -> None:
        """Take away what an attempt showed, unless another attempt has begun there."""
        try:
            shown = self._shown.get(address)
            if shown is not None and shown.attempt == attempt:
                await self._stop(address)
                await self._set_status(workspace, address, "")
            kept = await self._previews.of(address)
            if kept is not None and kept.attempt == attempt:
                await self.take_away(workspace, address)
        except FrontdeskError as error:
            logger.warning("what was shown of an answer that never came may stay: %s", error)

    async def _bring_up_to_date(self, workspace: Workspace, shown: _Shown) -> None:
        async with shown.busy:
            try:
                if not shown.greeted:
                    await self._greet(workspace, shown)
                if shown.text and not shown.over:
                    await self._show_text(workspace, shown)
            except FrontdeskError as error:
                shown.over = True
                logger.info("the preview of an answer ends: %s", error)

    async def _greet(self, workspace: Workspace, shown: _Shown) -> None:
        """Say that the work begins; Slack clears it when the reply comes, or after two minutes.

        Where an earlier attempt left a message, the reply will take its place and nothing more is shown before.
        """
        shown.greeted = True
        if await self._previews.of(shown.message.address) is not None:
            shown.over = True
            return
        await self._set_status(workspace, shown.message.address, STATUS)
        if shown.over:  # the reply came meanwhile, and a status would stand below it
            await self._set_status(workspace, shown.message.address, "")

    async def _set_status(self, workspace: Workspace, address: Address, status: str) -> None:
        with suppress(DeliveryError):
            place = {"channel_id": address.channel_id, "thread_ts": address.thread_id}
            await workspace.client.call("assistant.threads.setStatus", **place, status=status)

    async def _show_text(self, workspace: Workspace, shown: _Shown) -> None:
        now = self._clock()
        if not shown.reference:
            await self._begin(workspace, shown)
        elif now - shown.started_at > STREAM_SECONDS:
            shown.over = True
        elif now - shown.touched_at >= (APPEND_SECONDS if shown.streams else EDIT_SECONDS):
            await self._go_on(workspace, shown)

    async def _begin(self, workspace: Workspace, shown: _Shown) -> None:
        kind, most = ("stream", STREAMS_A_MINUTE) if shown.streams else ("edit", EDITS_A_MINUTE)
        address = shown.message.address
        if not self._within(workspace, kind, most) or not await self._previews.begin(address, shown.attempt):
            shown.over = True
            return
        text, shown.started_at = shown.text, self._clock()
        try:
            told = await self._post(workspace, shown, text)
        except UncertainError:
            raise
        except DeliveryError:  # nothing was posted, so the reply need not look for it
            await self._previews.end(address)
            raise
        shown.reference = f"{address.channel_id}/{told['ts']}"
        shown.sent, shown.touched_at = len(text), self._clock()
        if not await self._previews.shown(address, shown.reference):
            shown.over = True
            if not await self._is_reply(workspace, address, told["ts"]):  # one that was quicker may have found it and taken its place
                await self._delete(workspace, shown.reference)

    async def _post(self, workspace: Workspace, shown: _Shown, text: str) -> Mapping[str, Any]:
        address = shown.message.address
        place = {"channel": address.channel_id, "thread_ts": address.thread_id}
        if shown.streams:
            reader = {"recipient_team_id": workspace.identity.team_id, "recipient_user_id": shown.message.actor.actor_id}
            return await workspace.client.call("chat.startStream", **place, **reader, markdown_text=_streamed(text))
        metadata = {"event_type": PREVIEW_EVENT, "event_payload": {"attempt": shown.attempt}}
        return await workspace.client.call("chat.postMessage", **place, **QUIET, text=_unfinished(text), metadata=metadata)

    async def _is_reply(self, workspace: Workspace, address: Address, ts: str) -> bool:
        """Whether a message has become a reply; if Slack does not say: better a half answer that stays than none."""
        try:
            since = f"{float(ts) - 1:.6f}"
            found = [one async for one in workspace.client.thread(address.channel_id, address.thread_id, since) if one["ts"] == ts]
        except DeliveryError as error:
            logger.warning("an unfinished answer may stay in a thread: %s", error)
            return True
        return any((one.get("metadata") or {}).get("event_type") == REPLY_EVENT for one in found)

    async def _go_on(self, workspace: Workspace, shown: _Shown) -> None:
        kept = await self._previews.of(shown.message.address)
        shown.over = kept is None or kept.leaving or kept.attempt != shown.attempt  # this process was slow, another has replied
        if shown.over:
            return
        channel, _, ts = shown.reference.partition("/")
        if shown.streams:
            new, shown.sent = shown.text[shown.sent :], len(shown.text)  # sent or not: after a broken call it must not come twice
            await workspace.client.call("chat.appendStream", channel=channel, ts=ts, markdown_text=_streamed(new))
        elif self._within(workspace, "edit", EDITS_A_MINUTE):
            await workspace.client.call("chat.update", channel=channel, ts=ts, text=_unfinished(shown.text), **VERBATIM)
        shown.touched_at = self._clock()

    async def _stop_stream(self, workspace: Workspace, reference: str) -> None:
        """End the stream if it is one: Slack takes no update of a running one."""
        channel, _, ts = reference.partition("/")
        if channel.startswith("D"):
            with suppress(SlackRefusedError):  # it has ended by itself, or the reader stopped it
                await workspace.client.call("chat.stopStream", channel=channel, ts=ts)

    async def _reference(self, workspace: Workspace, address: Address, kept: Preview) -> str | None:
        """Where it is shown; one may have been posted while nobody could write down where, and a stream carries no mark of ours."""
        if kept.reference:
            return kept.reference
        try:
            async for message in workspace.client.thread(address.channel_id, address.thread_id):
                if message["ts"] == address.thread_id:  # the question, which the bot writes itself when it is an example
                    continue
                metadata = message.get("metadata") or {}
                mine = message.get("bot_id") == workspace.identity.bot_id and metadata.get("event_type") != REPLY_EVENT
                if (metadata.get("event_payload") or {}).get("attempt") == kept.attempt or (mine and address.channel_id.startswith("D")):
                    return f"{address.channel_id}/{message['ts']}"
        except RefusedError as error:  # better a half answer that stays than none
            logger.warning("a preview cannot be looked for: %s", error)
        return None

    async def _delete(self, workspace: Workspace, reference: str) -> None:
        await self._stop_stream(workspace, reference)
        channel, _, ts = reference.partition("/")
        try:
            await workspace.client.call("chat.delete", channel=channel, ts=ts)
        except DeliveryError as error:
            logger.warning("an unfinished answer stays in a thread: %s", error)

    def _within(self, workspace: Workspace, kind: str, most: int) -> bool:
        """Count one more call of a workspace unless the last minute holds `most`."""
        calls, now = self._calls[workspace.workspace_id, kind], self._clock()
        while calls and calls[0] <= now - 60:
            calls.popleft()
        if len(calls) >= most:
            return False
        calls.append(now)
        return True


async def _quiet(shown: _Shown) -> None:
    """Show nothing more, and wait for a call that is under way, but not for long."""
    shown.over = True
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS), shown.busy:
            pass


def _unfinished(text: str) -> str:
    return fit(text.rstrip(), MAX_SHOWN) + " …"


def _streamed(text: str) -> str:
    """Return words that are none but words in a stream; nobody wrote down what Slack reads there first, its entities or its tokens."""
    return escape(text).replace("&lt;", f"&lt;{JOINER}")
