"""What the local Discord remembers: guilds, channels, people, messages, interactions, and who waits for a change."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntFlag
from itertools import chain
from pathlib import Path
from typing import IO, Any

Json = dict[str, Any]
TEXT, DIRECT, THREAD, PRIVATE_THREAD, FORUM_KIND = 0, 1, 11, 12, 15  # kinds of channels
EPOCH = 1_420_070_400.0  # of ids, in seconds
GUILD = 286_102_294_920 << 22  # on the first shard of 2, 4 or 8; also the role @everyone
HELP, FORUM, ANN, BOB, OLIVE, BOT, STAFF, BOT_ROLE, ANSWERED, NEEDS_HUMAN, SOLVED = range(GUILD + 1, GUILD + 12)


class Can(IntFlag):
    """The permissions that are looked at."""

    MANAGE_CHANNELS = 1 << 4
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38


EVERYTHING = sum(Can)
OF_STAFF = Can.MANAGE_THREADS | Can.MANAGE_MESSAGES | Can.MANAGE_CHANNELS | Can.MENTION_EVERYONE
OF_EVERYONE = EVERYTHING & ~OF_STAFF
OF_BOT = OF_EVERYONE | Can.MANAGE_THREADS


class DiscordError(Exception):
    """What a request is refused with."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.body: Json = {"message": message, "code": code} | ({"errors": errors} if errors else {})


def invalid(name: str, code: str, message: str) -> DiscordError:
    """A field that is not as it should be."""
    errors: Json = {"_errors": [{"code": code, "message": message}]}
    for part in reversed(name.split(".")):
        errors = {part: errors}
    return DiscordError(400, 50035, "Invalid Form Body", errors)


@dataclass(eq=False)
class Person:
    """A user; bots are people too."""

    id: int
    name: str
    is_bot: bool = False
    locale: str = "en-US"
    refuses_direct: bool = False  # takes no direct messages
    is_guest: bool = False  # in a voice channel for a while
    is_pending: bool = False  # has not agreed to the rules


@dataclass(eq=False)
class Role:
    """A role of a guild."""

    id: int
    name: str
    permissions: int
    of_bot: bool = False
    mentionable: bool = False


@dataclass(eq=False)
class Guild:
    """A server; `members` are people and their roles."""

    id: int
    name: str
    owner: int
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, list[int]] = field(default_factory=dict)
    locale: str = "en-US"


@dataclass(eq=False)
class Channel:
    """A text channel, forum, thread or direct conversation; `denied` are the permissions taken from a role or a person."""

    id: int
    kind: int
    name: str = ""
    guild: int | None = None
    parent: int | None = None
    owner: int | None = None
    recipient: int | None = None
    tags: list[Json] = field(default_factory=list)  # that posts of the forum may carry
    applied: list[int] = field(default_factory=list)  # that this post carries
    denied: dict[int, int] = field(default_factory=dict)
    archived: bool = False
    locked: bool = False
    flags: int = 0
    auto_archive: int = 1440
    members: set[int] = field(default_factory=set)  # of a thread
    messages: list[Message] = field(default_factory=list)
    at: float = 0.0
    typed: list[int] = field(default_factory=list)  # who said that they type, in order

    @property
    def is_thread(self) -> bool:
        """Whether it is one, or a post of a forum."""
        return self.kind in (THREAD, PRIVATE_THREAD)


@dataclass(eq=False)
class Message:
    """One message as it stands; `payload` and `edits` are what it was made of."""

    id: int
    channel: int
    author: int
    content: str = ""
    kind: int = 0  # 0 default, 19 reply, 20 command, 21 start of a thread, 23 context menu
    nonce: str | None = None
    flags: int = 0
    mentions: list[int] = field(default_factory=list)
    mention_roles: list[int] = field(default_factory=list)
    mention_everyone: bool = False
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    reference: tuple[int, int] | None = None  # a channel, and a message in it
    thread: int | None = None
    interaction: Interaction | None = None
    reactions: dict[str, list[int]] = field(default_factory=dict)
    payload: Json = field(default_factory=dict)
    edits: list[Json] = field(default_factory=list)
    at: float = 0.0  # seconds since the epoch by the platform's clock
    edited: float | None = None
    deleted: bool = False
    ephemeral_for: int | None = None
    webhook: int | None = None  # that it came through
    stickers: list[Json] = field(default_factory=list)


@dataclass(eq=False)
class Interaction:
    """What somebody used, and what the bot made of it: `response` is its callback, `original` the message of it."""

    id: int
    kind: int  # 2 command, 3 component, 4 autocomplete, 5 modal
    user: int
    channel: int
    token: str
    data: Json
    born: float
    message: Message | None = None
    response: Json | None = None
    original: Message | None = None
    followups: list[Message] = field(default_factory=list)

    @property
    def modal(self) -> Json | None:
        """The modal that the bot opened."""
        return self.response["data"] if self.response and self.response["type"] == 9 else None


def _guild() -> Guild:
    roles = [Role(GUILD, "@everyone", OF_EVERYONE), Role(STAFF, "Staff", OF_EVERYONE | OF_STAFF)]
    guild = Guild(GUILD, "Shop", OLIVE, members={ANN: [], BOB: [STAFF], OLIVE: [], BOT: [BOT_ROLE]})
    guild.roles = {one.id: one for one in (*roles, Role(BOT_ROLE, "Frontdesk", OF_BOT, of_bot=True))}
    return guild


def _channels() -> dict[int, Channel]:
    names = {ANSWERED: "answered", NEEDS_HUMAN: "needs-human", SOLVED: "solved"}
    tags = [{"id": str(id_), "name": name, "moderated": False, "emoji_id": None, "emoji_name": None} for id_, name in names.items()]
    text, forum = Channel(HELP, TEXT, "help", GUILD), Channel(FORUM, FORUM_KIND, "questions", GUILD, tags=tags)
    return {HELP: text, FORUM: forum}


def _people() -> dict[int, Person]:
    named = ((ANN, "ann"), (BOB, "bob"), (OLIVE, "olive"))
    return {id_: Person(id_, name) for id_, name in named} | {BOT: Person(BOT, "frontdesk", is_bot=True)}


@dataclass(eq=False)
class World:
    """Everything there is, and one application. `changed()` wakes whoever is in `until`."""

    token: str = "discord-token"
    bot: int = BOT  # also the id of the application
    privileged_content: bool = True  # the application may ask for the content of messages
    privileged_members: bool = True
    interactions_url: str = ""  # where the application has its interactions sent instead of over the gateway
    nonce_seconds: float = 300.0  # how long a nonce is known again
    first_seconds: float = 30.0  # for the first response to an interaction; Discord waits 3, for which a busy machine may stand still
    token_seconds: float = 900.0  # that an interaction lasts
    log: Path | None = None
    clock: Callable[[], float] = time.time
    guilds: dict[int, Guild] = field(default_factory=lambda: {GUILD: _guild()})
    channels: dict[int, Channel] = field(default_factory=_channels)
    people: dict[int, Person] = field(default_factory=_people)
    interactions: dict[int, Interaction] = field(default_factory=dict)
    commands: dict[int | None, list[Json]] = field(default_factory=dict)  # by guild; None are the global ones
    ephemerals: list[Message] = field(default_factory=list)
    nonces: dict[tuple[int, str], Message] = field(default_factory=dict)  # by author, the last one with it
    files: dict[str, bytes] = field(default_factory=dict)  # attachments, by id
    modals: list[Interaction] = field(default_factory=list)  # that stand open, the last one on top
    url: str = ""
    _file: IO[str] | None = None
    _last: int = 0

    def __post_init__(self) -> None:
        self._pulse = asyncio.Event()

    def changed(self) -> None:
        """Say that something has happened."""
        self._pulse.set()
        self._pulse = asyncio.Event()

    async def until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait until it holds; it is looked at after every change."""
        async with asyncio.timeout(seconds):
            while not condition():
                await self._pulse.wait()

    def snowflake(self) -> int:
        """A new id: by the clock, and above every one before."""
        self._last = max(int((self.clock() - EPOCH) * 1000) << 22, self._last + 1)
        return self._last

    def find(self, channel: int, message: int) -> Message | None:
        """The message, if it stands; an ephemeral one too."""
        among = chain(reversed(self.channels[channel].messages), self.ephemerals) if channel in self.channels else ()
        return next((one for one in among if (one.channel, one.id) == (channel, message) and not one.deleted), None)

    def by_bot(self, channel: int | None = None) -> list[Message]:
        """What the bot has posted and not deleted, ephemeral ones apart."""
        found = [one for at in self.channels.values() if channel in (None, at.id) for one in at.messages]
        return [one for one in found if one.author == self.bot and not one.deleted and one.kind != 21]

    def threads(self, parent: int | None = None) -> list[Channel]:
        """Threads and posts."""
        return [one for one in self.channels.values() if one.is_thread and parent in (None, one.parent)]

    def direct_with(self, user: int) -> Channel:
        """The direct conversation of the bot with somebody; it is opened if there is none."""
        known = next((one for one in self.channels.values() if one.recipient == user), None)
        if known is None:
            known = Channel(self.snowflake(), DIRECT, recipient=user, at=self.clock())
            self.channels[known.id] = known
        return known

    def allowed(self, user: int, channel: Channel) -> int:
        """What somebody may do there."""
        guild = self.guilds.get(channel.guild or 0)
        if guild is None or user == guild.owner:
            return EVERYTHING
        if user not in guild.members:
            return 0
        place = self.channels[channel.parent] if channel.is_thread and channel.parent else channel
        whose = [guild.id, *guild.members[user]]
        granted = denied = 0
        for one in whose:
            granted, denied = granted | guild.roles[one].permissions, denied | place.denied.get(one, 0)
        if channel.kind == PRIVATE_THREAD and user not in channel.members and not granted & Can.MANAGE_THREADS:
            return 0
        return granted & ~denied & ~place.denied.get(user, 0)

    def note(self, what: str, message: Message) -> None:
        """Log what happened to a message of the bot, and wake whoever waits."""
        if self._file and message.author == self.bot:
            names = ("id", "channel", "content", "nonce", "flags", "components", "mentions", "reference", "ephemeral_for")
            line = {"what": what, "at": time.time()} | {name: getattr(message, name) for name in names}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        self.changed()


def stamp(seconds: float | None) -> str | None:
    """A time as the API shows it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
