"""The Web API of the local Slack: conversations, people, views, reactions, assistants, and the app itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.servers.slack_api import channel_of, direct, flag, message_of, method
from tests.servers.slack_blocks import checked_view
from tests.servers.slack_state import TRIGGER_SECONDS, Channel, Json, Message, SlackError, Token, View, Workspace

TOKEN_SECONDS = 43_200


@method("auth.test")
def auth_test(space: Workspace, arguments: Json) -> Json:
    team = space.tokens[arguments["token"]].team_id
    who = {"team": team.lower(), "team_id": team, "user": space.users[space.bot_user].name, "user_id": space.bot_user}
    return {"url": "https://team.slack.com/", "bot_id": space.bot_id, "is_enterprise_install": False, **who}


@method("auth.revoke")
def revoke(space: Workspace, arguments: Json) -> Json:
    if not flag(arguments, "test"):
        space.tokens[arguments["token"]].revoked = True
        space.changed()
    return {"revoked": not flag(arguments, "test")}


def _about(space: Workspace, channel: Channel) -> Json:
    kinds = {"is_channel": channel.kind == "channel", "is_group": channel.kind == "private", "is_im": channel.kind == "im"}
    kinds |= {"is_mpim": channel.kind == "mpim", "is_private": channel.kind != "channel", "is_archived": channel.archived}
    shared = {"is_shared": channel.is_ext_shared, "is_ext_shared": channel.is_ext_shared, "is_org_shared": False}
    about = {"id": channel.id, "created": 1700000000, "context_team_id": space.team_id, **kinds, **shared}
    if channel.kind == "im":
        return about | {"user": next(iter(channel.members - {space.bot_user}), "")}
    named = {"name": channel.name, "name_normalized": channel.name, "is_general": False, "shared_team_ids": list(channel.team_ids)}
    return about | named | {"is_member": space.bot_user in channel.members}


@method("conversations.info", "channel")
def conversation(space: Workspace, arguments: Json) -> Json:
    channel = channel_of(space, arguments["channel"], joined=False)
    counted = {"num_members": len(channel.members)} if flag(arguments, "include_num_members") else {}
    return {"channel": _about(space, channel) | counted}


@method("conversations.open")
def open_conversation(space: Workspace, arguments: Json) -> Json:
    if arguments.get("channel"):
        channel = channel_of(space, arguments["channel"])
    else:
        users = arguments.get("users") or []
        users = users.split(",") if isinstance(users, str) else users
        if not users:
            raise SlackError("users_list_not_supplied")
        if any(one not in space.users for one in users):
            raise SlackError("user_not_found")
        channel = direct(space, users)
    return {"channel": _about(space, channel) if flag(arguments, "return_im") else {"id": channel.id}}


def _page(space: Workspace, arguments: Json, found: Iterable[Message], always: Iterable[Message] = ()) -> Json:
    """Those between `oldest` and `latest`, a page of them from `cursor` on."""
    oldest, latest = float(arguments.get("oldest") or 0), float(arguments.get("latest") or "inf")
    inclusive, limit = flag(arguments, "inclusive"), str(arguments.get("limit") or 100)
    if not limit.isdigit() or int(limit) > 1000:
        raise SlackError("invalid_limit")
    meant = [one for one in found if oldest < float(one.ts) < latest or (inclusive and float(one.ts) in (oldest, latest))]
    start = int(str(arguments.get("cursor") or "next:0").removeprefix("next:"))
    metadata = flag(arguments, "include_all_metadata")
    shown = [space.wire(one, metadata) for one in [*always, *meant[start : start + int(limit)]]]
    if len(meant) <= start + int(limit):
        return {"messages": shown, "has_more": False}
    return {"messages": shown, "has_more": True, "response_metadata": {"next_cursor": f"next:{start + int(limit)}"}}


@method("conversations.replies", "channel", "ts")
def replies(space: Workspace, arguments: Json) -> Json:
    channel = channel_of(space, arguments["channel"])
    root = space.find(channel.id, str(arguments["ts"]))
    if root is None or root.ephemeral_for:
        raise SlackError("thread_not_found")
    # The root comes with every page, whatever `oldest` says.
    return _page(space, arguments, [one for one in space.thread(channel.id, root.ts) if one is not root], [root])


@method("conversations.history", "channel")
def history(space: Workspace, arguments: Json) -> Json:
    channel = channel_of(space, arguments["channel"])
    found = [one for one in space.messages.get(channel.id, []) if one.thread_ts in (None, one.ts) or one.subtype == "thread_broadcast"]
    return _page(space, arguments, reversed(found)) | {"pin_count": 0}


@method("users.info", "user")
def user_info(space: Workspace, arguments: Json) -> Json:
    if (user := space.users.get(arguments["user"])) is None:
        raise SlackError("user_not_found")
    flags = ("deleted", "is_bot", "is_admin", "is_restricted", "is_ultra_restricted", "is_stranger")
    about = {"id": user.id, "team_id": user.team_id, "name": user.name, "real_name": user.name.title(), "tz": "Europe/Berlin"}
    about |= {name: getattr(user, name) for name in flags} | {"is_owner": False, "is_primary_owner": False, "is_app_user": False}
    profile = {"real_name": user.name.title(), "display_name": user.name, "team": user.team_id}
    return {"user": about | {"profile": profile} | ({"locale": user.locale} if flag(arguments, "include_locale") else {})}


@method("usergroups.users.list", "usergroup")
def group_members(space: Workspace, arguments: Json) -> Json:
    if arguments["usergroup"] not in space.usergroups:
        raise SlackError("no_such_subteam")
    return {"users": list(space.usergroups[arguments["usergroup"]])}


@method("files.info", "file")
def file_info(space: Workspace, arguments: Json) -> Json:
    if arguments["file"] not in space.files:
        raise SlackError("file_not_found")
    return {"file": space.files[arguments["file"]]}


@method("reactions.add", "channel", "timestamp", "name")
def react(space: Workspace, arguments: Json) -> Json:
    who = _reacted(space, arguments)
    if space.bot_user in who:
        raise SlackError("already_reacted")
    who.append(space.bot_user)
    space.changed()
    return {}


@method("reactions.remove", "channel", "timestamp", "name")
def unreact(space: Workspace, arguments: Json) -> Json:
    who = _reacted(space, arguments)
    if space.bot_user not in who:
        raise SlackError("no_reaction")
    who.remove(space.bot_user)
    space.changed()
    return {}


def _reacted(space: Workspace, arguments: Json) -> list[str]:
    message = message_of(space, channel_of(space, arguments["channel"]), arguments["timestamp"])
    message.reactions = {name: who for name, who in message.reactions.items() if who}
    return message.reactions.setdefault(str(arguments["name"]).strip(":"), [])


@method("views.open", "trigger_id", "view")
def open_view(space: Workspace, arguments: Json) -> Json:
    if (trigger := space.triggers.get(arguments["trigger_id"])) is None:
        raise SlackError("invalid_trigger_id")
    if trigger.used:
        raise SlackError("exchanged_trigger_id")
    if space.clock() - trigger.born > TRIGGER_SECONDS:
        raise SlackError("expired_trigger_id")
    content = checked_view(arguments["view"], "modal")
    trigger.used = True
    return {"view": space.show(new_view(space, trigger.user, content))}


def new_view(space: Workspace, user: str, content: Json) -> View:
    """A view that has just been opened."""
    view = View(space.number("V0"), user, content, space.number("1700000000.h"))
    space.views[view.id] = view
    space.changed()
    return view


def replace_view(space: Workspace, view: View, content: Json) -> None:
    """Another content, and so another hash."""
    view.content, view.hash, view.errors = content, space.number("1700000000.h"), {}
    space.changed()


@method("views.update", "view")
def update_view(space: Workspace, arguments: Json) -> Json:
    name = arguments.get("external_id")
    named = (one for one in space.views.values() if name and one.content.get("external_id") == name)
    view = space.views.get(arguments.get("view_id") or "") or next(named, None)
    if view is None or not view.open:
        raise SlackError("not_found")
    if arguments.get("hash") not in (None, view.hash):
        raise SlackError("hash_conflict")
    replace_view(space, view, checked_view(arguments["view"], view.content["type"]))
    return {"view": space.show(view)}


@method("views.publish", "user_id", "view")
def publish(space: Workspace, arguments: Json) -> Json:
    user, content = arguments["user_id"], checked_view(arguments["view"], "home")
    if user not in space.users:
        raise SlackError("user_not_found")
    view = space.homes.get(user)
    if view and arguments.get("hash") not in (None, view.hash):
        raise SlackError("hash_conflict")
    if view:
        replace_view(space, view, content)
    else:
        view = space.homes[user] = new_view(space, user, content)
    return {"view": space.show(view)}


@method("assistant.threads.setStatus", "channel_id", "thread_ts")
def set_status(space: Workspace, arguments: Json) -> Json:
    channel = channel_of(space, arguments["channel_id"])
    if len(arguments.get("loading_messages") or []) > 10:
        raise SlackError("invalid_arguments")
    where = (channel.id, str(arguments["thread_ts"]))
    if arguments.get("status"):
        space.statuses[where] = arguments["status"]
    else:
        space.statuses.pop(where, None)
    space.changed()
    return {}


@method("assistant.threads.setTitle", "channel_id", "thread_ts", "title")
def set_title(space: Workspace, arguments: Json) -> Json:
    space.titles[channel_of(space, arguments["channel_id"]).id, str(arguments["thread_ts"])] = arguments["title"]
    space.changed()
    return {}


@method("assistant.threads.setSuggestedPrompts", "channel_id", "prompts")
def set_prompts(space: Workspace, arguments: Json) -> Json:
    prompts: Any = arguments["prompts"]
    if not isinstance(prompts, list) or len(prompts) > 4 or any(not {"title", "message"} <= set(one) for one in prompts):
        raise SlackError("invalid_arguments")
    space.prompts[channel_of(space, arguments["channel_id"]).id, arguments.get("thread_ts")] = prompts
    space.changed()
    return {}


@method("apps.connections.open")
def open_connection(space: Workspace, _arguments: Json) -> Json:
    space.tickets.add(ticket := space.number("ticket-"))
    return {"url": f"{space.url.replace('http', 'ws', 1)}/link?ticket={ticket}&app_id={space.app_id}"}


def _known_client(space: Workspace, arguments: Json) -> None:
    if arguments.get("client_id") != space.client_id:
        raise SlackError("invalid_client_id")
    if arguments.get("client_secret") != space.client_secret:
        raise SlackError("bad_client_secret")


def _issued(space: Workspace, team: str, user: str | None = None, rotated: bool = False) -> Json:
    token = f"{'xoxe.' if rotated else ''}xoxb-{space.number('')}"
    space.tokens[token] = Token(team, expires=space.clock() + TOKEN_SECONDS if rotated else None)
    said: Json = {"app_id": space.app_id, "team": {"id": team, "name": team.lower()}, "enterprise": None, "is_enterprise_install": False}
    said |= {"access_token": token, "token_type": "bot", "scope": space.scopes, "bot_user_id": space.bot_user}
    if user:
        said["authed_user"] = {"id": user}
    if rotated:
        said |= {"refresh_token": f"xoxe-1-{space.number('')}", "expires_in": TOKEN_SECONDS}
        space.refreshers[said["refresh_token"]] = team
    space.changed()
    return said


@method("oauth.v2.access")
def oauth_access(space: Workspace, arguments: Json) -> Json:
    _known_client(space, arguments)
    if arguments.get("grant_type") == "refresh_token":
        if (team := space.refreshers.pop(arguments.get("refresh_token") or "", None)) is None:
            raise SlackError("invalid_refresh_token")
        return _issued(space, team, rotated=True)
    if (asked := space.codes.pop(arguments.get("code") or "", None)) is None:
        raise SlackError("invalid_code")
    if arguments.get("redirect_uri", asked["redirect_uri"]) != asked["redirect_uri"]:
        raise SlackError("bad_redirect_uri")
    return _issued(space, asked["team"], asked["user"], rotated=space.rotation)


@method("oauth.v2.exchange")
def oauth_exchange(space: Workspace, arguments: Json) -> Json:
    _known_client(space, arguments)
    if (known := space.tokens.get(arguments["token"] or "")) is None or known.revoked:
        raise SlackError("invalid_auth")
    if known.expires is not None:
        raise SlackError("token_already_exchanged")
    known.revoked = True
    return _issued(space, known.team_id, rotated=True)
