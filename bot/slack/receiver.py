"""What Slack tells: every message goes to the inbox before Slack hears that we have it, or is none of our business."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TypeAlias

from bot.dispatch import Dispatch
from bot.slack.events import PLATFORM, Incoming, Receipt, translate
from bot.slack.payload import Payload, is_true, part, parts, word
from bot.slack.people import People
from bot.slack.workspaces import Workspace, Workspaces
from core.domain import Address, Deleted, Edited, InboundMessage, Owner
from core.ports import ConversationLog, Outbox
from core.presence import Channel, Channels, Heard, Mode, listen, needs_past

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 0.5  # in a conversation that goes on, what follows this quickly belongs to the same question


@dataclass(frozen=True, slots=True)
class Taken:
    """Staff have answered in a thread, which silences the bot there."""

    message: InboundMessage
    workspace: Workspace


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A question was taken back: what is shown of its answer must go."""

    address: Address


Consequence: TypeAlias = Taken | Withdrawn


class Receiver:
    """The one way in for messages from Slack, on either transport."""

    def __init__(
        self,
        workspaces: Workspaces,
        dispatch: Dispatch,
        outbox: Outbox,
        channels: Channels,
        log: ConversationLog,
        people: People,
        default: Mode,
    ) -> None:
        """`default` is the mode of channels that nobody has set."""
        self._workspaces = workspaces
        self._dispatch = dispatch
        self._outbox = outbox
        self._channels = channels
        self._log = log
        self._people = people
        self._default = default

    async def receive(self, body: Payload) -> Consequence | None:
        """Store what an envelope of the Events API says; return what else has to follow from it.

        Raises `NotAcceptedError` and `StorageError`: then Slack must send it again.
        """
        workspace = await self.workspace_of(body)
        if workspace is None:
            return None
        match translate(body, workspace.identity):
            case Incoming(heard=heard):
                return await self._hear(workspace, heard)
            case Edited() as edited:
                await self._dispatch.accept(edited)
            case Deleted() as deleted:
                await self._dispatch.accept(deleted)
                return Withdrawn(deleted.address)
            case Receipt(channel_id=channel_id, ts=ts, key=key):
                await self._outbox.received(PLATFORM, key, f"{channel_id}/{ts}")
        return None

    async def workspace_of(self, body: Payload) -> Workspace | None:
        """Return the installation that an envelope is for."""
        return await self._workspaces.workspace(owner_of(body))

    async def _hear(self, workspace: Workspace, heard: Heard) -> Taken | None:
        message = heard.message
        at = message.address
        channel = Channel() if heard.direct else await self._channels.channel(PLATFORM, at.workspace_id, at.channel_id)
        has_asked = needs_past(heard, channel) and await self._channels.has_asked(at, message.actor.actor_id)
        if heard.in_thread and not has_asked and await self._staff_take_over(workspace, heard):
            await self._log.set_owner(at, Owner.STAFF)
            await self._dispatch.accept(replace(message, for_bot=False))
            return Taken(message, workspace)
        accepted = listen(heard, channel, self._default, has_asked=has_asked)
        if accepted is not None:
            await self._dispatch.accept(accepted, SETTLE_SECONDS if heard.direct or heard.in_thread else 0.0)
        return None

    async def _staff_take_over(self, workspace: Workspace, heard: Heard) -> bool:
        """Tell whether this is a word of staff in a conversation of the bot, and not to the bot."""
        if heard.direct or heard.mentioned or heard.by_bot or not await self._log.is_known(heard.message.address):
            return False
        return (await self._people.is_staff(workspace, heard.message.actor.actor_id)).allowed


def owner_of(body: Payload) -> str:
    """Return the id of the installation that an envelope is for: an organisation, or a team."""
    seen_by: Payload = (parts(body, "authorizations") or [{}])[0]
    if is_true(seen_by, "is_enterprise_install"):
        return word(seen_by, "enterprise_id")
    return word(seen_by, "team_id") or word(body, "team_id") or word(part(body, "team"), "id")
