"""What a member may do in a server, by roles and overwrites as the API gives them, and what the bot lacks there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from bot.discord.invite import CREATE_THREADS, MANAGE_THREADS, READ_HISTORY, SEND, SEND_IN_THREADS, VIEW, Permission
from core.text import clean

Json = dict[str, Any]

MOST_NAMED = 5
TEXT_KINDS, VOICE_KINDS, FORUM_KINDS, THREAD_KINDS = (0, 5), (2, 13), (15, 16), (10, 11, 12)
_ADMINISTRATOR = 1 << 3
_EVERYTHING = ~0
_OF_TIMED_OUT = VIEW.bit | READ_HISTORY.bit


class Server(NamedTuple):
    """A server as the bot, `me`, sees it; all three as the API gives them."""

    guild: Json
    channels: Sequence[Json]
    me: Json

    @property
    def name(self) -> str:
        """What people call it."""
        return clean(str(self.guild["name"]))

    @property
    def role(self) -> str:
        """The name of the bot's own role, which came with it; where it came without one, its own name."""
        mine = (one for one in self.guild["roles"] if (one.get("tags") or {}).get("bot_id") == self.me["user"]["id"])
        return clean(str(next(mine, {"name": self.me["user"]["username"]})["name"]))


class Survey(NamedTuple):
    """What was found in the channels of a server: where answers get lost, where they are less good, and what may well be meant so."""

    broken: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def everywhere(guild: Json, member: Json) -> int:
    """Return what a member may do in a server before its channels say otherwise."""
    whose = {guild["id"], *member["roles"]}
    may = _union(one["permissions"] for one in guild["roles"] if one["id"] in whose)
    return _EVERYTHING if guild["owner_id"] == member["user"]["id"] or may & _ADMINISTRATOR else may


def granted(guild: Json, channel: Json, member: Json, now: datetime) -> int:
    """Return what a member may do in a channel. Source: Discord's documentation, "Permission Hierarchy"."""
    may = everywhere(guild, member)
    if may == _EVERYTHING:
        return may
    overwrites = {one["id"]: one for one in channel.get("permission_overwrites") or ()}
    for ids in ([guild["id"]], member["roles"], [member["user"]["id"]]):  # those of roles count together, a grant more than a refusal
        layer = [overwrites[id_] for id_ in ids if id_ in overwrites]
        may = may & ~_union(one["deny"] for one in layer) | _union(one["allow"] for one in layer)
    if is_timed_out(member, now):
        may &= _OF_TIMED_OUT
    return may if may & VIEW.bit else 0


def is_timed_out(member: Json, now: datetime) -> bool:
    """Tell whether somebody was told to be silent for a while."""
    until = member.get("communication_disabled_until")
    return bool(until) and datetime.fromisoformat(str(until)) > now


def needed(channel: Json, tag_names: Iterable[str] = ()) -> tuple[Permission, ...]:
    """Return what the bot needs to answer in a channel, nothing for one without messages; `tag_names` are the tags that it sets."""
    kind = channel["type"]
    if kind in TEXT_KINDS:
        return (VIEW, SEND, SEND_IN_THREADS, READ_HISTORY, CREATE_THREADS)
    if kind in VOICE_KINDS:  # they have no threads
        return (VIEW, SEND, READ_HISTORY)
    if kind in FORUM_KINDS:
        ours = {name.casefold() for name in tag_names}
        has_tags = any(str(tag["name"]).casefold() in ours for tag in channel.get("available_tags") or ())
        return (VIEW, SEND_IN_THREADS, READ_HISTORY, *([MANAGE_THREADS] if has_tags else []))
    return ()


def lacking(server: Server, channel: Json, wanted: Iterable[Permission], now: datetime) -> list[Permission]:
    """Return which of these permissions the bot does not have in a channel."""
    may = granted(server.guild, channel, server.me, now)
    return [one for one in wanted if not may & one.bit]


def survey(server: Server, tag_names: Iterable[str], now: datetime, apart: str = "") -> Survey:
    """Look at every channel that the bot sees; the one with the id `apart`, of staff, is judged by itself."""
    channels = [one for one in server.channels if needed(one)]
    seen = [one for one in channels if not lacking(server, one, [VIEW], now)]
    if is_timed_out(server.me, now):
        return Survey((f"{server.name}: the bot is timed out. Members > {server.role} > ⋮ > Remove Timeout",))
    if channels and not any(one["id"] != apart for one in seen):
        return Survey((f"{server.name}: without {VIEW.label} {VIEW.lost} in any channel. {fix(server, VIEW)}",))
    missing: dict[Permission, list[str]] = {}
    closed = []
    for channel in (one for one in seen if one["id"] != apart):
        for permission in lacking(server, channel, needed(channel, tag_names), now):
            if _is_closed(server, channel, permission):
                closed.append(_named(channel))
            else:
                missing.setdefault(permission, []).append(_named(channel))
    return Survey(
        tuple(_told(server, one, where) for one, where in missing.items() if one.is_vital),
        tuple(_told(server, one, where) for one, where in missing.items() if not one.is_vital),
        _notes(server, len(seen), len(channels), list(dict.fromkeys(closed))),
    )


def fix(server: Server, permission: Permission) -> str:
    """Return where to click so that the bot gets a permission."""
    if everywhere(server.guild, server.me) & permission.bit:  # a channel or its category takes it away
        return f"The channel > Edit Channel > Permissions > + > {server.role} > {permission.label}: ✓"
    return f"Server Settings > Roles > {server.role} > Permissions > {permission.label}"


def listed(names: Sequence[str]) -> str:
    """Return some of these names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _union(bits: Iterable[str]) -> int:
    union = 0
    for one in bits:
        union |= int(one)
    return union


def _is_closed(server: Server, channel: Json, permission: Permission) -> bool:
    """Whether the channel takes it from everybody, as one for announcements does."""
    overwrites = channel.get("permission_overwrites") or ()
    return any(one["id"] == server.guild["id"] and int(one["deny"]) & permission.bit for one in overwrites)


def _named(channel: Json) -> str:
    return f"#{clean(str(channel['name']))}"


def _told(server: Server, permission: Permission, where: Sequence[str]) -> str:
    return f"{server.name}: without {permission.label} {permission.lost}: {listed(where)}. {fix(server, permission)}"


def _notes(server: Server, seen: int, all_: int, closed: Sequence[str]) -> tuple[str, ...]:
    found = f"{server.name}: {seen} of {all_} channels are seen"
    return (f"{found}, closed to @everyone and the bot alike: {listed(closed)}" if closed else found,)
