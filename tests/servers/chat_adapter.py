"""The adapter of the local chat platform: tells apart what did not arrive, what never will, and what perhaps did."""

from __future__ import annotations

from typing import Any, Self

import httpx

from core.domain import Cue, InboundMessage
from core.errors import DeliveryError, RateLimitedError, RefusedError, UncertainError
from core.ports import Delivery

_TIMEOUT_SECONDS = 10.0
_NOT_WRITTEN = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class HttpChatAdapter:
    """`ChatAdapter` of `ChatServer`; close it, or use it as an async context manager."""

    platform = "chat"

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=url, timeout=_TIMEOUT_SECONDS)  # httpx retries nothing unless told
        self.previews = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send(self, delivery: Delivery) -> str:
        """Deliver a reply and return its id. Raises a `DeliveryError`."""
        address = delivery.address
        message = {"channel": address.channel_id, "thread": address.thread_id, "key": delivery.key, "text": delivery.reply.text}
        try:
            response = await self._client.post("/messages", json=message)
        except _NOT_WRITTEN as error:
            raise DeliveryError(f"The chat platform is out of reach: {error!r}") from error
        except httpx.TransportError as error:  # the request, or a part of it, was written
            raise UncertainError(f"The chat platform broke off before it answered: {error!r}") from error
        if response.is_server_error:
            raise UncertainError(f"The chat platform failed with {response.status_code}, perhaps after it took the message.")
        return str(_document(response)["id"])

    async def find(self, delivery: Delivery) -> str | None:
        """Return the id of the message that arrived under this key. Raises a `DeliveryError`."""
        asked = {"channel": delivery.address.channel_id, "thread": delivery.address.thread_id, "key": delivery.key}
        try:
            response = await self._client.get("/messages", params=asked)
        except httpx.TransportError as error:  # looking again is harmless: nothing is uncertain here
            raise DeliveryError(f"The chat platform cannot be asked: {error!r}") from error
        found: str | None = _document(response)["id"]
        return found

    async def preview(self, message: InboundMessage, attempt: str, text: str | Cue) -> None:
        """Show nothing; count."""
        self.previews += 1


def _document(response: httpx.Response) -> Any:
    """The answer. Raises the `DeliveryError` that its status means."""
    if response.is_success:
        return response.json()
    told = f"The chat platform answered {response.status_code}."
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise RateLimitedError(told, float(response.headers.get("retry-after", 1)))
    if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise RefusedError(told)
    raise DeliveryError(told)
