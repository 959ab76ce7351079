"""The Bolt app: what Slack sends comes in over HTTP or Socket Mode and goes one way, stored before Slack is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bot.slack.interactions import Command, Pressed, Shortcut, Submitted, command, pressed, shortcut, submitted
from bot.slack.payload import Payload, word
from bot.slack.receiver import Consequence, Receiver
from core.errors import DeliveryError

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp
    from slack_sdk.socket_mode.aiohttp import SocketModeClient

logger = logging.getLogger(__name__)

CONNECTIONS = 2  # Slack closes one of them every few hours; with a second there is always one that listens
PING_SECONDS = 10.0
_ANSWER_SECONDS = 2.5

Interaction = Pressed | Shortcut | Submitted | Command
Response = dict[str, Any] | None
# Answers an interaction; the answer goes back with the acknowledgement, within 3 s.
Interact = Callable[[Interaction], Awaitable[Response]]
# Tells whoever did it what came of an interaction that is worked on for longer than that.
TellLate = Callable[[Interaction, Awaitable[Response]], Awaitable[None]]
# What else may happen: an App Home opened, an uninstallation. Nothing is lost when it fails.
Observe = Callable[[Payload], Awaitable[None]]


def build(
    receiver: Receiver, interact: Interact, tell_late: TellLate, observe: Observe, follow: Callable[[Consequence], Awaitable[None]]
) -> AsyncApp:
    """Return an app that answers every request itself: an error is a 500, so that Slack sends again."""
    from slack_bolt.app.async_app import AsyncApp
    from slack_bolt.authorization import AuthorizeResult
    from slack_bolt.request.async_request import AsyncBoltRequest
    from slack_bolt.response import BoltResponse

    async def nobody(**_: object) -> AuthorizeResult:
        """Which installation it is for is known from the payload; nobody is asked for each event."""
        return AuthorizeResult(enterprise_id=None, team_id=None, bot_token="")

    app = AsyncApp(
        logger=_bolt_logger(),
        authorize=nobody,
        request_verification_enabled=False,  # done before, in `http`: Bolt would write the body of a forged request to the log
        ignoring_self_events_enabled=False,  # our own messages are receipts
        ignoring_self_assistant_message_events_enabled=False,
        attaching_conversation_kwargs_enabled=False,
    )
    afterwards: set[asyncio.Task[None]] = set()

    async def commit(req: AsyncBoltRequest) -> BoltResponse:
        if word(req.body, "type") == "event_callback":
            consequence = await receiver.receive(req.body)
            _later(afterwards, _after_event(req.body, consequence, observe, follow))
            return BoltResponse(status=200)
        interaction = pressed(req.body) or shortcut(req.body) or submitted(req.body) or command(req.body)
        answer = await _in_time(afterwards, interaction, interact, tell_late) if interaction is not None else None
        return BoltResponse(status=200, body="" if answer is None else answer)

    app.middleware(commit)
    return app


def _bolt_logger() -> logging.Logger:
    """Bolt warns of a SLACK_BOT_TOKEN in the environment that it does not use, though we do."""
    quiet = logging.getLogger("slack_bolt.frontdesk")
    quiet.setLevel(logging.ERROR)
    return quiet


async def _after_event(
    body: Payload, consequence: Consequence | None, observe: Observe, follow: Callable[[Consequence], Awaitable[None]]
) -> None:
    if consequence is not None:
        await follow(consequence)
    await observe(body)


def _later(tasks: set[asyncio.Task[None]], work: Any) -> None:
    """Do what Slack need not wait for; it may be lost in a crash, so nothing that was promised is done here."""

    async def quietly() -> None:
        try:
            await work
        except DeliveryError as error:
            logger.info("left undone: %s", error)
        except Exception:
            logger.exception("left undone")

    task = asyncio.ensure_future(quietly())
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _in_time(tasks: set[asyncio.Task[None]], interaction: Interaction, interact: Interact, tell_late: TellLate) -> Response:
    """Return the answer, or nothing while it is still worked on: Slack shows an error after three seconds."""
    task = asyncio.ensure_future(interact(interaction))
    done, _ = await asyncio.wait([task], timeout=_ANSWER_SECONDS)
    if done:
        return task.result()
    _later(tasks, tell_late(interaction, task))
    return None


class SocketMode:
    """Two connections to Slack, so that the refresh of one loses nothing."""

    def __init__(self, app: AsyncApp, app_token: str, api_url: str) -> None:
        self._app = app
        self._app_token = app_token
        self._api_url = api_url
        self._clients: list[SocketModeClient] = []

    @property
    def is_connected(self) -> bool:
        """Whether at least one connection stands."""
        return any(client.current_session is not None and not client.current_session.closed for client in self._clients)

    async def run(self) -> None:
        """Serve until cancelled. A connection that cannot be made is tried again by itself."""
        try:
            async with asyncio.TaskGroup() as connecting:
                for _ in range(CONNECTIONS):
                    connecting.create_task(self._connect())
            await asyncio.Event().wait()
        finally:
            await _close(self._clients)

    async def _connect(self) -> None:
        from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app, send_async_response
        from slack_sdk.socket_mode.aiohttp import SocketModeClient
        from slack_sdk.web.async_client import AsyncWebClient

        web = AsyncWebClient(base_url=self._api_url, retry_handlers=[])
        client = SocketModeClient(self._app_token, web_client=web, ping_interval=PING_SECONDS, logger=logging.getLogger("slack_sdk.socket"))

        async def handle(client: Any, request: Any) -> None:
            response = await run_async_bolt_app(self._app, request)
            await send_async_response(client, request, response, 0.0)

        client.socket_mode_request_listeners.append(handle)
        self._clients.append(client)
        delay = 1.0
        while True:
            try:
                await client.connect()  # type: ignore[no-untyped-call]
                return
            except Exception as error:  # the SDK raises whatever its transport does
                logger.error("Slack cannot be reached over Socket Mode (%s). Trying again in %g s.", error, delay)
            await asyncio.sleep(delay)
            delay = min(60.0, delay * 2)


async def _close(clients: Sequence[SocketModeClient]) -> None:
    for client in clients:
        with suppress(Exception):  # one that is broken is closed enough
            await client.close()  # type: ignore[no-untyped-call]
        left = (client.message_processor, client.current_session_monitor, client.message_receiver)
        await asyncio.gather(*(task for task in left if task is not None), return_exceptions=True)
