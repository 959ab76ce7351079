"""What Slack tells: every message goes to the inbox before Slack hears that we have it, or is none of our business."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from bot.dispatch import APOLOGY, Dispatch, NotAcceptedError
from bot.door import Door
from bot.slack.events import PLATFORM, Incoming, Receipt, translate
from bot.slack.payload import Payload, is_true, part, parts, word
from bot.slack.people import People
from bot.slack.workspaces import Workspace, Workspaces
from bot.staff_threads import Author
from core.domain import Address, Deleted, Edited, InboundMessage
from core.errors import DeliveryError
from core.ports import Outbox
from core.presence import Heard

logger = logging.getLogger(__name__)


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

    def __init__(self, workspaces: Workspaces, dispatch: Dispatch, outbox: Outbox, door: Door, people: People) -> None:
        self._workspaces = workspaces
        self._dispatch = dispatch
        self._outbox = outbox
        self._door = door
        self._people = people

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
        user_id = heard.message.actor.actor_id

        async def is_staff() -> bool:
            try:
                return await self._people.knows_staff(workspace, user_id)
            except DeliveryError as error:  # guessed wrong, the bot would talk into what staff say
                raise NotAcceptedError(APOLOGY) from error

        author = Author(is_staff, partial(self._people.name, workspace, user_id))
        return Taken(heard.message, workspace) if await self._door.hear(heard, author) else None


def owner_of(body: Payload) -> str:
    """Return the id of the installation that an envelope is for: an organisation, or a team."""
    seen_by: Payload = (parts(body, "authorizations") or [{}])[0]
    if is_true(seen_by, "is_enterprise_install"):
        return word(seen_by, "enterprise_id")
    if not seen_by and is_true(body, "is_enterprise_install"):  # nobody is left who would see it once the app is removed
        return word(body, "enterprise_id")
    return word(seen_by, "team_id") or word(body, "team_id") or word(part(body, "team"), "id")
