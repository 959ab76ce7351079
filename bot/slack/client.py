"""Calls of Slack's Web API, and what each failure means: not taken, never taken, not now, or perhaps taken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from core.errors import DeliveryError, RateLimitedError, RefusedError, SettingsError, UncertainError

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from slack_sdk.web.async_client import AsyncWebClient

logger = logging.getLogger(__name__)

# Never a ping that was not meant: `chat.update` reads names in a text unless it is told not to, unlike `chat.postMessage`.
VERBATIM = {"parse": "none", "link_names": False}
QUIET = {**VERBATIM, "unfurl_links": False, "unfurl_media": False}  # and never a preview of a link
CALL_SECONDS = 9  # below the courier's own limit of 10, so that this error is the one that says what happened
# Slack took the call and something broke behind it: nobody can tell how far it got.
_BROKEN = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
_FOR_NOW = frozenset(
    {"ratelimited", "rate_limited", "message_limit_exceeded", "streaming_state_conflict", "team_access_not_granted", "token_expired"}
)
ENDED = frozenset({"account_inactive", "token_revoked", "invalid_auth"})  # the token is worth nothing, whatever is asked with it
PAUSE_SECONDS = 600.0  # an incident at Slack can look like a revoked token: after this, one call finds out


def open_session() -> ClientSession:
    """Return the pool of connections that every workspace shares. Raises `SettingsError` when the packages are not there."""
    try:
        import aiohttp
        import slack_bolt  # noqa: F401
    except ImportError as error:
        raise SettingsError("Slack needs packages that are not installed: pip install 'frontdesk[slack]'") from error
    return aiohttp.ClientSession()


class SlackClient:
    """One workspace's calls; never retries: the outbox does, and looks before."""

    def __init__(self, token: str, api_url: str, session: ClientSession) -> None:
        from slack_sdk.web.async_client import AsyncWebClient

        self._session = session
        self._limited_until: dict[str, float] = {}
        self.web: AsyncWebClient = AsyncWebClient(token, base_url=api_url, timeout=CALL_SECONDS, session=session, retry_handlers=[])

    async def call(self, method: str, **arguments: Any) -> Mapping[str, Any]:
        """Return what a writing `method` answers; what is None is left out. Raises a `DeliveryError`."""
        # Slack counts each method by itself, and messages by channel: one busy channel must not silence the others.
        counted = f"{method} {arguments.get('channel')}" if method == "chat.postMessage" else method
        given = {name: value for name, value in arguments.items() if value is not None}
        return (await self._called(method, counted, json=given))[0]

    async def ask(self, method: str, **arguments: str | int | bool) -> Mapping[str, Any]:
        """Return what a reading `method` answers; those take no JSON. Raises a `DeliveryError`."""
        given = {name: _as_form(value) for name, value in arguments.items()}
        return (await self._called(method, method, http_verb="GET", params=given))[0]

    async def introduce(self) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        """Return whose token it is, and the headers of that answer, in small letters: they tell its scopes and the time."""
        return await self._called("auth.test", "auth.test", http_verb="POST")

    async def _called(self, method: str, counted: str, **request: Any) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        import aiohttp
        from slack_sdk.errors import SlackApiError

        self._wait_for(counted)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                response = await self.web.api_call(method, **request)
        except SlackApiError as error:
            meaning = _meaning(method, error.response)
            if isinstance(meaning, RateLimitedError):
                self._limited_until[counted] = monotonic() + meaning.seconds
            raise meaning from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:  # nothing was written
            raise DeliveryError(f"Slack is out of reach for {method}: {error.__class__.__name__}") from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise UncertainError(f"Slack broke off before it answered {method}: {error.__class__.__name__}") from error
        data = response.data
        if not isinstance(data, dict):
            raise UncertainError(f"Slack answered {method} with something that is no JSON.")
        return data, {name.lower(): value for name, value in response.headers.items()}

    async def thread(self, channel: str, ts: str, oldest: str = "0") -> AsyncIterator[Mapping[str, Any]]:
        """Yield the messages of a thread, oldest first as Slack gives them, with their metadata. Raises a `DeliveryError`."""
        asked: dict[str, str | int | bool] = {"channel": channel, "ts": ts, "oldest": oldest, "limit": 200, "include_all_metadata": True}
        while True:
            read = await self.ask("conversations.replies", **asked)
            for message in read.get("messages") or ():
                yield message
            cursor = (read.get("response_metadata") or {}).get("next_cursor")
            if not read.get("has_more") or not cursor:
                return
            asked["cursor"] = cursor

    def _wait_for(self, counted: str) -> None:
        """Raise at once what Slack would answer while it takes no more of something: asking on prolongs it."""
        left = self._limited_until.get(counted, 0.0) - monotonic()
        if left > 0:
            raise RateLimitedError(f"Slack takes no more {counted} for {left:.1f} s.", left)
        self._limited_until.pop(counted, None)

    async def respond(self, url: str, message: Mapping[str, Any]) -> None:
        """Answer an interaction at the address that Slack gave for it. Raises a `DeliveryError`."""
        import aiohttp

        try:
            async with self._session.post(url, json=dict(message), timeout=aiohttp.ClientTimeout(CALL_SECONDS)) as response:
                if response.status == 429:
                    raise RateLimitedError("Slack takes no more private answers for now.", _seconds(response.headers))
                if 400 <= response.status < 500:
                    raise RefusedError(f"Slack no longer takes this private answer ({response.status}).")
                if response.status >= 500:
                    raise UncertainError(f"Slack failed with {response.status}, perhaps after it took the private answer.")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UncertainError(f"Slack broke off before it took a private answer: {error.__class__.__name__}") from error


class PausingClient(SlackClient):
    """One of many workspaces: once Slack has said that its token is worth nothing, its calls fail at once and reach nobody."""

    def __init__(self, token: str, api_url: str, session: ClientSession, workspace_id: str, now: Callable[[], float] = time) -> None:
        super().__init__(token, api_url, session)
        self._workspace_id = workspace_id
        self._now = now
        self._ended_by = ""
        self._paused_until = 0.0

    async def _called(self, method: str, counted: str, **request: Any) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        if self._now() < self._paused_until:
            raise SlackRefusedError(f"Workspace {self._workspace_id} is paused: Slack said {self._ended_by}.", self._ended_by)
        try:
            return await super()._called(method, counted, **request)
        except SlackRefusedError as error:
            if error.code in ENDED:
                self._ended_by, self._paused_until = error.code, self._now() + PAUSE_SECONDS
                logger.error("workspace %s is paused until the app is installed there again: %s", self._workspace_id, error)
            raise


def _as_form(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _meaning(method: str, response: Any) -> DeliveryError:
    """Return the error that Slack's answer means."""
    status: int = getattr(response, "status_code", 0) or getattr(response, "status", 0)
    headers: Mapping[str, str] = getattr(response, "headers", None) or {}
    data = getattr(response, "data", None)
    code = str(data.get("error", "")) if isinstance(data, dict) else ""
    told = f"Slack answered {method} with {code or status}."
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return RateLimitedError(told, _seconds(headers))
    if status >= 500 or code in _BROKEN or not code:
        return UncertainError(told)
    if code in _FOR_NOW:
        return SlackNotNowError(told, code)
    return SlackRefusedError(told, code)


class SlackNotNowError(DeliveryError):
    """Slack said no, but may say yes later; `code` is its word for why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class SlackRefusedError(RefusedError):
    """Slack said no; `code` is its word for why."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def _seconds(headers: Mapping[str, str]) -> float:
    """Seconds to wait; Slack sends whole ones, and one second where it sends none."""
    try:
        return max(0.0, float(next((value for name, value in headers.items() if name.lower() == "retry-after"), 1)))
    except ValueError:
        return 1.0
