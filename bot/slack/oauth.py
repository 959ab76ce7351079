"""Slack's OAuth: where somebody says yes, and what that yes is exchanged for.

Own calls, because slack_sdk writes bodies to the log at DEBUG, where these hold tokens, and its URL generator escapes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin

from bot.slack.client import PausingClient, SlackRefusedError
from bot.slack.payload import Payload, word
from core.errors import UncertainError

if TYPE_CHECKING:
    from aiohttp import ClientSession

CALL_SECONDS = 4.0  # a refresh holds the lock of its secret meanwhile, on SQLite that of the whole database
_METHOD = "oauth.v2.access"


class OAuth:
    """What an app does in its own name, with its client id and secret."""

    def __init__(self, client_id: str, client_secret: str, api_url: str, session: ClientSession, now: Callable[[], float] = time) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._api_url = api_url.rstrip("/") + "/"
        self._session = session
        self._now = now

    def authorize_url(self, state: str, scopes: Sequence[str], redirect_uri: str) -> str:
        """Return the page of Slack that asks somebody whether to install the app."""
        asked = {"client_id": self._client_id, "scope": ",".join(scopes), "state": state} | _back(redirect_uri)
        return f"{urljoin(self._api_url, '/oauth/v2/authorize')}?{urlencode(asked)}"

    def open_url(self, app_id: str, team_id: str) -> str:
        """Return the page of Slack that opens the app."""
        return f"{urljoin(self._api_url, '/app_redirect')}?{urlencode({'app': app_id, 'team': team_id})}"

    def client(self, workspace_id: str, token: str) -> PausingClient:
        """Return what calls Slack in a workspace."""
        return PausingClient(token, self._api_url, self._session, workspace_id, self._now)

    async def exchange(self, code: str, redirect_uri: str) -> Payload:
        """Return the token for a yes. Raises a `DeliveryError`."""
        return await self._access({"code": code} | _back(redirect_uri))

    async def refresh(self, refresh_token: str) -> Payload:
        """Return the next token and the next refresh token; the one given is spent then. Raises a `DeliveryError`."""
        return await self._access({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def _access(self, asked: dict[str, str]) -> Payload:
        import aiohttp

        form = {"client_id": self._client_id, "client_secret": self._client_secret} | asked
        patience = aiohttp.ClientTimeout(CALL_SECONDS)
        try:
            async with self._session.post(self._api_url + _METHOD, data=form, timeout=patience, allow_redirects=False) as response:
                told = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:  # `from None`: what came may hold a token
            raise UncertainError(f"Slack broke off before it answered {_METHOD}: {error.__class__.__name__}") from None
        if not isinstance(told, dict) or not (told.get("ok") is True or word(told, "error")):
            raise UncertainError(f"Slack answered {_METHOD} with something that is no answer.")
        if told.get("ok") is not True:
            raise SlackRefusedError(f"Slack answered {_METHOD} with {word(told, 'error')[:80]}.", word(told, "error"))
        return told


def _back(redirect_uri: str) -> dict[str, str]:
    """Without a public URL Slack takes the one in the app's configuration; it is never made from what a browser sent."""
    return {"redirect_uri": redirect_uri} if redirect_uri else {}
