"""The console's part of the object graph; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from bot.bootstrap import Frontdesk
from core.staff.sign_in import SignIn
from core.storage.members import SqlMembers
from core.storage.sessions import SqlAttempts, SqlSessions, SqlTickets

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from bot.console.parts import Console

_LIBRARIES = ("argon2", "authlib", "httpx", "jinja2", "python_multipart")
MISSING = "The console needs its libraries. Run: pip install 'frontdesk[console]'"


def console_of(graph: Frontdesk) -> ASGIApp:
    """Return the console, or what says how to install it."""
    if not all(map(find_spec, _LIBRARIES)):
        return _missing
    from bot.console.app import build

    return build(parts_of(graph))


def parts_of(graph: Frontdesk) -> Console:
    """Return the services behind the pages."""
    from bot.console.parts import Console

    return Console(sign_in_of(graph), graph.audit_log, graph.settings.console.public_url)


def sign_in_of(graph: Frontdesk) -> SignIn:
    """Who comes in."""
    database = graph.database
    return SignIn(
        SqlMembers(database), SqlSessions(database), SqlTickets(database), SqlAttempts(database), graph.audit_log, takes_passwords=True
    )


async def first_link(graph: Frontdesk, url: str) -> str:
    """Return the address at which the first admin signs in, empty once there are members."""
    token = await sign_in_of(graph).first_link()
    return link_at(graph, url, token) if token else ""


def link_at(graph: Frontdesk, url: str, token: str) -> str:
    """Return the address of a sign-in link; `url` is where this process is, for when no setting says how browsers get there."""
    base = (graph.settings.console.public_url or url).rstrip("/")
    return f"{base}/console/sign-in/link?token={token}"


async def _missing(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await PlainTextResponse(MISSING, 503)(scope, receive, send)
