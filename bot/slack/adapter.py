"""Slack, seen from inside: replies, drafts and alerts go out, each once, and what is uncertain is looked up."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.learning_news import choices
from bot.slack import blocks
from bot.slack.blocks import Message
from bot.slack.client import QUIET, VERBATIM, SlackRefusedError
from bot.slack.events import PLATFORM, PRIVATE, REPLY_EVENT
from bot.slack.live import LivePreviews
from bot.slack.staff_messages import StaffMessages
from bot.slack.workspaces import Workspace, Workspaces
from core.domain import Action, Address, Cue, InboundMessage
from core.errors import DeliveryError, RefusedError
from core.learning import RunBook
from core.ports import Delivery
from core.previews import Previews
from core.review import TurnBook
from core.vault import Vault

logger = logging.getLogger(__name__)

LOOK_BACK = 200  # messages of the staff channel; a lost draft is one of the last


@dataclass(frozen=True, slots=True)
class Stores:
    """What the adapter reads and writes."""

    turns: TurnBook
    previews: Previews
    vault: Vault
    runs: RunBook
    texts: Callable[[tuple[str, ...]], Awaitable[tuple[str, ...]]]  # passage ids -> their texts as they are served


class SlackAdapter:
    """`ChatAdapter` of Slack."""

    platform = PLATFORM

    def __init__(
        self,
        workspaces: Workspaces,
        stores: Stores,
        live: LivePreviews,
        staff_messages: StaffMessages,
        staff_channel: str = "",
        home: str = "",
    ) -> None:
        """`staff_channel` of the workspace `home` gets drafts, hand-offs and news; without one drafts are refused, the others not sent."""
        self._workspaces = workspaces
        self._stores = stores
        self._live = live
        self._staff_messages = staff_messages
        self._staff_channel = staff_channel
        self._home = home

    async def send(self, delivery: Delivery) -> str:
        """See `ChatAdapter.send`."""
        workspace = await self._workspace(delivery.address)
        if delivery.revises is not None:
            return await self._revise(workspace, delivery, delivery.revises)
        if delivery.action.is_for_staff:
            return await self._tell_staff(workspace, delivery)
        if delivery.address.thread_id.startswith(PRIVATE):
            return await self._answer_privately(workspace, delivery)
        message = blocks.render(delivery, await self._cited(delivery))
        if delivery.action is Action.REPLY and (shown := await self._live.finish(workspace, delivery.address)) is not None:
            return await self._replace(workspace, delivery, message, shown)
        return await self._post(workspace, delivery, message, delivery.address.channel_id, delivery.address.thread_id)

    async def find(self, delivery: Delivery) -> str | None:
        """See `ChatAdapter.find`: read the thread back and look for our key."""
        address = delivery.address
        if delivery.revises is not None:
            return None  # what stands there is written over: twice does no harm
        if address.thread_id.startswith(PRIVATE):
            return None  # only the one who asked can see whether it is there; better twice to one person than never
        workspace = await self._workspace(address)
        try:
            return await self._look_up(workspace, delivery)
        except SlackRefusedError as error:
            if error.code != "missing_scope":
                raise
            logger.warning(
                "a reply that may have arrived cannot be looked up, it is sent again: Slack misses a scope. See: frontdesk doctor"
            )
            return None  # an app that may not read channels: better twice than never

    async def _look_up(self, workspace: Workspace, delivery: Delivery) -> str | None:
        address = delivery.address
        # A notice is asked for again and again, each time later: only a reply is known to stand below its question.
        since = f"{delivery.asked_at.timestamp() - 60:.6f}" if delivery.turn_id else "0"
        thread_ts = (await self._staff_messages.posting(delivery)).thread_ts if delivery.action.is_about_handoff else None
        if delivery.action.is_for_staff and thread_ts is None:
            read = await workspace.client.ask("conversations.history", channel=self._staff_channel, oldest=since, **_WITH_METADATA)
            return next((f"{self._staff_channel}/{one['ts']}" for one in read.get("messages", ()) if _has_key(one, delivery.key)), None)
        channel_id, ts = (self._staff_channel, thread_ts) if thread_ts else (address.channel_id, address.thread_id)
        async for message in workspace.client.thread(channel_id, ts, since):
            if _has_key(message, delivery.key):
                return f"{channel_id}/{message['ts']}"
        return None

    async def withdraw(self, address: Address) -> None:
        """Take away what is shown of an answer that will not come: its question was taken back, or a person answers."""
        await self._live.take_away(await self._workspace(address), address)

    async def preview(self, message: InboundMessage, attempt: str, text: str | Cue) -> None:
        """See `ChatAdapter.preview`."""
        if message.address.thread_id.startswith(PRIVATE):
            return
        if text is Cue.WRITTEN:
            await self._live.settle(message, attempt)
            return
        workspace = await self._workspace(message.address)
        if isinstance(text, str):
            self._live.show(workspace, message, attempt, text)
        else:
            self._live.withdraw(workspace, message.address, attempt)

    async def _workspace(self, address: Address) -> Workspace:
        workspace = await self._workspaces.workspace(address.workspace_id or self._home)
        if workspace is None:
            raise RefusedError(f"Frontdesk is not installed in the Slack workspace {address.workspace_id}.")
        return workspace

    async def _cited(self, delivery: Delivery) -> tuple[str, ...]:
        """The texts of the sources: links that stand in them may be live."""
        return await self._stores.texts(tuple(citation.passage_id for citation in delivery.reply.citations))

    async def _replace(self, workspace: Workspace, delivery: Delivery, message: Message, shown: str) -> str:
        """Put the reply in the place of its preview; where that is gone, post it."""
        channel, _, ts = shown.partition("/")
        try:
            await workspace.client.call("chat.update", channel=channel, ts=ts, **_content(delivery, message), **VERBATIM)
        except SlackRefusedError as error:
            logger.info("the preview cannot be replaced (%s), the reply is posted", error.code)
            await self._live.drop(workspace, delivery.address)
            return await self._post(workspace, delivery, message, delivery.address.channel_id, delivery.address.thread_id)
        return shown

    async def _tell_staff(self, workspace: Workspace, delivery: Delivery) -> str:
        if not self._staff_channel:
            raise RefusedError("No staff channel is set (slack.staff_channel): drafts and hand-offs have nowhere to go.")
        if delivery.action is Action.NEWS:
            run = await self._stores.runs.run(delivery.address.thread_id)
            message = blocks.run_news(delivery, choices(run)) if run else blocks.render(delivery)
            return await self._post(workspace, delivery, message, self._staff_channel, None)
        if delivery.action.is_about_handoff:
            message, thread_ts = await self._staff_messages.posting(delivery)
            return await self._post(workspace, delivery, message, self._staff_channel, thread_ts)
        turn = await self._stores.turns.turn(delivery.turn_id)
        link = await self._permalink(workspace, delivery.address)
        message = blocks.draft(delivery, turn.question if turn else "", link, await self._cited(delivery))
        return await self._post(workspace, delivery, message, self._staff_channel, None)

    async def _revise(self, workspace: Workspace, delivery: Delivery, reference: str) -> str:
        """Show anew what was sent, or take it away where nothing is left to be said."""
        channel, _, ts = reference.partition("/")
        if not ts:
            raise RefusedError("What was to be shown anew never arrived, or only one person sees it.")
        if delivery.action.is_about_handoff:
            message = (await self._staff_messages.posting(delivery)).message
        elif delivery.reply.text:
            message = blocks.render(delivery)
        else:
            return await self._take_back(workspace, channel, ts)
        await workspace.client.call("chat.update", channel=channel, ts=ts, **_content(delivery, message), **VERBATIM)
        return reference

    async def _take_back(self, workspace: Workspace, channel: str, ts: str) -> str:
        try:
            await workspace.client.call("chat.delete", channel=channel, ts=ts)
        except SlackRefusedError as error:
            if error.code != "message_not_found":  # somebody was quicker
                raise
        return f"{channel}/{ts}"

    async def _permalink(self, workspace: Workspace, address: Address) -> str:
        try:
            told = await workspace.client.ask("chat.getPermalink", channel=address.channel_id, message_ts=address.thread_id)
        except DeliveryError as error:
            logger.info("an alert goes out without a link: %s", error)
            return ""
        return str(told.get("permalink", ""))

    async def _answer_privately(self, workspace: Workspace, delivery: Delivery) -> str:
        """Answer a slash command where only the one who asked sees it; Slack gives half an hour for that."""
        url = await self._stores.vault.get(route_of(delivery.address))
        if url is None:
            raise RefusedError("The half hour in which Slack takes a private answer is over.")
        message = blocks.private(delivery, await self._cited(delivery))
        await workspace.client.respond(url.decode(), {"response_type": "ephemeral", "replace_original": False, **QUIET} | message._asdict())
        return delivery.key

    async def _post(self, workspace: Workspace, delivery: Delivery, message: Message, channel: str, thread_ts: str | None) -> str:
        content = _content(delivery, message)
        try:
            told = await workspace.client.call("chat.postMessage", channel=channel, thread_ts=thread_ts, **content, **QUIET)
        except SlackRefusedError as error:
            if not error.code.startswith("invalid_blocks"):
                raise
            logger.error("Slack refuses the layout of reply %s, it is sent as plain text: %s", delivery.key, error)
            del content["blocks"]
            told = await workspace.client.call("chat.postMessage", channel=channel, thread_ts=thread_ts, **content, **QUIET)
        return f"{told['channel']}/{told['ts']}"


_WITH_METADATA: Mapping[str, Any] = {"limit": LOOK_BACK, "include_all_metadata": True}


def route_of(address: Address) -> str:
    """Return the name under which the way back to a private conversation is kept."""
    return f"slack-route:{address.workspace_id}:{address.channel_id}:{address.thread_id}"


def _content(delivery: Delivery, message: Message) -> dict[str, Any]:
    metadata = {"event_type": REPLY_EVENT, "event_payload": {"key": delivery.key}}
    return {"text": message.text, "blocks": message.blocks, "metadata": metadata}


def _has_key(message: Mapping[str, Any], key: str) -> bool:
    """Whether a message carries `key`, in its metadata or in the name of a block."""
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    names = {block.get("block_id") for block in message.get("blocks") or ()}
    return payload.get("key") == key or blocks.KEY_PREFIX + key in names
