"""The console in a real browser: on a real socket, with made-up conversations, somebody signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import choice
from secrets import token_hex

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from bot.bootstrap import Frontdesk
from core.domain import utc_now
from core.members import Role
from core.staff.demo_month import DemoMonth
from tests.bot.conftest import _running
from tests.bot.console.desk import Desk

SERIOUS = {"serious", "critical"}
_NAMES = ("Ada Kovacs", "Robin Meyer", "Noor Haddad", "Sam Okafor")


@dataclass
class Visit:
    """A tab of somebody signed in; it collects what the browser complains of."""

    tab: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> None:
        await self.tab.goto(f"{self.url}/console{path}")

    async def serious(self) -> list[str]:
        """What axe finds that keeps people out."""
        found = await Axe().run(self.tab)
        return [
            f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:3]]}"
            for one in found.response["violations"]
            if one["impact"] in SERIOUS
        ]

    async def width(self) -> int:
        width: int = await self.tab.evaluate("document.documentElement.scrollWidth")
        return width


async def fill(graph: Frontdesk, turns: int) -> None:
    """Make up conversations and count them."""
    await graph.demo_store.fill(DemoMonth(graph.sample(), utc_now()).conversations(turns), lambda _done: None)
    await graph.figure_book.refresh_all()


@asynccontextmanager
async def served(desk: Desk) -> AsyncIterator[str]:
    """The console on a free port of the loopback."""
    async with _running(desk.app) as url:
        yield url


async def visit(browser: Browser, desk: Desk, url: str, role: Role = Role.AGENT, **context: object) -> Visit:
    """Sign in with a link, as people do."""
    member = await desk.member(role, name=f"{choice(_NAMES)} {token_hex(2)}")
    tab = await (await browser.new_context(**context)).new_page()  # type: ignore[arg-type]
    here = Visit(tab, url)
    tab.on("console", lambda line: here.complaints.append(line.text) if line.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: here.complaints.append(str(error)))
    await here.open(f"/sign-in/link?token={await desk.sign_in.link_for(member)}")
    await tab.get_by_role("button", name="Sign in").click()
    return here
