"""The console as its tests use it: the whole application on a database, and browsers without a screen."""

from __future__ import annotations

import asyncio
import re
import uuid
from dataclasses import dataclass, field

import httpx
from fastapi import FastAPI

from bot.bootstrap import Frontdesk
from bot.bootstrap_console import console_of
from bot.metrics import Metrics
from bot.settings import Settings
from bot.web.app import build
from core.members import EVERYWHERE, Member, Role, Scope
from core.staff.sign_in import SignIn
from core.storage.database import Database

_TOKEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')
HOST = "https://console.example"


@dataclass
class Browser:
    """A client that keeps cookies, asks for pages and sends forms as a browser does."""

    client: httpx.AsyncClient

    async def get(self, path: str, **options: object) -> httpx.Response:
        return await self.client.get(f"/console{path}", **options)  # type: ignore[arg-type]

    async def csrf(self, page: str = "/account") -> str:
        """The token of this session, from a form of a page."""
        found = _TOKEN.search((await self.get(page)).text)
        assert found, f"there is no form on {page}"
        return found[1]

    async def post(
        self, path: str, form: dict[str, object] | None = None, *, csrf: str | None = None, page: str = "/account"
    ) -> httpx.Response:
        """Send a form with the token of this session, or with another."""
        token = await self.csrf(page) if csrf is None else csrf
        return await self.client.post(f"/console{path}", data={"csrf": token, **(form or {})})


@dataclass
class Desk:
    """A console on a database; `browser` gives somebody signed in."""

    graph: Frontdesk
    app: FastAPI
    sign_in: SignIn
    closing: asyncio.Event
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def console(self) -> FastAPI:
        """The console inside the application."""
        (found,) = (route for route in self.app.routes if getattr(route, "name", "") == "console")
        console: FastAPI = found.app  # type: ignore[attr-defined]
        return console

    async def member(self, role: Role, scope: Scope = EVERYWHERE, name: str = "") -> Member:
        member_id = uuid.uuid4().hex
        member = Member(member_id, name or f"{role.name.lower()}-{member_id[:6]}", role, scope)
        assert await self.sign_in.members.add(member)
        return member

    def visitor(self, host: str = HOST) -> Browser:
        """Somebody who is not signed in."""
        transport = httpx.ASGITransport(self.app)
        headers = {"accept": "text/html", "sec-fetch-site": "same-origin"}
        self.clients.append(httpx.AsyncClient(transport=transport, base_url=host, headers=headers))
        return Browser(self.clients[-1])

    async def browser(self, role: Role = Role.ADMIN, scope: Scope = EVERYWHERE) -> Browser:
        """Somebody of a role, signed in by a link."""
        return await self.signed_in(await self.member(role, scope))

    async def signed_in(self, member: Member) -> Browser:
        browser = self.visitor()
        link = await self.sign_in.link_for(member)
        answer = await browser.post("/sign-in/link", {"token": link}, page=f"/sign-in/link?token={link}")
        assert answer.status_code == 303, answer.text
        return browser


def desk_on(database: Database, **settings: object) -> Desk:
    """The whole web application with a console, as `frontdesk run --only console` serves it."""
    from bot.bootstrap_console import sign_in_of

    async def health() -> dict[str, str]:
        return {}

    graph = Frontdesk(Settings(**settings), database, lambda _line: None)
    closing = asyncio.Event()
    closing.set()  # streams say what there is and end; who wants to hear more clears it
    app = build(None, health, Metrics().exposition, console=console_of(graph, closing=closing))
    return Desk(graph, app, sign_in_of(graph), closing)
