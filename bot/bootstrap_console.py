"""The console's part of the object graph; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse

from bot.bootstrap import Frontdesk
from bot.bootstrap_control import control_of, run_control_of
from bot.bootstrap_corrections import corrections_of, library_of
from bot.bootstrap_handoffs import handoff_desk
from bot.check import Check
from core.corrections import State as Decided
from core.demo import DemoStore
from core.domain import Passage
from core.errors import FrontdeskError, KnowledgeError, SettingsError
from core.handoff import HandoffBook
from core.handoff import State as Waits
from core.members import Member, Role
from core.staff.commands import Commands
from core.staff.corrections import Corrections
from core.staff.learning_desk import LearningDesk
from core.staff.library import Library
from core.staff.membership import Membership
from core.staff.model_desk import ModelDesk
from core.staff.reading_room import ReadingRoom
from core.staff.review_desk import COUNTED, ReviewDesk
from core.staff.rights import Rule
from core.staff.sign_in import SignIn
from core.storage.conversation_book import SqlConversationBook
from core.storage.demo import SqlDemoStore
from core.storage.learning_runs import SqlRunBook
from core.storage.members import SqlMembers
from core.storage.reviews import SqlReviewQueue
from core.storage.sessions import SqlAttempts, SqlSessions, SqlTickets
from core.storage.turn_book import SqlTurnBook
from core.storage.turn_search import SqlTurnSearch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from bot.console.parts import Console
    from bot.console.providers import Provider
    from bot.setting_groups import Console as Asked

_LIBRARIES = ("argon2", "authlib", "httpx2", "jinja2", "python_multipart")
_PLATFORM = "console"
MISSING = "The console needs its libraries. Run: pip install 'frontdesk[console]'"


async def _no_passage(_passage_id: str) -> Passage | None:
    return None


def console_of(
    graph: Frontdesk,
    library: Library | None = None,
    passage: Callable[[str], Awaitable[Passage | None]] = _no_passage,
    closing: asyncio.Event | None = None,
) -> ASGIApp:
    """Return the console, or what says how to install it; `library` is the one that publishes in this process.

    `passage` gives the passages that are served, `closing` ends open streams.

    Raises `SettingsError` when it is half set up.
    """
    if graph.settings.console.problem:
        raise SettingsError(graph.settings.console.problem)
    if not all(map(find_spec, _LIBRARIES)):
        return _missing
    from bot.console.app import build

    return build(parts_of(graph, library or library_of(graph), passage, closing or asyncio.Event()))


def parts_of(graph: Frontdesk, library: Library, passage: Callable[[str], Awaitable[Passage | None]], closing: asyncio.Event) -> Console:
    """Return the services behind the pages."""
    from bot.console.parts import Console
    from bot.console.providers import Challenges

    async def known(passage_id: str) -> Passage | None:
        try:
            return await passage(passage_id)
        except KnowledgeError:  # nothing is published; a conversation is read all the same
            return None

    asked, reviews = graph.settings.console, ReviewDesk(SqlReviewQueue(graph.database), graph.audit_log)
    desk, corrections = handoff_desk(graph.settings, graph.database, graph.audit_log), corrections_of(graph)
    return Console(
        sign_in=sign_in_of(graph),
        audit=graph.audit_log,
        membership=membership_of(graph),
        challenges=Challenges(SqlTickets(graph.database)),
        reviews=reviews,
        reading=ReadingRoom(SqlConversationBook(graph.database), SqlTurnSearch(graph.database), graph.audit_log),
        figures=graph.figure_book,
        passage=known,
        counters=_counters(reviews, desk.book, corrections),
        closing=closing,
        models=ModelDesk(graph.model_registry, graph.host_board, graph.version_log),
        learning=LearningDesk(SqlRunBook(graph.database), graph.audit_log),
        commands=_commands(graph),
        handoffs=desk,
        provider=_provider(asked),
        turns=SqlTurnBook(graph.database),
        corrections=corrections,
        library=library,
        public_url=asked.public_url,
    )


def _counters(reviews: ReviewDesk, book: HandoffBook, corrections: Corrections) -> dict[str, Callable[[Member], Awaitable[int]]]:
    """By the page that shows it, what waits for a member; `claimed` tells the page of hand-offs that somebody took one."""
    return {
        "inbox": reviews.count,
        "handoffs": lambda member: book.count(Waits.WAITING, member.scope, COUNTED),
        "claimed": lambda member: book.count(Waits.CLAIMED, member.scope, COUNTED),
        "corrections": lambda member: corrections.store.count(Decided.PENDING, member.scope, COUNTED),
    }


def demo_store(graph: Frontdesk) -> DemoStore:
    """Made-up conversations."""
    return SqlDemoStore(graph.database)


def sign_in_of(graph: Frontdesk) -> SignIn:
    """Who comes in."""
    database, asked = graph.database, graph.settings.console
    stores = (SqlMembers(database), SqlSessions(database), SqlTickets(database), SqlAttempts(database))
    # One way in for everybody: an account that the organisation has closed must not have a password left here.
    return SignIn(*stores, graph.audit_log, takes_passwords=not asked.oidc_issuer, domains=asked.domains)


def membership_of(graph: Frontdesk, operator: str = "") -> Membership:
    """What changes who may come in."""
    return Membership(SqlMembers(graph.database), graph.audit_log, operator)


async def first_link(graph: Frontdesk, url: str) -> str:
    """Return the address at which the first admin signs in, empty once there are members."""
    token = await sign_in_of(graph).first_link()
    return link_at(graph, url, token) if token else ""


def link_at(graph: Frontdesk, url: str, token: str) -> str:
    """Return the address of a sign-in link; `url` is where this process is, for when no setting says how browsers get there."""
    base = (graph.settings.console.public_url or url).rstrip("/")
    return f"{base}/console/sign-in/link?token={token}"


async def examine(graph: Frontdesk) -> list[Check]:
    """Return what `frontdesk doctor` tells of the console."""
    asked = graph.settings.console
    if not all(map(find_spec, _LIBRARIES)):
        return [Check("console", True, MISSING, warns=True)]
    if asked.problem:
        return [Check("console", False, asked.problem)]
    members = await SqlMembers(graph.database).all()
    nobody = Check("console", True, "nobody can sign in yet. Run: frontdesk staff add NAME --role admin", warns=True)
    found = [Check("console", True, f"{len(members)} members") if members else nobody]
    return found + await _examine_provider(asked)


async def _examine_provider(asked: Asked) -> list[Check]:
    from bot.console.providers import Challenge

    provider = _provider(asked)
    if provider is None:
        return []
    try:
        await provider.address(asked.public_url, Challenge("state", "nonce", "verifier"))
    except FrontdeskError as error:
        return [Check("console sign-in", False, f"{error}. Check console.oidc_issuer.")]
    return [Check("console sign-in", True, f"{provider.name} says where to sign in")]


def _commands(graph: Frontdesk) -> Commands:
    """What admins of the whole installation may have done; who that is, the console knows."""
    rule = Rule(home_workspaces=frozenset({_PLATFORM}), admin_groups=frozenset({Role.ADMIN.name}))
    channels, backlog = graph.channels, graph.inbox.backlog
    control, runs = control_of(graph), run_control_of(graph)
    return Commands({_PLATFORM: rule}, graph.audit_log, channels, graph.knowledge_store, backlog, control, runs=runs)


def _provider(asked: Asked) -> Provider | None:
    from bot.console.discord_oauth import ISSUER, DiscordProvider
    from bot.console.oidc import OpenIdProvider

    if not asked.oidc_issuer:
        return None
    if asked.oidc_issuer.rstrip("/") == ISSUER:
        return DiscordProvider(asked.oidc_client_id, asked.oidc_client_secret)
    return OpenIdProvider(asked.oidc_issuer, asked.oidc_client_id, asked.oidc_client_secret)


async def _missing(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await PlainTextResponse(MISSING, 503)(scope, receive, send)
