"""The app manifest: what Frontdesk asks of Slack, and what each permission is for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from bot.slack.http import PATH
from bot.slack.windows import CORRECT_ANSWER, TEACH

# Every scope, and what does not work without it.
SCOPES: Mapping[str, str] = {
    "app_mentions:read": "mentions are not heard",
    "assistant:write": "no questions are suggested in direct messages",
    "channels:history": "in public channels nothing but mentions is heard, and a reply that may have got lost cannot be looked up",
    "channels:read": "a public staff channel cannot be checked",
    "chat:write": "nothing can be answered",
    "commands": "/support, /support-admin and the message shortcuts are missing",
    "groups:history": "in private channels nothing but mentions is heard, and a reply that may have got lost cannot be looked up",
    "groups:read": "a private staff channel cannot be checked",
    "im:history": "direct messages are not heard",
    "im:write": "who asks for their data in the App Home does not get it",
    "mpim:history": "in group conversations nothing but mentions is heard",
    "usergroups:read": "staff and admins can be named by their ids only, not by user groups",
    "users:read": "nobody counts as staff or admin, because guests and strangers cannot be told apart from members",
}
_ALL_CHANNELS = ("channels:history", "groups:history")  # what `minimal` does without
_EVENTS = (
    "app_home_opened", "app_mention", "app_uninstalled", "message.channels", "message.groups", "message.im", "message.mpim",
    "tokens_revoked",
)  # fmt: skip
_EVENTS_OF_ALL_CHANNELS = ("message.channels", "message.groups")


def scopes(*, minimal: bool = False) -> tuple[str, ...]:
    """Return the scopes of the bot token; `minimal`: those for mentions and direct messages only."""
    return tuple(scope for scope in SCOPES if not (minimal and scope in _ALL_CHANNELS))


def base_of(url: str) -> str | None:
    """Return the address of a server as the start of its paths; None where Slack would not send to it: it takes https only."""
    url = url.strip()
    try:
        parsed = urlsplit(url)
        host, _ = parsed.hostname, parsed.port  # a port that is none raises
    except ValueError:
        return None
    if parsed.scheme != "https" or not host or parsed.query or parsed.fragment or len(url.split()) > 1:
        return None
    return url.rstrip("/").removesuffix(PATH)


def manifest(base: str = "", *, minimal: bool = False) -> dict[str, Any]:
    """Return the manifest of an app that hears over HTTP at `base`, or without one over Socket Mode."""
    here = {"url": base + PATH} if base else {}
    request = {"request_url": base + PATH} if base else {}
    events = [event for event in _EVENTS if not (minimal and event in _EVENTS_OF_ALL_CHANNELS)]
    return {
        "display_information": {
            "name": "Frontdesk",
            "description": "Answers questions from your help articles and hands over to people",
            "background_color": "#1a4d8f",
        },
        "features": {
            "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False},
            "bot_user": {"display_name": "Frontdesk", "always_online": True},
            "agent_view": {
                "agent_description": "Ask me anything about our help articles. I show where an answer comes from and can get you a person.",
                "suggested_prompts": [{"title": "Talk to a person", "message": "I want to talk to a person."}],
            },
            "shortcuts": [
                _shortcut("Correct this answer", CORRECT_ANSWER, "Propose a better answer than this one of Frontdesk"),
                _shortcut("Teach Frontdesk", TEACH, "Propose this message as an answer for the help articles"),
            ],
            "slash_commands": [
                _command("/support", "Ask a question; only you see the answer", "QUESTION | privacy export | privacy delete", here),
                _command("/support-admin", "What admins can have done", "status | channel MODE | mute | unmute | knowledge", here),
            ],
        },
        "oauth_config": {"scopes": {"bot": list(scopes(minimal=minimal))}},
        "settings": {
            "event_subscriptions": {**request, "bot_events": events},
            "interactivity": {"is_enabled": True, **request},
            "org_deploy_enabled": False,
            "socket_mode_enabled": not base,
            "token_rotation_enabled": False,  # a token from the settings cannot be replaced, and rotation cannot be turned off again
        },
    }


def _shortcut(name: str, callback_id: str, description: str) -> dict[str, str]:
    return {"name": name, "type": "message", "callback_id": callback_id, "description": description}


def _command(name: str, description: str, usage: str, here: Mapping[str, str]) -> dict[str, Any]:
    """`should_escape`: people and channels come as ids, which nobody can make up by a name."""
    return {"command": name, **here, "description": description, "usage_hint": usage, "should_escape": True}
