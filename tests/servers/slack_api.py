"""The Web API of the local Slack: what holds for every method, and the methods that write and stream messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.servers.slack_blocks import checked_blocks, checked_metadata
from tests.servers.slack_state import Channel, Json, Message, SlackError, Workspace

TEXT_KEPT, TEXT_OF_UPDATE, MARKDOWN = 40_000, 4_000, 12_000
Handler = Callable[[Workspace, Json], Json]
METHODS: dict[str, tuple[Handler, tuple[str, ...]]] = {}


def method(name: str, *required: str) -> Callable[[Handler], Handler]:
    """Registers a method and the arguments it cannot do without."""

    def registered(handler: Handler) -> Handler:
        METHODS[name] = (handler, required)
        return handler

    return registered


def answer(space: Workspace, name: str, arguments: Json, token: str | None) -> Json:
    """What a method says."""
    try:
        if name not in METHODS:
            raise SlackError("unknown_method", req_method=name)
        handler, required = METHODS[name]
        if not name.startswith("oauth.v2."):
            _authorise(space, token, "app" if name == "apps.connections.open" else "bot")
        if missing := [one for one in required if arguments.get(one) in (None, "")]:
            raise SlackError("invalid_arguments", *(f"[ERROR] missing required field: {one}" for one in missing))
        return {"ok": True, **handler(space, {**arguments, "token": token})}
    except SlackError as error:
        said = {"ok": False, "error": error.error, **error.more}
        return said | ({"response_metadata": {"messages": list(error.messages)}} if error.messages else {})


def _authorise(space: Workspace, token: str | None, kind: str) -> None:
    if not token:
        raise SlackError("not_authed")
    if (known := space.tokens.get(token)) is None:
        raise SlackError("invalid_auth")
    if known.revoked:
        raise SlackError("token_revoked")
    if known.expires is not None and space.clock() >= known.expires:
        raise SlackError("token_expired")
    if known.kind != kind:
        raise SlackError("not_allowed_token_type")


def flag(arguments: Json, name: str, default: bool = False) -> bool:
    """A truth value: forms know none."""
    return str(arguments.get(name, default)).lower() in ("1", "true")


def channel_of(space: Workspace, name: Any, joined: bool = True) -> Channel:
    """A conversation the bot may see, by id or #name."""
    known = space.channels.get(str(name)) or next((one for one in space.channels.values() if one.name and f"#{one.name}" == name), None)
    if known is None or (known.kind != "channel" and space.bot_user not in known.members):
        raise SlackError("channel_not_found")
    if joined and space.bot_user not in known.members:
        raise SlackError("not_in_channel")
    return known


def direct(space: Workspace, users: list[str]) -> Channel:
    """The conversation of the bot with these people, which may be new."""
    members = {*users, space.bot_user}
    for channel in space.channels.values():
        if channel.kind in ("im", "mpim") and channel.members == members:
            return channel
    channel = Channel(space.number("D0" if len(users) == 1 else "G0"), kind="im" if len(users) == 1 else "mpim", members=members)
    space.channels[channel.id] = channel
    return channel


def _writable(space: Workspace, name: Any) -> Channel:
    if str(name) in space.users and name != space.bot_user:
        return direct(space, [str(name)])
    channel = channel_of(space, name)
    if channel.archived:
        raise SlackError("is_archived")
    return channel


def message_of(space: Workspace, channel: Channel, ts: Any) -> Message:
    """A message that stands there."""
    found = space.find(channel.id, str(ts))
    if found is None or found.subtype == "tombstone" or found.ephemeral_for:
        raise SlackError("message_not_found")
    return found


def event_of(space: Workspace, channel: Channel, message: Message, **more: Any) -> Json:
    """The `message` event of what stands there."""
    return space.wire(message) | {"channel": channel.id, "channel_type": channel.event_type, "event_ts": message.ts} | more


def changed_event(space: Workspace, channel: Channel, message: Message, before: Json) -> Json:
    """The `message_changed` event."""
    now = space.stamp()
    what = {"type": "message", "subtype": "message_changed", "hidden": True, "channel": channel.id, "channel_type": channel.event_type}
    return what | {"message": space.wire(message), "previous_message": before, "ts": now, "event_ts": now}


def deleted_event(space: Workspace, channel: Channel, ts: str, before: Json) -> Json:
    """The `message_deleted` event."""
    now = space.stamp()
    what = {"type": "message", "subtype": "message_deleted", "hidden": True, "channel": channel.id, "channel_type": channel.event_type}
    return what | {"deleted_ts": ts, "previous_message": before, "ts": now, "event_ts": now}


def _content(arguments: Json) -> tuple[str, list[Json]]:
    markdown, text, blocks = (arguments.get(name) for name in ("markdown_text", "text", "blocks"))
    if markdown and (text or blocks):
        raise SlackError("markdown_text_conflict")
    if markdown and len(markdown) > MARKDOWN:
        raise SlackError("msg_too_long")
    checked = checked_blocks(blocks) if blocks else []
    if not (markdown or text or checked or arguments.get("attachments")):
        raise SlackError("no_text")
    return str(markdown or text or "")[:TEXT_KEPT], checked


def by_bot(space: Workspace, channel: Channel, text: str, **more: Any) -> Message:
    """A message of the app, not yet stored."""
    return Message(channel.id, space.stamp(), space.bot_user, text, bot_id=space.bot_id, **more)


def stored(space: Workspace, channel: Channel, message: Message) -> Message:
    """Store it and tell the app of it; an answer ends the status of its thread."""
    space.store(message)
    space.statuses.pop((channel.id, message.thread_ts or ""), None)
    space.tell(event_of(space, channel, message))
    return message


@method("chat.postMessage", "channel")
def post(space: Workspace, arguments: Json) -> Json:
    channel = _writable(space, arguments["channel"])
    text, blocks = _content(arguments)
    metadata = checked_metadata(arguments.get("metadata"))
    thread = _thread_ts(arguments)
    message = by_bot(space, channel, text, blocks=blocks, metadata=metadata, thread_ts=thread, arguments=arguments)
    message.attachments = arguments.get("attachments") or []
    message.subtype = "thread_broadcast" if thread and flag(arguments, "reply_broadcast") else None
    stored(space, channel, message)
    return {"channel": channel.id, "ts": message.ts, "message": space.wire(message, metadata=True)}


def _thread_ts(arguments: Json) -> str | None:
    thread = arguments.get("thread_ts") or None
    if thread and not re.fullmatch(r"\d+\.\d+", str(thread)):
        raise SlackError("invalid_thread_ts")
    return thread


@method("chat.postEphemeral", "channel", "user")
def post_ephemeral(space: Workspace, arguments: Json) -> Json:
    channel = _writable(space, arguments["channel"])
    if arguments["user"] not in channel.members:
        raise SlackError("user_not_in_channel")
    text, blocks = _content(arguments)
    message = by_bot(space, channel, text, blocks=blocks, thread_ts=_thread_ts(arguments), arguments=arguments)
    message.ephemeral_for, message.at = arguments["user"], space.clock()
    space.ephemerals.append(message)
    space.changed()
    return {"message_ts": message.ts}


@method("chat.update", "channel", "ts")
def update(space: Workspace, arguments: Json) -> Json:
    channel = channel_of(space, arguments["channel"])
    message, before = _own(space, channel, arguments, "cant_update_message")
    if message.streaming == "open":
        raise SlackError("streaming_state_conflict")
    if len(arguments.get("text") or "") > TEXT_OF_UPDATE:
        raise SlackError("msg_too_long")
    text, blocks = message.text, message.blocks
    # Without `blocks` the old ones stay only if there is no `text` either; metadata stays unless it is given.
    if arguments.get("metadata") is None or any(arguments.get(name) is not None for name in ("text", "blocks", "markdown_text")):
        text, blocks = _content(arguments)
    if arguments.get("metadata") is not None:
        message.metadata = checked_metadata(arguments["metadata"])
    rewrite(space, message, text, blocks)
    message.attachments = arguments.get("attachments", message.attachments)
    space.note("update", message)
    space.tell(changed_event(space, channel, message, before))
    shown = space.wire(message, metadata=True)
    placed = ("ts", "thread_ts", "parent_user_id", "is_locked", "subscribed", "latest_reply")  # which this answer does not tell
    shown = {name: value for name, value in shown.items() if name not in placed and not name.startswith("reply_")}
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": shown}


def rewrite(space: Workspace, message: Message, text: str, blocks: list[Json]) -> None:
    """Put something else in its place; only text is marked as edited."""
    message.shown.append(message.blocks)
    message.text, message.blocks = text or message.text, blocks
    if not blocks:
        message.edited = {"user": message.bot_id, "ts": space.stamp()}


def _own(space: Workspace, channel: Channel, arguments: Json, otherwise: str) -> tuple[Message, Json]:
    message = message_of(space, channel, arguments["ts"])
    if message.bot_id != space.bot_id:
        raise SlackError(otherwise)
    _expire(space, message)
    return message, space.wire(message)


@method("chat.delete", "channel", "ts")
def delete(space: Workspace, arguments: Json) -> Json:
    channel = channel_of(space, arguments["channel"])
    message, before = _own(space, channel, arguments, "cant_delete_message")
    if space.discard(message):
        space.tell(changed_event(space, channel, message, before))
    else:
        space.tell(deleted_event(space, channel, message.ts, before))
    return {"channel": channel.id, "ts": message.ts}


@method("chat.getPermalink", "channel", "message_ts")
def permalink(space: Workspace, arguments: Json) -> Json:
    channel = channel_of(space, arguments["channel"], joined=False)
    message = message_of(space, channel, arguments["message_ts"])
    link = f"https://team.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.thread_ts not in (None, message.ts):
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


@method("chat.startStream", "channel")
def start_stream(space: Workspace, arguments: Json) -> Json:
    channel = _writable(space, arguments["channel"])
    if channel.kind == "im" and not arguments.get("thread_ts"):  # a stream of its own is for channels
        raise SlackError("invalid_arguments", "[ERROR] missing required field: thread_ts")
    if channel.kind != "im":
        for name in ("recipient_team_id", "recipient_user_id"):
            if not arguments.get(name):
                raise SlackError(f"missing_{name}")
    text, chunks = _streamed(arguments)
    message = by_bot(space, channel, text, thread_ts=_thread_ts(arguments), streaming="open", chunks=chunks, arguments=arguments)
    stored(space, channel, message)
    return {"channel": channel.id, "ts": message.ts}


def _streamed(arguments: Json) -> tuple[str, list[Json]]:
    chunks = list(arguments.get("chunks") or [])
    if arguments.get("markdown_text"):
        chunks.insert(0, {"type": "markdown_text", "text": arguments["markdown_text"]})
    texts = [str(one.get("text", "")) for one in chunks if one.get("type") == "markdown_text"]
    if any(len(text) > MARKDOWN for text in texts):
        raise SlackError("msg_too_long")
    return "".join(texts), chunks


def _expire(space: Workspace, message: Message) -> None:
    if message.streaming == "open" and space.clock() - message.at >= space.stream_seconds:
        message.streaming = "expired"


def _stream(space: Workspace, arguments: Json) -> tuple[Channel, Message, Json]:
    channel = channel_of(space, arguments["channel"])
    message, before = _own(space, channel, arguments, "message_not_owned_by_app")
    if message.streaming == "stopped_by_user":
        raise SlackError("stopped_by_user")
    if message.streaming != "open":
        raise SlackError("message_not_in_streaming_state")
    return channel, message, before


@method("chat.appendStream", "channel", "ts")
def append_stream(space: Workspace, arguments: Json) -> Json:
    channel, message, _ = _stream(space, arguments)
    text, chunks = _streamed(arguments)
    if not chunks:
        raise SlackError("no_text")
    message.text, message.chunks = message.text + text, message.chunks + chunks
    space.changed()
    return {"channel": channel.id, "ts": message.ts}


@method("chat.stopStream", "channel", "ts")
def stop_stream(space: Workspace, arguments: Json) -> Json:
    channel, message, before = _stream(space, arguments)
    text, chunks = _streamed(arguments)
    blocks = checked_blocks(arguments["blocks"]) if arguments.get("blocks") else []
    message.metadata = checked_metadata(arguments.get("metadata")) or message.metadata
    message.text, message.chunks, message.blocks, message.streaming = message.text + text, message.chunks + chunks, blocks, "stopped"
    space.note("stop", message)
    space.tell(changed_event(space, channel, message, before))
    return {"channel": channel.id, "ts": message.ts, "message": space.wire(message, metadata=True)}
