"""A real browser on a real console: it notes what the browser complains of, and lets axe-core look at every page."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from axe_playwright_python.async_playwright import Axe
from fastapi import FastAPI
from playwright.async_api import Browser, Page, async_playwright, expect

from core.members import Member
from tests.bot.console.desk import Desk
from tests.servers.chat import QuietServer

# Where to leave a picture of every page that is looked at; nowhere unless it is set.
SHOTS = "CONSOLE_SHOTS"
SERIOUS = {"serious", "critical"}


class Window:
    """One tab on the console."""

    def __init__(self, tab: Page, url: str) -> None:
        self.tab = tab
        self.url = url
        self.complaints: list[str] = []
        tab.on("console", lambda line: self.complaints.append(line.text) if line.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def go(self, path: str) -> None:
        """Open a page of the console."""
        await self.tab.goto(f"{self.url}/console{path}")

    async def sign_in(self, desk: Desk, member: Member) -> None:
        """Come in by a link, as a person does."""
        await self.go(f"/sign-in/link?token={await desk.sign_in.link_for(member)}")
        await self.tab.get_by_role("button", name="Sign in").click()
        await expect(self.tab.get_by_role("button", name="Sign out")).to_be_visible()

    async def look(self, name: str) -> None:
        """Check the page that is open: nothing serious for axe-core, nothing that scrolls sideways, no complaint of the browser."""
        # A click waits until the next page has begun; until its style sheet is there, axe-core would judge a page nobody sees.
        await self.tab.wait_for_load_state("load")
        if folder := os.environ.get(SHOTS):
            Path(folder).mkdir(parents=True, exist_ok=True)
            await self.tab.screenshot(path=f"{folder}/{name}.png", full_page=True)
        # Evaluated by the debugger, which the content security policy does not bind.
        found = (await Axe().run(self.tab)).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found if one["impact"] in SERIOUS] == [], name
        width: Any = await self.tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert width[0] <= width[1], f"{name} scrolls sideways: {width}"
        assert self.complaints == [], name


@asynccontextmanager
async def chromium_browser() -> AsyncIterator[Browser]:
    """Give Chromium without a screen; skips the test where there is none."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    expect.set_options(timeout=30_000)  # not 5 s: four processes of tests share two cores
    async with async_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        opened = await playwright.chromium.launch(executable_path=path, args=flags)
        yield opened
        await opened.close()


async def window(browser: Browser, url: str, **context: Any) -> Window:
    """A new browser profile with one tab."""
    return Window(await (await browser.new_context(**context)).new_page(), url)


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """Serve on a free port of the loopback; give the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = QuietServer(uvicorn.Config(app, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
