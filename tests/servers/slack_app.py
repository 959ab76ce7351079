"""A real Bolt app on either transport, for the tests of the local Slack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.servers.chat import QuietServer, listening
from tests.servers.slack import SlackPlatform


@dataclass
class Heard:
    """A Bolt app that writes down what it hears."""

    server: SlackPlatform
    app: AsyncApp
    events: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def types(self) -> list[tuple[str, str | None]]:
        return [(one["type"], one.get("subtype")) for one in self.events]


def heard_of(server: SlackPlatform) -> Heard:
    """Hears every event, its own too."""
    client = AsyncWebClient(server.bot_token, base_url=f"{server.url}/api/", retry_handlers=[])
    app = AsyncApp(client=client, signing_secret=server.signing_secret, ignoring_self_events_enabled=False)
    heard = Heard(server, app)

    async def event(event: dict[str, Any], body: dict[str, Any]) -> None:
        heard.events.append(event)
        heard.bodies.append(body)
        server.changed()

    for name in "message app_mention app_home_opened reaction_added tokens_revoked app_uninstalled".split():
        app.event(name)(event)
    app.event({"type": "message", "subtype": "message_changed"})(event)
    return heard


@asynccontextmanager
async def over_http(server: SlackPlatform, app: AsyncApp) -> AsyncIterator[None]:
    """Serves it, and tells the platform where."""
    handler = AsyncSlackRequestHandler(app)

    async def endpoint(request: Request) -> Response:
        return await handler.handle(request)

    listener = listening(0)
    server.events_url = f"http://127.0.0.1:{listener.getsockname()[1]}/slack/events"
    served = Starlette(routes=[Route("/slack/events", endpoint, methods=["POST"])])
    web = QuietServer(uvicorn.Config(served, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(web.serve([listener]))
    yield
    web.should_exit = True
    await task


@asynccontextmanager
async def over_socket(server: SlackPlatform, app: AsyncApp) -> AsyncIterator[AsyncSocketModeHandler]:
    """Connects it."""
    before = len(server.links)
    handler = AsyncSocketModeHandler(app, server.app_token)
    await handler.connect_async()
    await server.until(lambda: len(server.links) > before)
    yield handler
    await handler.close_async()
    # the SDK leaves its tasks to end by themselves
    ended = (handler.client.message_processor, handler.client.current_session_monitor, handler.client.message_receiver)
    await asyncio.gather(*(one for one in ended if one), return_exceptions=True)
