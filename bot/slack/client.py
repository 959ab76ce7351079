"""Calls of Slack's Web API, and what each failure means: not taken, never taken, not now, or perhaps taken."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any

from core.errors import DeliveryError, RateLimitedError, RefusedError, SettingsError, UncertainError

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from slack_sdk.web.async_client import AsyncWebClient

API_URL = "https://slack.com/api/"
# Never a ping that was not meant: `chat.update` reads names in a text unless it is told not to, unlike `chat.postMessage`.
VERBATIM = {"parse": "none", "link_names": False}
QUIET = {**VERBATIM, "unfurl_links": False, "unfurl_media": False}  # and never a preview of a link
CALL_SECONDS = 9  # below the courier's own limit of 10, so that this error is the one that says what happened
# Slack took the call and something broke behind it: nobody can tell how far it got.
_BROKEN = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
_FOR_NOW = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded", "streaming_state_conflict", "team_access_not_granted"})


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
        return await self._called(method, counted, json={name: value for name, value in arguments.items() if value is not None})

    async def ask(self, method: str, **arguments: str | int | bool) -> Mapping[str, Any]:
        """Return what a reading `method` answers; those take no JSON. Raises a `DeliveryError`."""
        return await self._called(method, method, http_verb="GET", params={name: _as_form(value) for name, value in arguments.items()})

    async def _called(self, method: str, counted: str, **request: Any) -> Mapping[str, Any]:
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
        return data

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
        return DeliveryError(told)
    return SlackRefusedError(told, code)


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
