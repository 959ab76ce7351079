"""Slack in one process: what goes out, what comes in, and over which transport."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property

from starlette.requests import Request
from starlette.responses import Response

from bot.setting_groups import Slack
from bot.slack.adapter import SlackAdapter
from bot.slack.app import SocketMode, build
from bot.slack.http import Clock, endpoint
from bot.slack.install_pages import InstallPages
from bot.slack.service import SlackService


class SlackParts:
    """The adapter for every process; the way in for those that serve Slack."""

    def __init__(self, settings: Slack, adapter: SlackAdapter, service: SlackService, pages: InstallPages | None = None) -> None:
        """`pages` where others may install the app."""
        self.adapter = adapter
        self._settings = settings
        self._service = service
        self._clock = Clock()
        self.pages: Mapping[str, Callable[[Request], Awaitable[Response]]] = pages.routes if pages else {}

    @cached_property
    def socket(self) -> SocketMode | None:
        """The connections of Socket Mode, None without an app-level token."""
        asked = self._settings
        return SocketMode(self._app, asked.app_token, asked.api_url) if asked.app_token else None

    @cached_property
    def endpoint(self) -> Callable[[Request], Awaitable[Response]] | None:
        """The handler of signed requests, None without a signing secret."""
        secrets = [secret.strip() for secret in self._settings.signing_secret.split(",") if secret.strip()]
        return endpoint(self._app, secrets, self._clock) if secrets else None

    @property
    def problem(self) -> str:
        """What keeps events from coming in, empty when all is well."""
        if self.socket is not None and not self.socket.is_connected:
            return "no connection over Socket Mode: see the log."
        return self._clock.problem

    @cached_property
    def _app(self):  # type: ignore[no-untyped-def]
        service = self._service
        return build(service.receiver, service.interact, service.tell_late, service.observe, service.follow)
