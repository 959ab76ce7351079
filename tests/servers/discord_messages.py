"""How messages and threads of the local Discord come, change and go, whoever makes them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from tests.servers.discord_checks import EPHEMERAL, HAS_THREAD, LOADING, check_message, mentions_of, settable
from tests.servers.discord_gateway import Gateway
from tests.servers.discord_state import (
    DIRECT,
    FORUM_KIND,
    THREAD,
    Can,
    Channel,
    DiscordError,
    Interaction,
    Json,
    Message,
    invalid,
)

Files = Sequence[tuple[str, str, str, bytes]]  # name of the field, name of the file, its type, what it holds


def channel_of(space: Gateway, id_: int, *needed: Can) -> Channel:
    """A channel that the bot sees, and may do this in."""
    channel = space.channels.get(id_)
    if channel is None:
        raise DiscordError(404, 10003, "Unknown Channel")
    may = space.allowed(space.bot, channel)
    if not may & Can.VIEW_CHANNEL:
        raise DiscordError(403, 50001, "Missing Access")
    if any(not may & one for one in needed):
        raise DiscordError(403, 50013, "Missing Permissions")
    return channel


def message_of(space: Gateway, channel: int, id_: int) -> Message:
    """A message that stands."""
    if (found := space.find(channel, id_)) is None:
        raise DiscordError(404, 10008, "Unknown Message")
    return found


def create(
    space: Gateway, channel: Channel, author: int, payload: Json, files: Files = (), interaction: Interaction | None = None, **more: Any
) -> Message:
    """A new message, or the one that has its nonce."""
    check_message(payload, has_files=any((files, more.get("attachments"), more.get("stickers"))))
    nonce = None if payload.get("nonce") is None else str(payload["nonce"])
    if payload.get("enforce_nonce") and nonce and (known := _same(space, author, nonce)):
        return known
    reference, replied = _replied(space, channel, author, payload)
    fields = mentions_of(space, channel, payload, author, replied, webhook=interaction is not None)
    fields |= {"nonce": nonce, "reference": reference, "interaction": interaction, "payload": copy.deepcopy(payload)}
    fields |= {"kind": 19 if reference else 0, "flags": settable(payload.get("flags")), "content": payload.get("content") or ""}
    fields |= {"embeds": payload.get("embeds") or [], "components": payload.get("components") or []}
    fields |= {"attachments": attached(space, payload, files)} | more
    message = Message(fields.pop("id", None) or space.snowflake(), channel.id, author, at=space.clock(), **fields)
    return store(space, channel, message)


def store(space: Gateway, channel: Channel, message: Message, tell: bool = True) -> Message:
    """Put it into its channel, and tell of it; an ephemeral one is shown to one person only."""
    if message.flags & EPHEMERAL and message.interaction:
        message.ephemeral_for = message.interaction.user
        space.ephemerals.append(message)
    else:
        if message.nonce is not None:
            space.nonces[message.author, message.nonce] = message
        if channel.archived:
            channel.archived = False
            space.tell_channel(channel)
        if channel.is_thread:
            channel.members.add(message.author)
        channel.messages.append(message)
        if tell:
            space.tell("MESSAGE_CREATE", message)
    space.note("post", message)
    return message


def _same(space: Gateway, author: int, nonce: str) -> Message | None:
    known = space.nonces.get((author, nonce))
    return known if known and known.at >= space.clock() - space.nonce_seconds else None


def _replied(space: Gateway, channel: Channel, author: int, payload: Json) -> tuple[tuple[int, int] | None, int | None]:
    given = payload.get("message_reference")
    if not given or given.get("type", 0) != 0:
        return None, None
    if not space.allowed(author, channel) & Can.READ_MESSAGE_HISTORY:
        raise DiscordError(400, 160002, "Cannot reply without permission to read message history")
    found = space.find(int(given.get("channel_id") or channel.id), int(given["message_id"]))
    if found is None and given.get("fail_if_not_exists", True):
        raise invalid("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
    return ((found.channel, found.id), found.author) if found else (None, None)


def attached(space: Gateway, payload: Json, files: Files) -> list[Json]:
    """The attachments that come with a message."""
    told = {str(one["id"]): one for one in payload.get("attachments") or []}
    made = []
    for name, filename, kind, held in files:
        number = name.removeprefix("files[").removesuffix("]")
        id_ = str(space.snowflake())
        space.files[id_] = held
        link = f"{space.url}/attachments/{id_}/{filename}"
        shown = {"id": id_, "filename": filename, "size": len(held), "url": link, "proxy_url": link, "content_type": kind}
        made.append(shown | ({"description": told[number]["description"]} if told.get(number, {}).get("description") else {}))
    return made


def rewrite(space: Gateway, message: Message, payload: Json, files: Files = (), tell: bool = True) -> Message:
    """Edit it: what is not given stays, but mentions are looked for again as if nothing had been allowed or forbidden."""
    check_message(payload | {"flags": message.flags | (payload.get("flags") or 0)}, bool(files), edit=True)
    channel = space.channels[message.channel]
    text = payload.get("content", message.content)
    if "content" in payload or "allowed_mentions" in payload:
        replied = space.find(*message.reference) if message.reference else None
        given = payload | {"content": text}
        webhook = message.interaction is not None
        for name, value in mentions_of(space, channel, given, message.author, replied.author if replied else None, webhook).items():
            setattr(message, name, value)
    message.content = text or ""
    message.embeds = payload.get("embeds", message.embeds) or []
    message.components = payload.get("components", message.components) or []
    if "flags" in payload:
        kept = message.flags & ~settable(0b100)
        message.flags = kept | settable(payload["flags"])
    if "attachments" in payload or files:
        stay = {str(one["id"]) for one in payload.get("attachments") or []}
        kept_files = [one for one in message.attachments if "attachments" not in payload or one["id"] in stay]
        message.attachments = kept_files + attached(space, payload, files)
    message.flags &= ~LOADING
    message.edited = space.clock()
    message.edits.append(copy.deepcopy(payload))
    if tell and message.ephemeral_for is None:
        space.tell("MESSAGE_UPDATE", message)
    space.note("update", message)
    return message


def discard(space: Gateway, message: Message) -> None:
    """Delete it."""
    message.deleted = True
    if message.ephemeral_for is None:
        space.tell("MESSAGE_DELETE", message)
    space.note("delete", message)


def sendable(space: Gateway, channel: Channel, user: int) -> None:
    """Refuse whoever may not write there."""
    if channel.kind == DIRECT:
        if space.people[channel.recipient or 0].refuses_direct:
            raise DiscordError(403, 50007, "Cannot send messages to this user")
        return
    if channel.kind == FORUM_KIND:
        raise DiscordError(400, 50008, "Cannot send messages in a non-text channel")
    needed = Can.SEND_MESSAGES_IN_THREADS if channel.is_thread else Can.SEND_MESSAGES
    if not space.allowed(user, channel) & needed:
        raise DiscordError(403, 50013, "Missing Permissions")
    if channel.locked:
        raise DiscordError(400, 160005, "This thread is locked")


def start_thread(space: Gateway, parent: Channel, owner: int, name: str, message: Message | None = None, kind: int = THREAD) -> Channel:
    """A thread, of a message or on its own; it is not told of."""
    if not 1 <= len(name) <= 100:
        raise invalid("name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    if message and message.thread:
        raise DiscordError(400, 160004, "A thread has already been created for this message")
    id_ = message.id if message else space.snowflake()
    thread = Channel(id_, kind, name, parent.guild, parent.id, owner, members={owner}, at=space.clock())
    space.channels[id_] = thread
    if message:
        message.thread, message.flags = id_, message.flags | HAS_THREAD
    return thread


def start_of(space: Gateway, thread: Channel, message: Message) -> None:
    """Tell of a thread that begins with a message of its channel."""
    space.tell_thread("THREAD_CREATE", thread)
    begin = Message(space.snowflake(), thread.id, message.author, kind=21, reference=(message.channel, message.id), at=space.clock())
    thread.messages.append(begin)
    space.tell("MESSAGE_CREATE", begin)
    space.tell("MESSAGE_UPDATE", message)


def post_in(space: Gateway, forum: Channel, author: int, title: str, tags: Sequence[int]) -> Channel:
    """A post of a forum, without its first message."""
    if len(tags) > 5:
        raise invalid("applied_tags", "BASE_TYPE_MAX_LENGTH", "Must be 5 or fewer in length.")
    known = {int(one["id"]) for one in forum.tags}
    if any(one not in known for one in tags):
        raise invalid("applied_tags", "INVALID_TAG", "Unknown tag")
    if forum.flags & 1 << 4 and not tags:
        raise DiscordError(400, 40067, "A tag is required to create a forum post in this channel")
    thread = start_thread(space, forum, author, title)
    thread.applied = [*tags]
    return thread
