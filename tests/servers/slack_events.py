"""What the local Slack tells the app: events, interactions and commands, signed over HTTP or as envelopes of Socket Mode."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.servers.slack_link import Links
from tests.servers.slack_state import Json, Message, View

_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    """What the app answered; status 0 is no answer, and the body says why. Unpacks to (status, body)."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        """Whether it counts as acknowledged."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body) if self.body else {}

    def __iter__(self) -> Iterator[Any]:
        return iter((self.status, self.body))


@dataclass(eq=False)
class Deliveries(Links):
    """Tells the app, by `transport`: http (signed, to `events_url`) or socket. `delivered` holds the envelopes of events."""

    transport: str = "http"
    events_url: str = ""
    retry_pause: float = 0.0  # seconds
    delivered: list[Json] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    _client: httpx.AsyncClient | None = None

    def envelope(self, event: Json, event_id: str | None = None) -> Json:
        """An event_callback around an event."""
        where = event.get("channel") or event.get("item", {}).get("channel")
        channel = self.channels.get(where) if isinstance(where, str) else None
        who = {"enterprise_id": None, "team_id": self.team_id, "user_id": self.bot_user, "is_bot": True, "is_enterprise_install": False}
        shared = bool(channel and channel.is_ext_shared)
        about: Json = {
            "token": self.verification_token,
            "team_id": self.team_id,
            "context_team_id": self.team_id,
            "context_enterprise_id": None,
        }
        about |= {"api_app_id": self.app_id, "event": event, "type": "event_callback", "event_id": event_id or self.number("Ev0")}
        about |= {"event_time": int(self.clock()), "authorizations": [who], "is_ext_shared_channel": shared}
        return about | {"event_context": f"4-{channel.id if channel else self.app_id}"}

    async def deliver(
        self, event: Json, retry_num: int | None = None, event_id: str | None = None, retry_reason: str = "http_timeout", **sent: Any
    ) -> Answer:
        """Deliver an event; over HTTP once, over Socket Mode until it is acknowledged. `secret`, `timestamp`, `team_id` spoil it."""
        envelope = self.envelope(event, event_id) | ({"team_id": sent.pop("team_id")} if "team_id" in sent else {})
        return await self._deliver(envelope, retry_num, retry_reason, **sent)

    async def redeliver(self, envelope: Json, retry_num: int = 1, retry_reason: str = "http_timeout") -> Answer:
        """The same event again, with its event_id: one of `delivered`."""
        return await self._deliver(envelope, retry_num, retry_reason)

    async def deliver_until_accepted(self, event: Json, most: int = 1000) -> Answer:
        """Deliver an event, and again after `retry_pause` while it is not accepted, unless the app asks for no retry."""
        envelope, answer = self.envelope(event), Answer(0, "never")
        for attempt in range(most):
            reason = "http_error" if answer.status else answer.body
            answer = await self._deliver(envelope, attempt or None, reason)
            if answer.accepted or answer.headers.get("x-slack-no-retry") == "1":
                break
            await asyncio.sleep(self.retry_pause)
        return answer

    async def _deliver(self, envelope: Json, retry_num: int | None, reason: str, **sent: Any) -> Answer:
        self.delivered.append(envelope)
        if self.transport == "socket":
            return self._acknowledged(await self.send("events_api", envelope, self.retries, first=retry_num or 0))
        retried = {"X-Slack-Retry-Num": str(retry_num), "X-Slack-Retry-Reason": reason} if retry_num else {}
        return await self.post(json.dumps(envelope), _JSON, retried, **sent)

    async def verify_url(self, challenge: str = "challenge") -> Answer:
        """Ask whether the URL is the app's."""
        asked = {"type": "url_verification", "token": self.verification_token, "challenge": challenge}
        return await self.post(json.dumps(asked), _JSON)

    async def interact(self, payload: Json, **sent: Any) -> Answer:
        """Deliver an interaction; Slack tries once."""
        if self.transport == "socket":
            return self._acknowledged(await self.send("interactive", payload, 0))
        return await self.post(urlencode({"payload": json.dumps(payload)}), _FORM, **sent)

    async def command_with(self, fields: Json, **sent: Any) -> Answer:
        """Deliver a slash command; Slack tries once."""
        if self.transport == "socket":
            return self._acknowledged(await self.send("slash_commands", fields, 0))
        return await self.post(urlencode(fields), _FORM, **sent)

    async def post(
        self, body: str, kind: str, headers: Json | None = None, secret: str | None = None, timestamp: float | None = None
    ) -> Answer:
        """Post a signed body to the app; three seconds are what it has."""
        assert self._client, "the server is not running"
        stamp = str(int(time.time() if timestamp is None else timestamp))
        digest = hmac.new((secret or self.signing_secret).encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256)
        signed = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest.hexdigest()}", "Content-Type": kind}
        try:
            async with asyncio.timeout(self.ack_seconds):
                said = await self._client.post(self.events_url, content=body.encode(), headers=signed | (headers or {}))
            answer = Answer(said.status_code, said.text, dict(said.headers))
        except TimeoutError:
            answer = Answer(0, "http_timeout")
        except httpx.TransportError:
            answer = Answer(0, "connection_failed")
        return self._answered(answer)

    def _acknowledged(self, said: Json | str) -> Answer:
        if isinstance(said, str):
            return self._answered(Answer(0, said))
        return self._answered(Answer(200, json.dumps(said["payload"]) if said.get("payload") else ""))

    def _answered(self, answer: Answer) -> Answer:
        self.answers.append(answer)
        self.changed()
        return answer

    def interaction(self, kind: str, user: str, **more: Any) -> Json:
        """What every interaction begins with."""
        known = self.users[user]
        who = {"id": user, "username": known.name, "name": known.name, "team_id": known.team_id}
        about: Json = {"type": kind, "user": who, "team": {"id": self.team_id, "domain": "team"}, "enterprise": None}
        about |= {"api_app_id": self.app_id, "token": self.verification_token, "is_enterprise_install": False}
        return about | more

    def place(self, channel: str) -> Json:
        """A channel as interactions name it."""
        known = self.channels[channel]
        return {"id": channel, "name": {"im": "directmessage", "private": "privategroup"}.get(known.kind, known.name)}

    def action(self, block: Json, element: Json, value: Any) -> Json:
        """What using an element of a block says."""
        same = {name: element[name] for name in ("type", "action_id", "text", "style", "url") if name in element}
        said = same | {"block_id": block["block_id"], "action_ts": self.stamp()}
        if element["type"] in ("button", "icon_button", "feedback_buttons"):
            given = element.get("value") if value is None else value
            return said | ({} if given is None else {"value": given})
        return said | entered(element, value)

    def on_message(self, message: Message) -> Json:
        """Where an interaction happened: in a message."""
        where = {"type": "message", "message_ts": message.ts, "channel_id": message.channel, "is_ephemeral": bool(message.ephemeral_for)}
        if message.thread_ts:
            where["thread_ts"] = message.thread_ts
        return {"container": where, "channel": self.place(message.channel), "state": {"values": {}}}

    def on_view(self, view: View) -> Json:
        """Where an interaction happened: in a view."""
        return {"container": {"type": "view", "view_id": view.id}, "view": self.show(view)}


def entered(element: Json, value: Any) -> Json:
    """The state of an element in which somebody has entered or chosen something."""
    kind: str = element["type"]
    options = {one["value"]: one for one in element.get("options", [])}
    if kind in ("static_select", "radio_buttons", "overflow"):
        return {"type": kind, "selected_option": options[value] if value is not None else None}
    if kind in ("multi_static_select", "checkboxes"):
        return {"type": kind, "selected_options": [options[one] for one in value or []]}
    for name in ("user", "channel", "conversation"):
        if kind in (f"{name}s_select", f"multi_{name}s_select"):
            many = kind.startswith("multi_")
            return {"type": kind, f"selected_{name}s" if many else f"selected_{name}": value}
    return {"type": kind, {"datepicker": "selected_date", "timepicker": "selected_time"}.get(kind, "value"): value}
