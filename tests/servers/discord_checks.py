"""What Discord refuses in a message, and whom a message mentions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.servers.discord_state import Can, Channel, DiscordError, Json, World, invalid

LONGEST, SUPPRESS_EMBEDS, EPHEMERAL, HAS_THREAD, LOADING, V2 = 2000, 1 << 2, 1 << 6, 1 << 5, 1 << 7, 1 << 15
_SETTABLE = SUPPRESS_EMBEDS | EPHEMERAL | V2 | 1 << 12 | 1 << 13  # and silent ones, and voice messages
_EMBED = {"title": 256, "description": 4096}


def check_message(payload: Json, has_files: bool = False, edit: bool = False) -> None:
    """Refuse what is no message."""
    content, embeds, components = payload.get("content"), payload.get("embeds") or [], payload.get("components") or []
    if content is not None and not isinstance(content, str):
        raise invalid("content", "BASE_TYPE_STRING", "Could not interpret as a string.")
    if len(content or "") > LONGEST:
        raise invalid("content", "BASE_TYPE_MAX_LENGTH", f"Must be {LONGEST} or fewer in length.")
    if len(str(payload.get("nonce") or "")) > 25:
        raise invalid("nonce", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    if (payload.get("flags") or 0) & V2:
        if content or embeds:
            raise invalid("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", "The field cannot be used with this flag.")
        if len(list(every(components))) > 40:
            raise invalid("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 40 in length.")
    elif len(components) > 5:
        raise invalid("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    _check_embeds(embeds)
    check_components(components)
    said = (content or "").strip() or embeds or components or has_files or payload.get("sticker_ids") or payload.get("poll")
    if not said and not edit:
        raise DiscordError(400, 50006, "Cannot send an empty message")


def _check_embeds(embeds: list[Json]) -> None:
    if len(embeds) > 10:
        raise invalid("embeds", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    total = 0
    for number, embed in enumerate(embeds):
        for name, most in _EMBED.items():
            total += len(embed.get(name) or "")
            if len(embed.get(name) or "") > most:
                raise invalid(f"embeds.{number}.{name}", "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
        total += sum(len(field["name"]) + len(field["value"]) for field in embed.get("fields", []))
    if total > 6000:
        raise invalid("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000")


def every(components: list[Json]) -> Iterator[Json]:
    """Each component, and those in it."""
    for one in components:
        yield one
        inner = [*one.get("components", []), *(one[name] for name in ("component", "accessory") if one.get(name))]
        yield from every(inner)


def check_components(components: list[Json]) -> None:
    """Refuse components that Discord refuses; number those that are taken."""
    seen: set[str] = set()
    for one in every(components):
        if one["type"] == 1 and not 1 <= len(one.get("components", [])) <= 5:
            raise invalid("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
        name = one.get("custom_id")
        if name is None:
            continue
        if not 1 <= len(name) <= 100:
            raise invalid("components.custom_id", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
        if name in seen:
            raise invalid("components.custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
        seen.add(name)
    for number, one in enumerate(every(components), 1):
        one.setdefault("id", number)


def settable(flags: int | None) -> int:
    """The flags that a sender may set."""
    return (flags or 0) & _SETTABLE


def mentions_of(space: World, channel: Channel, payload: Json, author: int, replied: int | None, webhook: bool) -> Json:
    """Whom a text mentions, as fields of a message: without `allowed_mentions` everybody it names, of a webhook users only."""
    content, allowed = payload.get("content") or "", payload.get("allowed_mentions")
    if allowed is None:
        allowed = {"parse": ["users"] if webhook else ["users", "roles", "everyone"], "replied_user": True}
    parse = allowed.get("parse") or []
    for kind in ("users", "roles"):
        if kind in parse and allowed.get(kind):
            wrong = f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.'
            raise invalid("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", wrong)
    guild = space.guilds.get(channel.guild or 0)
    everyone = bool(space.allowed(author, channel) & Can.MENTION_EVERYONE)
    users = _named(r"<@!?(\d+)>", content, "users" in parse, allowed.get("users"))
    users = [one for one in users if one in space.people]
    if replied is not None and allowed.get("replied_user") and replied not in users:
        users.append(replied)
    roles = _named(r"<@&(\d+)>", content, "roles" in parse, allowed.get("roles")) if guild else []
    known = guild.roles if guild else {}
    roles = [one for one in roles if one in known and (everyone or known[one].mentionable)]
    loud = "everyone" in parse and guild is not None and everyone and re.search(r"@(everyone|here)\b", content)
    return {"mentions": users, "mention_roles": roles, "mention_everyone": bool(loud)}


def _named(pattern: str, content: str, parse: bool, listed: list[str | int] | None) -> list[int]:
    named = list(dict.fromkeys(int(one) for one in re.findall(pattern, content)))
    return named if parse else [one for one in named if one in {int(each) for each in listed or []}]
