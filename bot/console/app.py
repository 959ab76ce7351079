"""The console as an application of its own, mounted at /console: who may come in is decided before any page."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.requests import Request
from starlette.responses import Response

from bot.console import (
    account,
    audit,
    conversations,
    corrections,
    handoffs,
    inbox,
    knowledge,
    learning,
    live,
    members,
    models,
    overview,
    releases,
    search,
    sign_in,
    unanswered,
)
from bot.console.auth import identified, own_form, signed_in
from bot.console.badges import for_navigation
from bot.console.errors import Shield, add_handlers
from bot.console.pages import STATIC, asked_of, navigation, redirect
from bot.console.parts import Console
from core.members import Member

_PAGES: tuple[Any, ...] = (
    inbox,
    conversations,
    handoffs,
    corrections,
    unanswered,
    releases,
    knowledge,
    search,
    overview,
    live,
    models,
    learning,
    audit,
    members,
    account,
)  # modules with `add_routes(router, console)`


def build(console: Console) -> FastAPI:
    """Return the console. Every page needs a session and every form its token, whatever its author has thought of."""
    app = FastAPI(title="Frontdesk console", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.console = console
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    visitors = APIRouter(dependencies=[Depends(identified), Depends(own_form)])
    sign_in.add_routes(visitors, console)
    router = APIRouter(dependencies=[Depends(identified), Depends(signed_in), Depends(own_form), Depends(for_navigation)])
    _add_home(router)
    for module in _PAGES:
        module.add_routes(router, console)
    app.include_router(visitors)
    app.include_router(router)
    app.state.asked = asked_of(router.routes)
    add_handlers(app)
    app.add_middleware(Shield)
    return app


def _add_home(router: APIRouter) -> None:
    @router.get("/")
    async def home(request: Request, member: Member = Depends(signed_in)) -> Response:
        pages = navigation(request, member)
        return redirect(request, pages[0][0].removeprefix("/console") if pages else "/account")
