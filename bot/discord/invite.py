"""The address that adds the bot to a server: what Frontdesk asks of Discord there, and what each permission is for. Pure."""

from __future__ import annotations

import base64
import re
from typing import NamedTuple
from urllib.parse import quote, urlencode

PORTAL = "https://discord.com/developers/applications"
_AUTHORIZE = "https://discord.com/oauth2/authorize"
_SCOPES = "bot applications.commands"  # a member that can be mentioned; `/ask`, `/support`, `/support-admin` and the menu of messages
_ID = re.compile(r"[0-9]{17,20}")


class Permission(NamedTuple):
    """One that a role may have; `label` as Discord's own settings show it."""

    label: str
    bit: int
    lost: str  # what does not work without it
    is_vital: bool = True  # without it answers get lost, else they are only less good


# Messages of the gateway, and everything else: without it no other permission counts.
VIEW = Permission("View Channels", 1 << 10, "nothing is heard")
# Answers where no thread can be made, drafts and alerts in the staff channel; "is typing" too.
SEND = Permission("Send Messages", 1 << 11, "nothing is answered")
# Answers in threads and in posts of forums, where Send Messages does not count.
SEND_IN_THREADS = Permission("Send Messages in Threads", 1 << 38, "nothing is answered in threads and posts")
# Looking for a reply that may have got lost before it is sent again, reading what was said while the bot was away, and replying to a
# message where no thread can be made.
READ_HISTORY = Permission("Read Message History", 1 << 16, "lost replies are not found again and missed messages are not read")
# The thread that is made of a question.
CREATE_THREADS = Permission("Create Public Threads", 1 << 35, "answers stand in the channel, not in a thread", is_vital=False)
# Tags of posts that others wrote: Discord has no smaller permission for them.
MANAGE_THREADS = Permission("Manage Threads", 1 << 34, "posts get no tags", is_vital=False)
# Not asked for: Embed Links (previews of links are suppressed), Attach Files (only answers to commands carry a file, and Discord grants
# them that itself), Mention Everyone (nobody is pinged), Manage Messages (the bot deletes its own only).
PERMISSIONS = (VIEW, SEND, SEND_IN_THREADS, READ_HISTORY, CREATE_THREADS, MANAGE_THREADS)


def permissions(*, minimal: bool = False) -> tuple[Permission, ...]:
    """Return what the bot asks for; `minimal`: without the one that only tags need, for it also lets the bot close and delete threads."""
    return tuple(one for one in PERMISSIONS if not (minimal and one is MANAGE_THREADS))


def is_id(text: str) -> bool:
    """Tell whether this is an id of Discord."""
    return _ID.fullmatch(text) is not None


def invite(client_id: str, guild_id: str = "", *, minimal: bool = False) -> str:
    """Return the address that adds an application to a server; with `guild_id` to that one only."""
    asked = {"client_id": client_id, "scope": _SCOPES, "permissions": str(sum(one.bit for one in permissions(minimal=minimal)))}
    if guild_id:
        asked |= {"guild_id": guild_id, "disable_guild_select": "true"}
    return f"{_AUTHORIZE}?{urlencode(asked, quote_via=quote)}"


def application_id(token: str) -> str | None:
    """Return the id that a bot token begins with, None when this is no bot token."""
    head, *rest = token.strip().split(".")
    try:
        decoded = base64.b64decode(head + "=" * (-len(head) % 4), altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        return None
    return decoded if len(rest) == 2 and all(rest) and is_id(decoded) else None
