"""Who asks, and whether they may: the session in a cookie, roles, and the token that forms must carry."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request
from starlette.responses import Response

from bot.console.parts import Console
from core.members import EVERYWHERE, Member, Role
from core.sessions import LASTS, new_token

PREFIX = "/console"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"  # for scripts of ours
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FOREIGN_FORM = "This form does not belong to your session, perhaps because you have signed in again since. Open the page again."
NOT_ALLOWED = "Your role does not allow this."
_STREAM = "text/event-stream"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SignInNeededError(Exception):
    """Nobody is signed in."""


def console_of(request: Request) -> Console:
    """Return the services behind the pages."""
    console: Console = request.app.state.console
    return console


def is_secure(request: Request) -> bool:
    """Tell whether browsers reach the console over https; a proxy in front is believed as far as uvicorn believes it."""
    public_url = console_of(request).public_url
    return public_url.startswith("https://") if public_url else request.scope["scheme"] == "https"


def is_private(request: Request) -> bool:
    """Tell whether nobody on the way can read along: https, or plain http that does not leave the machine."""
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:  # half an IPv6 address
        host = None
    return is_secure(request) or host in _LOOPBACK


def cookie_name(request: Request, purpose: str = "session") -> str:
    """Return the name of a cookie.

    The prefix makes browsers refuse one that another host, a path or plain http sets. Over plain http on the own machine they would
    refuse ours too, so there it has none, and no `Secure`.
    """
    return f"__Host-frontdesk-{purpose}" if is_secure(request) else f"frontdesk-{purpose}"


def set_cookie(request: Request, response: Response, purpose: str, value: str, max_age: int | None = None) -> None:
    """Have the browser keep something; an empty value: forget it."""
    response.set_cookie(
        cookie_name(request, purpose), value, max_age if value else 0, path="/", secure=is_secure(request), httponly=True, samesite="lax"
    )


def open_session(request: Request, response: Response, session: str) -> None:
    """Have the browser hold a new session in place of any other: an id that somebody planted is worth nothing."""
    set_cookie(request, response, "session", session, int(LASTS.total_seconds()))
    set_cookie(request, response, "visit", "")


def session_token(request: Request) -> str:
    """Return what the browser holds of its session, empty for nothing."""
    return request.cookies.get(cookie_name(request), "")


def csrf_token(request: Request) -> str:
    """Return the token that forms of this session carry; of this visit, as long as nobody is signed in."""
    held = session_token(request) if member_of(request) else visit_token(request)
    return hmac.new(held.encode(), b"csrf", hashlib.sha256).hexdigest() if held else ""


def visit_token(request: Request) -> str:
    """Return what tells a browser from another before anybody has signed in; `page` has it kept."""
    if not hasattr(request.state, "visit"):
        request.state.visit = request.cookies.get(cookie_name(request, "visit"), "") or new_token()
    visit: str = request.state.visit
    return visit


def member_of(request: Request) -> Member | None:
    """Return who is signed in, as `identified` has found out."""
    member: Member | None = getattr(request.state, "member", None)
    return member


async def identified(request: Request) -> None:
    """Find out who asks: the first thing for every route. A page that only listens, and comes back by itself, keeps nobody signed in."""
    sign_in = console_of(request).sign_in
    listens = request.headers.get("accept", "").startswith(_STREAM)
    request.state.member = await (sign_in.still if listens else sign_in.member)(session_token(request))


async def signed_in(request: Request) -> Member:
    """Return who is signed in. Raises `SignInNeededError`."""
    member = member_of(request)
    if member is None:
        raise SignInNeededError
    return member


async def own_form(request: Request) -> None:
    """Refuse what changes something unless it carries the token of this very session: another site's form cannot know it."""
    if request.method in SAFE_METHODS:
        return
    given = request.headers.get(CSRF_HEADER) or await _from_form(request)
    if not hmac.compare_digest(given.encode(errors="replace"), csrf_token(request).encode()) or not given:
        if member := member_of(request):  # visitors could fill the audit log
            await console_of(request).audit.record(member.actor, "console.form", request.scope["path"], "denied", reason="csrf")
        raise HTTPException(403, FOREIGN_FORM)


async def _from_form(request: Request) -> str:
    given = (await request.form()).get(CSRF_FIELD, "")
    return given if isinstance(given, str) else ""


@dataclass(frozen=True, slots=True)
class at_least:  # noqa: N801  # reads as words: `Depends(at_least(Role.AGENT))`
    """Asks for a member of at least this role; `everywhere`: of the whole installation, not of some workspaces."""

    role: Role
    everywhere: bool = False

    def allows(self, member: Member) -> bool:
        """Tell whether a member may."""
        return member.role >= self.role and (member.scope == EVERYWHERE or not self.everywhere)

    async def __call__(self, request: Request, member: Member = Depends(signed_in)) -> Member:
        """Return who asks. Raises 403, which is audited."""
        if not self.allows(member):
            await console_of(request).audit.record(member.actor, "console.access", request.scope["path"], "denied", reason=member.role.name)
            raise HTTPException(403, NOT_ALLOWED)
        return member


async def not_here(request: Request, target: str) -> HTTPException:
    """Return what to raise for something that is not there or outside the scope of whoever asks: nobody can tell which; it is audited."""
    if member := member_of(request):
        await console_of(request).audit.record(member.actor, "console.look", target, "denied", reason="not in scope")
    return HTTPException(404, "There is nothing here, or it belongs to a workspace that you may not look into.")


def required(dependant: Any) -> at_least | None:
    """Return the role that a route asks for, from FastAPI's description of it."""
    found = [one.call for one in _all(dependant) if isinstance(one.call, at_least)]
    return max(found, key=lambda one: one.role, default=None)


def _all(dependant: Any) -> list[Any]:
    return [dependant, *(inner for one in dependant.dependencies for inner in _all(one))]
