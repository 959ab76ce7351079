"""Pages from templates: every value escaped, nothing inline, nothing kept by the browser."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bot.console import badges
from bot.console.auth import (
    CSRF_FIELD,
    PREFIX,
    at_least,
    cookie_name,
    csrf_token,
    is_secure,
    member_of,
    required,
    session_token,
    set_cookie,
    visit_token,
)
from core.members import Member, Role
from core.training.report import TEMPLATES

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
# In the order in which a day goes; an entry is shown once there is a page, to whoever may open it.
_NAVIGATION = {
    "/inbox": "Inbox",
    "/handoffs": "Hand-offs",
    "/corrections": "Corrections",
    "/knowledge": "Knowledge",
    "/models": "Models",
    "/overview": "Overview",
    "/audit": "Audit",
    "/members": "Members",
    "/search": "Search",
}
_FLASH_CHARS = 1000  # a cookie holds 4 kB
_YEAR = 31_536_000


def page(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a page; its template sees `member`, `here` (the path), `navigation`, `badges`, `flashes`, `csrf()` and what is given."""
    member = member_of(request)
    flashes = _flashes(request)
    html = _environment().get_template(template).render(
        member=member,
        here=request.scope["path"],
        navigation=navigation(request, member),
        badges=badges.shown(request),
        flashes=flashes,
        csrf_token=csrf_token(request),
        **context,
    )  # fmt: skip
    response = HTMLResponse(html, status)
    if member is None and cookie_name(request, "visit") not in request.cookies:
        set_cookie(request, response, "visit", visit_token(request))
    if flashes:
        set_cookie(request, response, "flash", "")
    return response


def redirect(request: Request, path: str, said: str = "", *, ok: bool = True) -> RedirectResponse:
    """Return what leads on to another page of the console, which says `said` once."""
    response = RedirectResponse(PREFIX + path, 303)
    if said:
        flash(request, response, said, ok=ok)
    return response


def flash(request: Request, response: Response, said: str, *, ok: bool = True, session: str = "") -> None:
    """Have the next page say something, once; `session`: the one that has just begun."""
    told = base64.urlsafe_b64encode(json.dumps([said[:_FLASH_CHARS], ok]).encode()).decode()
    set_cookie(request, response, "flash", f"{told}.{_signed(session or session_token(request), told)}")


def navigation(request: Request, member: Member | None) -> list[tuple[str, str]]:
    """Return path and name of the pages that somebody may open."""
    asked: dict[str, at_least] = request.app.state.asked
    return [(PREFIX + path, name) for path, name in _NAVIGATION.items() if member and path in asked and asked[path].allows(member)]


def asked_of(routes: list[Any]) -> dict[str, at_least]:
    """Return which role each page asks for, by its path."""
    pages = [route for route in routes if "GET" in (getattr(route, "methods", None) or ())]
    return {route.path: required(route.dependant) or at_least(Role.VIEWER) for route in pages if hasattr(route, "dependant")}


def headers(request: Request) -> dict[str, str]:
    """Return what goes with every response of the console, beside what goes with every response."""
    is_static = request.scope["path"].startswith(f"{PREFIX}/static/")
    found = {"cache-control": "no-cache" if is_static else "no-store", "x-frame-options": "DENY"}
    return found | ({"strict-transport-security": f"max-age={_YEAR}"} if is_secure(request) else {})


def _flashes(request: Request) -> list[tuple[str, bool]]:
    told, _, signature = request.cookies.get(cookie_name(request, "flash"), "").partition(".")
    if not told or not hmac.compare_digest(signature.encode(errors="replace"), _signed(session_token(request), told).encode()):
        return []
    said, ok = json.loads(base64.urlsafe_b64decode(told))
    return [(said, ok)]


def _signed(session: str, told: str) -> str:
    """By the session: a neighbouring site that can set cookies here cannot put words into our mouth."""
    return hmac.new(session.encode(errors="replace"), b"flash" + told.encode(errors="replace"), hashlib.sha256).hexdigest()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader([_HERE / "templates", TEMPLATES])
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.globals["csrf"] = _csrf_field()
    found.filters["time"] = _time
    return found


def _csrf_field() -> Any:
    from jinja2 import pass_context
    from markupsafe import Markup

    @pass_context
    def csrf(context: Any) -> Markup:
        return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, context["csrf_token"])

    return csrf


def _time(at: datetime) -> Markup:
    """A time for people, in UTC, and for machines."""
    from markupsafe import Markup

    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), at.strftime("%Y-%m-%d %H:%M"))
