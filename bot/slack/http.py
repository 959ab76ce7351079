"""Requests from Slack over HTTP: only what Slack signed in the last minutes gets in, and nothing of the rest is written down."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from hmac import compare_digest
from time import time
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp
    from slack_sdk.signature import SignatureVerifier

logger = logging.getLogger(__name__)

PATH = "/slack/events"
WINDOW_SECONDS = 300  # a signature older than that is refused
_ALARM_AFTER = 3  # well-signed requests in a row outside the window: it is our clock, not an attacker


class Clock:
    """Whether the clock of this host can be right: Slack's signatures tell."""

    def __init__(self) -> None:
        self._outside = 0
        self.skew_seconds = 0.0

    @property
    def problem(self) -> str:
        """What to do, empty when all is well."""
        if self._outside < _ALARM_AFTER:
            return ""
        return f"the clock of this host is {self.skew_seconds:+.0f} s away from Slack's, so every request is refused. Check NTP."

    def saw(self, skew: float) -> None:
        """Note the age of a well-signed request."""
        self.skew_seconds = skew
        self._outside = self._outside + 1 if abs(skew) > WINDOW_SECONDS else 0


def endpoint(app: AsyncApp, secrets: Sequence[str], clock: Clock) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of `POST /slack/events`; during a rotation two `secrets` are valid."""
    from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
    from slack_sdk.signature import SignatureVerifier

    handler = AsyncSlackRequestHandler(app)
    verifiers = [SignatureVerifier(secret) for secret in secrets]

    async def handle(request: Request) -> Response:
        body = (await request.body()).decode("utf-8", errors="replace")
        sent_at, signature = request.headers.get("x-slack-request-timestamp", ""), request.headers.get("x-slack-signature", "")
        if not sent_at.isascii() or not sent_at.isdigit() or len(sent_at) > 12:  # the verifier would raise
            return _refused("without a timestamp")
        if not any(_signed(verifier, sent_at, body, signature) for verifier in verifiers):
            return _refused("with a wrong signature")
        clock.saw(time() - int(sent_at))
        if not any(verifier.is_valid(body, sent_at, signature) for verifier in verifiers):
            return _refused(f"signed {clock.skew_seconds:.0f} s ago")
        return await handler.handle(request)

    return handle


def _signed(verifier: SignatureVerifier, sent_at: str, body: str, signature: str) -> bool:
    expected = verifier.generate_signature(timestamp=sent_at, body=body) or ""
    return compare_digest(expected.encode(), signature.encode())


def _refused(why: str) -> Response:
    logger.warning("a request to %s %s was refused", PATH, why)
    return JSONResponse({"error": {"code": "unauthorized", "message": "This request is not signed by Slack."}}, 401)
