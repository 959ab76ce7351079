"""What the local Slack remembers: channels, people, messages, views and tokens, and who waits for a change."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any

TRIGGER_SECONDS, RESPONSE_SECONDS, RESPONSE_USES = 30.0, 1800.0, 5  # Slack waits 3 for a trigger, a busy machine may stand still so long
Json = dict[str, Any]


class SlackError(Exception):
    """What a method answers instead of `ok`; `messages` go into `response_metadata`."""

    def __init__(self, error: str, *messages: str, **more: Any) -> None:
        super().__init__(error, *messages)
        self.error, self.messages, self.more = error, messages, more


@dataclass(eq=False)
class User:
    """A person or a bot."""

    id: str
    name: str
    team_id: str = "T0TEAM"
    locale: str = "en-US"
    is_admin: bool = False
    is_bot: bool = False
    is_restricted: bool = False  # a guest of several channels
    is_ultra_restricted: bool = False  # a guest of one channel
    is_stranger: bool = False  # of another organisation, met in a shared channel only
    deleted: bool = False


@dataclass(eq=False)
class Channel:
    """A conversation; `kind` is channel, private, im or mpim."""

    id: str
    name: str = ""
    kind: str = "channel"
    members: set[str] = field(default_factory=set)
    archived: bool = False
    is_ext_shared: bool = False
    team_ids: tuple[str, ...] = ("T0TEAM",)

    @property
    def event_type(self) -> str:
        """The `channel_type` of an event."""
        return {"private": "group"}.get(self.kind, self.kind)


@dataclass(eq=False)
class Message:
    """One message as it stands; `shown` keeps the blocks that an edit has replaced, for whoever presses a button late."""

    channel: str
    ts: str
    user: str
    text: str
    thread_ts: str | None = None
    bot_id: str | None = None
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    files: list[Json] = field(default_factory=list)
    metadata: Json | None = None
    edited: Json | None = None
    subtype: str | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    streaming: str | None = None  # open, stopped, stopped_by_user, expired
    chunks: list[Json] = field(default_factory=list)
    ephemeral_for: str | None = None
    arguments: Json = field(default_factory=dict)  # what it was posted with
    shown: list[list[Json]] = field(default_factory=list)
    at: float = 0.0  # seconds since the epoch by the platform's clock


@dataclass(eq=False)
class View:
    """A modal or a home tab of one person."""

    id: str
    user: str
    content: Json
    hash: str
    open: bool = True
    errors: Json = field(default_factory=dict)


@dataclass(eq=False)
class Token:
    """Whose token it is and how long it holds."""

    team_id: str
    kind: str = "bot"
    expires: float | None = None
    revoked: bool = False


@dataclass(eq=False)
class Hook:
    """A response_url."""

    user: str
    channel: str
    born: float
    message: Message | None = None
    used: int = 0


@dataclass(eq=False)
class Trigger:
    """A trigger_id."""

    user: str
    born: float
    used: bool = False


def _people() -> dict[str, User]:
    return {one.id: one for one in (User("U0ANN", "ann"), User("U0BOB", "bob"), User("U0BOT", "frontdesk", is_bot=True))}


def _channels() -> dict[str, Channel]:
    help_ = Channel("C0HELP", "help", members={"U0ANN", "U0BOB", "U0BOT"})
    return {one.id: one for one in (help_, Channel("D0ANN", kind="im", members={"U0ANN", "U0BOT"}))}


@dataclass(eq=False)
class Workspace:
    """One workspace with one app. `changed()` wakes whoever is in `until`."""

    team_id: str = "T0TEAM"
    app_id: str = "A0APP"
    bot_user: str = "U0BOT"
    bot_id: str = "B0BOT"
    bot_token: str = "xoxb-frontdesk"
    app_token: str = "xapp-1-A0APP-1-secret"
    signing_secret: str = "signing-secret"
    verification_token: str = "verification-token"
    client_id: str = "1.2"
    client_secret: str = "client-secret"
    scopes: str = "app_mentions:read,channels:history,chat:write,commands,im:history,users:read"
    rotation: bool = False  # oauth gives tokens of 12 hours
    echo_own: bool = False  # the app is told of its own messages
    stream_seconds: float = 300.0  # a stream that nobody stops is closed then
    log: Path | None = None
    clock: Callable[[], float] = time.time
    users: dict[str, User] = field(default_factory=_people)
    channels: dict[str, Channel] = field(default_factory=_channels)
    usergroups: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, Json] = field(default_factory=dict)
    messages: dict[str, list[Message]] = field(default_factory=dict)
    ephemerals: list[Message] = field(default_factory=list)
    views: dict[str, View] = field(default_factory=dict)
    homes: dict[str, View] = field(default_factory=dict)  # by user
    statuses: dict[tuple[str, str], str] = field(default_factory=dict)  # by channel and thread
    titles: dict[tuple[str, str], str] = field(default_factory=dict)
    prompts: dict[tuple[str, str | None], list[Json]] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    refreshers: dict[str, str] = field(default_factory=dict)  # unused refresh tokens, and their team
    codes: dict[str, Json] = field(default_factory=dict)  # of oauth, unused
    triggers: dict[str, Trigger] = field(default_factory=dict)
    hooks: dict[str, Hook] = field(default_factory=dict)
    tickets: set[str] = field(default_factory=set)  # of Socket Mode, unused
    url: str = ""
    _echoes: list[Json] = field(default_factory=list)  # events about the bot's own doing, not yet delivered
    _file: IO[str] | None = None
    _last: int = 0

    def __post_init__(self) -> None:
        self._pulse = asyncio.Event()
        self._numbers = count(1)
        self.tokens[self.bot_token] = Token(self.team_id)
        self.tokens[self.app_token] = Token(self.team_id, "app")

    def changed(self) -> None:
        """Say that something has happened."""
        self._pulse.set()
        self._pulse = asyncio.Event()

    async def until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait until it holds; it is looked at after every change."""
        async with asyncio.timeout(seconds):
            while not condition():
                await self._pulse.wait()

    def number(self, prefix: str) -> str:
        """A new id."""
        return f"{prefix}{next(self._numbers)}"

    def stamp(self) -> str:
        """A new ts: by the clock, and above every one before."""
        self._last = max(int(self.clock() * 1e6), self._last + 1)
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def thread(self, channel: str, thread_ts: str) -> list[Message]:
        """The message that began a thread, and its replies."""
        return [one for one in self.messages.get(channel, []) if thread_ts in (one.ts, one.thread_ts)]

    def by_bot(self, channel: str | None = None) -> list[Message]:
        """What the app has posted."""
        found = [one for name in self.messages if channel in (None, name) for one in self.messages[name]]
        return [one for one in found if one.bot_id == self.bot_id]

    def tell(self, event: Json) -> None:
        """The app wants to hear what it did itself."""
        if self.echo_own:
            self._echoes.append(event)

    def find(self, channel: str, ts: str) -> Message | None:
        """The message, if it stands; an ephemeral one too."""
        among = [*self.messages.get(channel, []), *self.ephemerals]
        return next((one for one in among if (one.channel, one.ts) == (channel, ts)), None)

    def store(self, message: Message) -> Message:
        """Put it into its channel."""
        message.at = self.clock()
        self.messages.setdefault(message.channel, []).append(message)
        self.note("post", message)
        return message

    def note(self, what: str, message: Message) -> None:
        """Log what happened to a message of the bot, and wake whoever waits."""
        if self._file and message.bot_id == self.bot_id:
            names = ("channel", "thread_ts", "ts", "text", "blocks", "metadata", "streaming")
            line = {"what": what, "at": time.time()} | {name: getattr(message, name) for name in names}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        self.changed()

    def discard(self, message: Message) -> bool:
        """Take it away; whether a tombstone stays in its place, because it has replies."""
        keeps = any(one.thread_ts == message.ts != one.ts for one in self.messages[message.channel])
        if keeps:
            message.text, message.user, message.subtype = "This message was deleted.", "USLACKBOT", "tombstone"
            message.blocks, message.files, message.metadata, message.bot_id = [], [], None, None
        else:
            self.messages[message.channel].remove(message)
        self.changed()
        return keeps

    def bot_profile(self) -> Json:
        """The app as it stands beside its messages."""
        name = self.users[self.bot_user].name
        return {"id": self.bot_id, "app_id": self.app_id, "name": name, "deleted": False, "team_id": self.team_id}

    def wire(self, message: Message, metadata: bool = False) -> Json:
        """A message as the API and the events show it."""
        team = self.users[message.user].team_id if message.user in self.users else self.team_id
        shown: Json = {"type": "message", "user": message.user, "text": message.text, "ts": message.ts, "team": team}
        optional = ("thread_ts", "subtype", "edited", "blocks", "attachments", "files", *(["metadata"] if metadata else []))
        shown |= {name: value for name in optional if (value := getattr(message, name))}
        if message.bot_id == self.bot_id:
            shown |= {"bot_id": self.bot_id, "app_id": self.app_id, "bot_profile": self.bot_profile()}
        elif message.bot_id:
            shown |= {"bot_id": message.bot_id, "app_id": f"A{message.bot_id[1:]}"}
        if message.reactions:
            shown["reactions"] = [{"name": name, "users": who, "count": len(who)} for name, who in message.reactions.items()]
        return shown | self._place(message)

    def _place(self, message: Message) -> Json:
        """What a reply says of its root, and a root of its replies."""
        if message.thread_ts not in (None, message.ts):
            root = self.find(message.channel, message.thread_ts or "")
            return {"parent_user_id": root.user} if root else {}
        replies = [one for one in self.thread(message.channel, message.ts) if one is not message]
        if not replies:
            return {}
        who = list(dict.fromkeys(one.user for one in replies))
        counted = {"reply_count": len(replies), "reply_users_count": len(who), "latest_reply": replies[-1].ts, "reply_users": who}
        return {"thread_ts": message.ts, "is_locked": False, "subscribed": False, **counted}

    def show(self, view: View) -> Json:
        """A view as the API and the events show it."""
        given = {name: view.content.get(name) for name in ("type", "title", "submit", "close", "blocks")}
        texts = {name: view.content.get(name, "") for name in ("private_metadata", "callback_id", "external_id")}
        flags = {name: view.content.get(name, False) for name in ("clear_on_close", "notify_on_close")}
        whose = {"team_id": self.team_id, "app_id": self.app_id, "app_installed_team_id": self.team_id, "bot_id": self.bot_id}
        ids = {"id": view.id, "hash": view.hash, "root_view_id": view.id, "previous_view_id": None}
        return given | texts | flags | whose | ids | {"state": {"values": {}}}

    def new_trigger(self, user: str) -> str:
        """A trigger_id."""
        name = self.number("1700000000.") + ".trigger"
        self.triggers[name] = Trigger(user, self.clock())
        return name

    def new_hook(self, user: str, channel: str, message: Message | None = None) -> str:
        """A response_url."""
        name = self.number("hook")
        self.hooks[name] = Hook(user, channel, self.clock(), message)
        return f"{self.url}/response/{name}"
