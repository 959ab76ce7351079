"""The workspaces that Frontdesk is installed in: who it is there, and with which token it speaks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

from bot.slack.client import SlackClient
from bot.slack.events import Identity

if TYPE_CHECKING:
    from aiohttp import ClientSession


class Workspace(NamedTuple):
    """One installation."""

    workspace_id: str  # of the organisation where the whole of it installed the app, else of the team
    identity: Identity
    client: SlackClient


class Workspaces(Protocol):
    """Finds installations."""

    async def check(self) -> None:
        """Raises `VaultError` when what is kept cannot be opened."""
        ...

    async def workspace(self, workspace_id: str) -> Workspace | None:
        """Return an installation (an empty id: that of a single token) or None. Raises a `DeliveryError` while Slack cannot be asked."""
        ...

    async def removed(self, workspace_id: str) -> None:
        """Forget an installation: the app was uninstalled or its token revoked."""
        ...

    async def aclose(self) -> None:
        """End what is under way."""
        ...


class OneWorkspace:
    """`Workspaces` of a single token; asks Slack once whose it is."""

    def __init__(self, token: str, api_url: str, session: ClientSession) -> None:
        self._client = SlackClient(token, api_url, session)
        self._known: Workspace | None = None
        self._asking = asyncio.Lock()

    async def only(self) -> Workspace:
        """Return it. Raises a `DeliveryError` while Slack cannot be asked or refuses the token."""
        async with self._asking:
            if self._known is None:
                told = await self._client.call("auth.test")
                identity = Identity(str(told["user_id"]), str(told.get("bot_id") or ""), "", str(told["team_id"]))
                enterprise = str(told.get("enterprise_id") or "") if told.get("is_enterprise_install") else ""
                self._known = Workspace(enterprise or identity.team_id, identity, self._client)
            return self._known

    async def check(self) -> None:
        """See `Workspaces.check`; nothing is kept of a token from the settings."""

    async def workspace(self, workspace_id: str) -> Workspace | None:
        """See `Workspaces.workspace`."""
        only = await self.only()
        return only if workspace_id in ("", only.workspace_id) else None

    async def removed(self, workspace_id: str) -> None:
        """See `Workspaces.removed`; a token from the settings cannot be forgotten, calls with it are refused from now on."""

    async def aclose(self) -> None:
        """See `Workspaces.aclose`."""
