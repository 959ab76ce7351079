"""The pages through which a workspace installs the app: off to Slack, and back with a yes or a no."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bot.slack.install_states import LASTS, InstallStates
from bot.slack.installations import VaultWorkspaces
from bot.slack.manifest import scopes
from bot.slack.oauth import OAuth
from core.errors import DeliveryError, StorageError, VaultError

logger = logging.getLogger(__name__)

INSTALL = "/slack/install"
REDIRECT = "/slack/oauth_redirect"
_COOKIE = "__Host-frontdesk-install"  # the name makes browsers refuse one that another host or plain HTTP sets
_AGAIN = (INSTALL, "Start again")
_MOST_OF_A_CODE = 500
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} – Frontdesk</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/notice.css">
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
{link}</main>
</body>
</html>
"""


class InstallPages:
    """`routes` are their handlers, by path."""

    def __init__(self, oauth: OAuth, workspaces: VaultWorkspaces, states: InstallStates, public_url: str) -> None:
        self._oauth = oauth
        self._workspaces = workspaces
        self._states = states
        self._redirect_uri = public_url.rstrip("/") + REDIRECT if public_url else ""

    @property
    def routes(self) -> Mapping[str, Callable[[Request], Awaitable[Response]]]:
        """What answers GET, by path."""
        return {INSTALL: self.start, REDIRECT: self.finish}

    async def start(self, _request: Request) -> Response:
        """Send a browser to Slack, with a cookie by which it is known when it comes back."""
        try:
            started = await self._states.start()
        except (StorageError, VaultError) as error:
            return _broken(error)
        if started is None:
            text = "Too many people are installing Frontdesk at this moment. Please try again in a minute."
            return page(429, "Please wait a moment", text, _AGAIN)
        response = RedirectResponse(
            self._oauth.authorize_url(started.state, scopes(), self._redirect_uri), 302, {"cache-control": "no-store"}
        )
        age = int(LASTS.total_seconds())
        response.set_cookie(_COOKIE, started.browser, max_age=age, path="/", secure=True, httponly=True, samesite="lax")
        return response

    async def finish(self, request: Request) -> Response:
        """Take what Slack sends a browser back with."""
        response = await self._answer(request)
        response.delete_cookie(_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return response

    async def _answer(self, request: Request) -> Response:
        asked = request.query_params
        try:
            if not await self._states.redeem(asked.get("state", ""), request.cookies.get(_COOKIE, "")):
                logger.warning("somebody came to %s without having started in that browser, or too late", REDIRECT)
                return page(400, "This did not start here", _STRANGE, _AGAIN)
            if asked.get("error") == "access_denied":
                return page(403, "Nothing was installed", "You said no in Slack, so nothing has changed there.", _AGAIN)
            code = asked.get("code", "")
            if not code or len(code) > _MOST_OF_A_CODE:
                return page(400, "Nothing was installed", "Slack sent you back without a permission. Nothing has changed there.", _AGAIN)
            installation = await self._workspaces.install(code, self._redirect_uri)
        except DeliveryError as error:
            logger.error("an installation in Slack failed: %s", error)
            return page(502, "Nothing was installed", "Slack did not confirm the installation. Please try again in a minute.", _AGAIN)
        except (StorageError, VaultError) as error:
            return _broken(error)
        where = installation.name or "your workspace"
        text = f"Frontdesk is now part of {where}. Invite it to a channel, mention it there and ask your first question."
        identity = installation.identity
        return page(200, "Frontdesk is installed", text, (self._oauth.open_url(identity.app_id, identity.team_id), "Open Slack"))


_STRANGE = (
    "For your safety an installation must begin and end in the same browser, within ten minutes, and each attempt counts once. "
    "Cookies must be allowed for this site. Nothing has changed in Slack."
)


def _broken(error: Exception) -> Response:
    logger.error("an installation in Slack failed: %s", error)
    return page(
        503, "Something went wrong on our side", "Nothing was installed. Please try again later, or tell whoever runs this.", _AGAIN
    )


def page(status: int, title: str, text: str, link: tuple[str, str]) -> Response:
    """Return a page of one paragraph and one link, all escaped."""
    anchor = f'<p><a href="{escape(link[0])}">{escape(link[1])}</a></p>\n'
    html = _PAGE.format(title=escape(title), text=escape(text), link=anchor)
    return HTMLResponse(html, status, {"cache-control": "no-store"})
