"""The API of the local Discord: its routes, and what it says of users, guilds and channels."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.servers import discord_wire as wire
from tests.servers.discord_gateway import Gateway
from tests.servers.discord_messages import Files, channel_of, sendable
from tests.servers.discord_state import THREAD, Can, Channel, DiscordError, Guild, Json, Message, invalid


@dataclass(frozen=True)
class Asked:
    """What a request asks: the ids in its path, its body, its query and the files that come with it."""

    at: dict[str, Any]
    json: Json = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    files: Files = ()


Answer = tuple[int, Any]
Handler = Callable[[Gateway, Asked], Any]
ROUTES: list[tuple[str, re.Pattern[str], str, Handler]] = []


def route(verb: str, path: str, name: str) -> Callable[[Handler], Handler]:
    """Say what answers a path: a body, nothing (204), or a status and a body."""

    def add(handler: Handler) -> Handler:
        ROUTES.append((verb, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), name, handler))
        return handler

    return add


def shown(space: Gateway, message: Message) -> Json:
    """A message as the API gives it: contents are withheld from an application that has no right to them."""
    return wire.message(space, message, withhold=not space.privileged_content)


def _guild(space: Gateway, asked: Asked) -> Guild:
    guild = space.guilds.get(asked.at["guild"])
    if guild is None:
        raise DiscordError(404, 10004, "Unknown Guild")
    if space.bot not in guild.members:
        raise DiscordError(403, 50001, "Missing Access")
    return guild


@route("GET", "/gateway", "gateway")
def gateway(space: Gateway, _: Asked) -> Json:
    return {"url": space.gateway_url}


@route("GET", "/gateway/bot", "gateway_bot")
def gateway_bot(space: Gateway, _: Asked) -> Json:
    limit = {"total": space.starts, "remaining": space.starts - len(space.identifies), "reset_after": 86_400_000}
    return {"url": space.gateway_url, "shards": space.shards, "session_start_limit": limit | {"max_concurrency": space.max_concurrency}}


@route("GET", "/users/@me", "me")
def me(space: Gateway, _: Asked) -> Json:
    return wire.user(space.people[space.bot]) | {"email": None, "mfa_enabled": True, "verified": True, "locale": "en-US"}


@route("GET", "/users/{user}", "get_user")
def get_user(space: Gateway, asked: Asked) -> Json:
    if asked.at["user"] not in space.people:
        raise DiscordError(404, 10013, "Unknown User")
    return wire.user(space.people[asked.at["user"]])


@route("GET", "/applications/@me", "application")
@route("GET", "/oauth2/applications/@me", "application")
def application(space: Gateway, _: Asked) -> Json:
    return wire.application(space)


@route("POST", "/users/@me/channels", "open_direct")
def open_direct(space: Gateway, asked: Asked) -> Json:
    who = int(asked.json["recipient_id"])
    if who not in space.people or who == space.bot:
        raise DiscordError(400, 50033, "Invalid Recipient(s)")
    return wire.channel(space, space.direct_with(who))


@route("GET", "/users/@me/guilds", "my_guilds")
def my_guilds(space: Gateway, asked: Asked) -> list[Json]:
    limit, after = int(asked.query.get("limit", 200)), int(asked.query.get("after", 0))
    if not 1 <= limit <= 200:
        raise invalid("limit", "NUMBER_TYPE_MAX", "int value should be less than or equal to 200.")
    return [wire.my_guild(space, one) for id_, one in sorted(space.guilds.items()) if id_ > after and space.bot in one.members][:limit]


@route("GET", "/guilds/{guild}", "get_guild")
def get_guild(space: Gateway, asked: Asked) -> Json:
    guild = _guild(space, asked)
    counts = {"approximate_member_count": len(guild.members), "approximate_presence_count": len(guild.members)}
    return wire.guild(space, guild) | (counts if asked.query.get("with_counts") in ("1", "true") else {})


@route("GET", "/guilds/{guild}/roles", "get_roles")
def get_roles(space: Gateway, asked: Asked) -> list[Json]:
    return wire.roles(space, _guild(space, asked))


@route("GET", "/guilds/{guild}/channels", "get_channels")
def get_channels(space: Gateway, asked: Asked) -> list[Json]:
    guild = _guild(space, asked)
    return [wire.channel(space, one) for one in space.channels.values() if one.guild == guild.id and not one.is_thread]


@route("GET", "/guilds/{guild}/members/{user}", "get_member")
def get_member(space: Gateway, asked: Asked) -> Json:
    guild = _guild(space, asked)
    if asked.at["user"] not in guild.members:
        raise DiscordError(404, 10007, "Unknown Member")
    return wire.member(space, guild, asked.at["user"])


@route("GET", "/guilds/{guild}/threads/active", "active_threads")
def active_threads(space: Gateway, asked: Asked) -> Json:
    guild = _guild(space, asked)
    found = [one for one in space.threads() if one.guild == guild.id and not one.archived and _seen(space, one)]
    return _threads(space, found[::-1])


@route("GET", "/channels/{channel}/threads/archived/public", "archived_threads")
def archived_threads(space: Gateway, asked: Asked) -> Json:
    channel = channel_of(space, asked.at["channel"], Can.READ_MESSAGE_HISTORY)
    found = [one for one in space.threads(channel.id) if one.archived and one.kind == THREAD]
    return _threads(space, found[::-1]) | {"has_more": False}


def _threads(space: Gateway, found: list[Channel]) -> Json:
    members = [wire.thread_member(one, space.bot) for one in found if space.bot in one.members]
    return {"threads": [wire.channel(space, one) for one in found], "members": members}


def _seen(space: Gateway, channel: Channel) -> bool:
    return bool(space.allowed(space.bot, channel) & Can.VIEW_CHANNEL)


@route("GET", "/channels/{channel}", "get_channel")
def get_channel(space: Gateway, asked: Asked) -> Json:
    return wire.channel(space, channel_of(space, asked.at["channel"]))


@route("PATCH", "/channels/{channel}", "edit_channel")
def edit_channel(space: Gateway, asked: Asked) -> Json:
    channel, given = channel_of(space, asked.at["channel"]), asked.json
    may = space.allowed(space.bot, channel)
    own = channel.owner == space.bot and set(given) <= {"name", "archived", "auto_archive_duration", "applied_tags"}
    if not (may & (Can.MANAGE_THREADS if channel.is_thread else Can.MANAGE_CHANNELS) or own):
        raise DiscordError(403, 50013, "Missing Permissions")
    if channel.archived and given.get("archived") is not False and set(given) - {"archived", "locked"}:
        raise DiscordError(400, 50083, "Thread is archived")
    if len(given.get("applied_tags") or []) > 5:
        raise invalid("applied_tags", "BASE_TYPE_MAX_LENGTH", "Must be 5 or fewer in length.")
    channel.applied = [int(one) for one in given.get("applied_tags", channel.applied)]
    channel.tags = given.get("available_tags", channel.tags)
    channel.auto_archive = given.get("auto_archive_duration", channel.auto_archive)
    for name in ("name", "archived", "locked"):
        setattr(channel, name, given.get(name, getattr(channel, name)))
    space.tell_channel(channel)
    return wire.channel(space, channel)


@route("DELETE", "/channels/{channel}", "delete_channel")
def delete_channel(space: Gateway, asked: Asked) -> Json:
    channel = channel_of(space, asked.at["channel"])
    if channel.guild:
        channel_of(space, channel.id, Can.MANAGE_THREADS if channel.is_thread else Can.MANAGE_CHANNELS)
    said = wire.channel(space, channel)
    remove_channel(space, channel)
    return said


def remove_channel(space: Gateway, channel: Channel) -> None:
    """Take a thread or channel away, and tell of it."""
    names = ("id", "guild_id", "parent_id", "type")
    said = {name: value for name, value in wire.channel(space, channel).items() if name in names}
    if channel.is_thread:
        space.emit("THREAD_DELETE", channel, lambda _: said)
    elif channel.guild:
        whole = wire.channel(space, channel)
        space.emit("CHANNEL_DELETE", channel, lambda _: whole)
    del space.channels[channel.id]
    space.changed()


@route("POST", "/channels/{channel}/typing", "typing")
def typing(space: Gateway, asked: Asked) -> None:
    channel = channel_of(space, asked.at["channel"])
    sendable(space, channel, space.bot)
    channel.typed.append(space.bot)
