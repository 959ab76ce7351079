"""Many workspaces: who installed the app is kept sealed in the vault, read once a minute, and speaks with its own token only."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from time import time
from typing import NamedTuple

from bot.slack.client import SlackRefusedError
from bot.slack.installation import Installation, installed, load
from bot.slack.oauth import CALL_SECONDS, OAuth
from bot.slack.workspaces import Workspace
from core.errors import DeliveryError, VaultError
from core.vault import Vault

logger = logging.getLogger(__name__)

PREFIX = "slack-installation:"
KEPT_SECONDS = 60.0  # so long another process may not notice a new token; the old one holds for two hours
UNKNOWN_SECONDS = 5.0  # so long one that was installed through another process is not yet known
REFRESH_SECONDS = 2 * 3600.0  # a token of twelve hours is replaced when less than this is left of it
_MAX_KEPT = 10_000


class _Kept(NamedTuple):
    workspace: Workspace | None
    token: str
    since: float

    def is_fresh(self, now: float) -> bool:
        lasts = KEPT_SECONDS if self.workspace else UNKNOWN_SECONDS
        return 0 <= now - self.since < lasts  # a clock that was put back must not keep it for ever


class VaultWorkspaces:
    """`Workspaces` of everybody who installed the app."""

    def __init__(self, vault: Vault, oauth: OAuth, now: Callable[[], float] = time) -> None:
        self._vault = vault
        self._oauth = oauth
        self._now = now
        self._kept: dict[str, _Kept] = {}
        self._loading: dict[str, asyncio.Task[Workspace | None]] = {}

    async def check(self) -> None:
        """See `Workspaces.check`; one that can be opened is enough: the key is right, and another may be damaged."""
        failed: VaultError | None = None
        for name in await self._vault.names(PREFIX):
            try:
                await self._vault.get(name)
            except VaultError as error:
                failed = failed or error
            else:
                return
        if failed is not None:
            raise failed

    async def workspace(self, workspace_id: str) -> Workspace | None:
        """See `Workspaces.workspace`."""
        kept = self._kept.get(workspace_id)
        if kept is not None and kept.is_fresh(self._now()):
            return kept.workspace
        loading = self._loading.get(workspace_id)
        if loading is None:
            loading = self._loading[workspace_id] = asyncio.create_task(self._load(workspace_id))
            loading.add_done_callback(lambda done: self._loaded(workspace_id, done))
        # Whoever waits may be cancelled; a refresh half done would have spent its refresh token for nothing.
        return await asyncio.shield(loading)

    async def removed(self, workspace_id: str) -> None:
        """See `Workspaces.removed`; the event may be late, so an installation whose token still works is a newer one and stays."""
        if await self._still_works(workspace_id):
            logger.info("Slack workspace %s is installed again, it is kept", workspace_id)
            return
        await self._vault.delete(PREFIX + workspace_id)
        self._forget(workspace_id)
        logger.info("Slack workspace %s has removed the app, its tokens are deleted", workspace_id)

    async def install(self, code: str, redirect_uri: str) -> Installation:
        """Keep what somebody said yes to. Raises a `DeliveryError` when Slack does not give it."""
        given = installed(await self._oauth.exchange(code, redirect_uri), self._now())
        who = await self._oauth.client(given.workspace_id, given.token).call("auth.test")
        installation = replace(given, identity=replace(given.identity, bot_id=str(who.get("bot_id") or "")))
        await self._vault.put(PREFIX + given.workspace_id, installation.dump())
        self._forget(given.workspace_id)
        logger.info("Frontdesk is installed in the Slack workspace %s", given.workspace_id)
        return installation

    async def aclose(self) -> None:
        """See `Workspaces.aclose`: let refreshes end."""
        if self._loading:
            await asyncio.wait(self._loading.values(), timeout=CALL_SECONDS + 1)

    async def _load(self, workspace_id: str) -> Workspace | None:
        installation = await self._read(workspace_id)
        if installation is not None and installation.expires_within(REFRESH_SECONDS, self._now()):
            installation = await self._refreshed(installation)
        workspace = self._as_workspace(installation) if installation is not None else None
        if self._loading.get(workspace_id) is asyncio.current_task():  # else it was installed or removed meanwhile
            if workspace_id not in self._kept and len(self._kept) >= _MAX_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[workspace_id] = _Kept(workspace, installation.token if installation else "", self._now())
        return workspace

    def _loaded(self, workspace_id: str, done: asyncio.Task[Workspace | None]) -> None:
        if self._loading.get(workspace_id) is done:
            del self._loading[workspace_id]
        if not done.cancelled():
            done.exception()  # all who waited may be gone; asyncio would complain

    async def _read(self, workspace_id: str) -> Installation | None:
        try:
            return load(await self._vault.get(PREFIX + workspace_id))
        except VaultError as error:
            raise DeliveryError(str(error)) from error

    def _as_workspace(self, installation: Installation) -> Workspace:
        kept = self._kept.get(installation.workspace_id)
        if kept is not None and kept.workspace is not None and kept.token == installation.token:
            return kept.workspace  # a pause belongs to its token
        client = self._oauth.client(installation.workspace_id, installation.token)
        return Workspace(installation.workspace_id, installation.identity, client)

    async def _refreshed(self, old: Installation) -> Installation | None:
        """Return it with a new token; the old one when none can be had, which is tried again in a minute."""
        try:
            async with self._vault.locked(PREFIX + old.workspace_id) as locked:
                current = load(locked.value)
                if current is None or not current.expires_within(REFRESH_SECONDS, self._now()):
                    return current  # removed, or another process was quicker
                renewed = current.renewed(await self._oauth.refresh(current.refresh_token), self._now())
                await locked.replace(renewed.dump())
        except DeliveryError as error:
            logger.error("the token of Slack workspace %s cannot be refreshed, the old one is kept: %s", old.workspace_id, error)
            return old
        except VaultError as error:
            raise DeliveryError(str(error)) from error
        return renewed

    async def _still_works(self, workspace_id: str) -> bool:
        try:
            installation = await self._read(workspace_id)
            if installation is None:
                return False
            await self._oauth.client(workspace_id, installation.token).call("auth.test")
        except SlackRefusedError:
            return False
        except DeliveryError as error:
            logger.warning("Slack says that %s has removed the app, which could not be looked up: %s", workspace_id, error)
            return False
        return True

    def _forget(self, workspace_id: str) -> None:
        self._kept.pop(workspace_id, None)
        self._loading.pop(workspace_id, None)
