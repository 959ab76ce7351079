"""The API of the local Discord: messages, reactions and threads."""

from __future__ import annotations

from tests.servers import discord_wire as wire
from tests.servers.discord_checks import check_message
from tests.servers.discord_gateway import Gateway
from tests.servers.discord_messages import channel_of, create, discard, message_of, post_in, rewrite, sendable, start_of, start_thread
from tests.servers.discord_routes import Answer, Asked, route, shown
from tests.servers.discord_state import FORUM_KIND, PRIVATE_THREAD, TEXT, THREAD, Can, DiscordError, Json, Message, invalid


@route("POST", "/channels/{channel}/messages", "create_message")
def create_message(space: Gateway, asked: Asked) -> Json:
    channel = channel_of(space, asked.at["channel"])
    sendable(space, channel, space.bot)
    if asked.files:
        channel_of(space, channel.id, Can.ATTACH_FILES)
    return shown(space, create(space, channel, space.bot, asked.json, asked.files))


@route("GET", "/channels/{channel}/messages", "list_messages")
def list_messages(space: Gateway, asked: Asked) -> list[Json]:
    channel, query = channel_of(space, asked.at["channel"]), asked.query
    limit = int(query.get("limit", 50))
    if not 1 <= limit <= 100:
        raise invalid("limit", "NUMBER_TYPE_MAX", "int value should be less than or equal to 100.")
    if not space.allowed(space.bot, channel) & Can.READ_MESSAGE_HISTORY:
        return []
    found = sorted((one for one in channel.messages if not one.deleted), key=lambda one: one.id)
    if "after" in query:
        found = [one for one in found if one.id > int(query["after"])][:limit]
    elif "before" in query:
        found = [one for one in found if one.id < int(query["before"])]
    elif "around" in query:
        found = sorted(sorted(found, key=lambda one: abs(one.id - int(query["around"])))[:limit], key=lambda one: one.id)
    return [shown(space, one) for one in found[-limit:][::-1]]


@route("GET", "/channels/{channel}/messages/{message}", "get_message")
def get_message(space: Gateway, asked: Asked) -> Json:
    channel = channel_of(space, asked.at["channel"])
    if not space.allowed(space.bot, channel) & Can.READ_MESSAGE_HISTORY:
        raise DiscordError(403, 50001, "Missing Access")
    return shown(space, message_of(space, channel.id, asked.at["message"]))


@route("PATCH", "/channels/{channel}/messages/{message}", "edit_message")
def edit_message(space: Gateway, asked: Asked) -> Json:
    channel = channel_of(space, asked.at["channel"])
    message = message_of(space, channel.id, asked.at["message"])
    if message.author != space.bot:
        raise DiscordError(403, 50005, "Cannot edit a message authored by another user")
    if channel.archived:
        raise DiscordError(400, 50083, "Thread is archived")
    return shown(space, rewrite(space, message, asked.json, asked.files))


@route("DELETE", "/channels/{channel}/messages/{message}", "delete_message")
def delete_message(space: Gateway, asked: Asked) -> None:
    channel = channel_of(space, asked.at["channel"])
    message = message_of(space, channel.id, asked.at["message"])
    if message.author != space.bot:
        channel_of(space, channel.id, Can.MANAGE_MESSAGES)
    if channel.archived:
        raise DiscordError(400, 50083, "Thread is archived")
    discard(space, message)


@route("PUT", "/channels/{channel}/messages/{message}/reactions/{emoji}/@me", "add_reaction")
def add_reaction(space: Gateway, asked: Asked) -> None:
    channel = channel_of(space, asked.at["channel"], Can.ADD_REACTIONS)
    react(space, message_of(space, channel.id, asked.at["message"]), space.bot, asked.at["emoji"])


def react(space: Gateway, message: Message, user: int, emoji: str) -> None:
    """Somebody adds a reaction."""
    who, channel = message.reactions.setdefault(emoji, []), space.channels[message.channel]
    if user in who:
        return
    who.append(user)
    said: Json = {"user_id": str(user), "channel_id": str(channel.id), "message_id": str(message.id), "burst": False, "type": 0}
    said |= {"emoji": {"id": None, "name": emoji}, "message_author_id": str(message.author)}
    if guild := space.guilds.get(channel.guild or 0):
        said |= {"guild_id": str(guild.id), "member": wire.member(space, guild, user)}
    space.emit("MESSAGE_REACTION_ADD", channel, lambda _: said)


@route("PUT", "/channels/{channel}/thread-members/@me", "join_thread")
def join_thread(space: Gateway, asked: Asked) -> None:
    channel_of(space, asked.at["channel"]).members.add(space.bot)


@route("POST", "/channels/{channel}/messages/{message}/threads", "thread_of_message")
def thread_of_message(space: Gateway, asked: Asked) -> Answer:
    channel = channel_of(space, asked.at["channel"], Can.CREATE_PUBLIC_THREADS)
    if channel.kind != TEXT:
        raise DiscordError(400, 50024, "Cannot execute action on this channel type")
    message = message_of(space, channel.id, asked.at["message"])
    thread = start_thread(space, channel, space.bot, asked.json["name"], message)
    start_of(space, thread, message)
    return 201, wire.channel(space, thread) | {"member": wire.thread_member(thread, space.bot)}


@route("POST", "/channels/{channel}/threads", "create_thread")
def create_thread(space: Gateway, asked: Asked) -> Answer:
    channel, given = channel_of(space, asked.at["channel"]), asked.json
    if channel.kind == FORUM_KIND:
        channel_of(space, channel.id, Can.SEND_MESSAGES)
        check_message(given["message"], bool(asked.files))
        thread = post_in(space, channel, space.bot, given["name"], [int(one) for one in given.get("applied_tags") or []])
        space.tell_thread("THREAD_CREATE", thread)
        first = create(space, thread, space.bot, given["message"], asked.files, id=thread.id)
        return 201, wire.channel(space, thread) | {"message": shown(space, first), "member": wire.thread_member(thread, space.bot)}
    kind = given.get("type", PRIVATE_THREAD)
    channel_of(space, channel.id, Can.CREATE_PUBLIC_THREADS if kind == THREAD else Can.CREATE_PRIVATE_THREADS)
    thread = start_thread(space, channel, space.bot, given["name"], kind=kind)
    space.tell_thread("THREAD_CREATE", thread)
    return 201, wire.channel(space, thread) | {"member": wire.thread_member(thread, space.bot)}
