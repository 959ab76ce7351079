"""The console's part of the object graph; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from bot.bootstrap import Frontdesk
from core.domain import Passage
from core.errors import KnowledgeError
from core.staff.reading_room import ReadingRoom
from core.staff.review_desk import ReviewDesk
from core.staff.sign_in import SignIn
from core.storage.conversation_book import SqlConversationBook
from core.storage.members import SqlMembers
from core.storage.reviews import SqlReviewQueue
from core.storage.sessions import SqlAttempts, SqlSessions, SqlTickets
from core.storage.turn_search import SqlTurnSearch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from bot.console.parts import Console

_LIBRARIES = ("argon2", "authlib", "httpx", "jinja2", "python_multipart")
MISSING = "The console needs its libraries. Run: pip install 'frontdesk[console]'"


async def _no_passage(_passage_id: str) -> Passage | None:
    return None


def console_of(graph: Frontdesk, passage: Callable[[str], Awaitable[Passage | None]] = _no_passage) -> ASGIApp:
    """Return the console, or what says how to install it; `passage` gives the passages that are served."""
    if not all(map(find_spec, _LIBRARIES)):
        return _missing
    from bot.console.app import build

    return build(parts_of(graph, passage))


def parts_of(graph: Frontdesk, passage: Callable[[str], Awaitable[Passage | None]]) -> Console:
    """Return the services behind the pages."""
    from bot.console.parts import Console

    async def known(passage_id: str) -> Passage | None:
        try:
            return await passage(passage_id)
        except KnowledgeError:  # nothing is published; a conversation is read all the same
            return None

    return Console(
        sign_in=sign_in_of(graph),
        audit=graph.audit_log,
        reviews=ReviewDesk(SqlReviewQueue(graph.database), graph.audit_log),
        reading=ReadingRoom(SqlConversationBook(graph.database), SqlTurnSearch(graph.database), graph.audit_log),
        figures=graph.figure_book,
        passage=known,
        public_url=graph.settings.console.public_url,
    )


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
