"""Teams that install the app, and the processes that serve them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from bot.bootstrap import Frontdesk
from bot.secrets import vault_keys
from bot.slack.client import open_session
from bot.slack.http import PATH
from bot.slack.install_pages import INSTALL
from bot.slack.installations import VaultWorkspaces
from bot.slack.oauth import OAuth
from core.storage.database import Database
from core.storage.vault import SqlVault
from core.vault import Vault
from tests.bot.slack.office import ANN, BOB, BOT, HELP, Office, office
from tests.servers.slack import SlackPlatform
from tests.servers.slack_state import Channel

HOME, OTHER = "T0TEAM", "T0OTHER"
OTHER_HELP = "C0OTHER"
HALF_A_DAY = 43_200.0
Open = Callable[[str], Awaitable[Database]]


class Visit:
    """One browser, on its way to Slack and back. It keeps its cookie itself: a browser takes a loopback for secure, httpx does not."""

    def __init__(self, desk: Office) -> None:
        self.desk = desk
        self.base = desk.slack.events_url.removesuffix(PATH)
        self.cookie = ""

    async def get(self, path: str, cookie: str | None = None) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False) as browser:
            return await browser.get(self.base + path, headers={"cookie": self.cookie if cookie is None else cookie})

    async def start(self) -> httpx.URL:
        """Press the button; return where it leads."""
        begun = await self.get(INSTALL)
        assert begun.status_code == 302
        self.cookie = begun.headers["set-cookie"].split(";")[0]
        return httpx.URL(begun.headers["location"])

    async def allow(self, there: httpx.URL, team: str = HOME) -> str:
        """Say yes in Slack; return the path it sends the browser back to."""
        async with httpx.AsyncClient(trust_env=False) as browser:
            answer = await browser.get(there.copy_merge_params({"team": team}))
        return httpx.URL(answer.headers["location"]).raw_path.decode()

    async def install(self, team: str = HOME) -> httpx.Response:
        return await self.get(await self.allow(await self.start(), team))


@asynccontextmanager
async def open_for_all(database: Database, slack: SlackPlatform, **more: str) -> AsyncIterator[Office]:
    """An office that others can install, behind a public address."""
    slack.channels[OTHER_HELP] = Channel(OTHER_HELP, "help", members={ANN, BOB, BOT}, team_ids=(OTHER,))
    slack.tokens.pop(slack.bot_token)
    own = {"client_id": slack.client_id, "client_secret": slack.client_secret, "public_url": "https://bot.example"}
    async with office(database, slack, **own, **more) as desk:
        yield desk


async def ask(slack: SlackPlatform, team: str, question: str, thread_ts: str | None = None) -> str:
    """Ann asks in the channel of a team."""
    slack.team_id = team
    return await slack.say(ANN, HELP if team == HOME else OTHER_HELP, f"<@{BOT}> {question}", thread_ts=thread_ts)


def vault_of(graph: Frontdesk) -> SqlVault:
    return SqlVault(graph.database, vault_keys(graph.settings))


class Clock:
    """The time of Frontdesk and of Slack."""

    def __init__(self, slack: SlackPlatform) -> None:
        self._ahead = 0.0
        self._clock = slack.clock
        slack.clock = self

    def __call__(self) -> float:
        return self._clock() + self._ahead

    def passes(self, seconds: float) -> None:
        self._ahead += seconds


@asynccontextmanager
async def many(slack: SlackPlatform, vault: Vault, now: Callable[[], float] | None = None) -> AsyncIterator[VaultWorkspaces]:
    """The workspaces as one process knows them."""
    now = now or slack.clock
    async with open_session() as session:
        oauth = OAuth(slack.client_id, slack.client_secret, f"{slack.url}/api/", session, now)
        workspaces = VaultWorkspaces(vault, oauth, now)
        try:
            yield workspaces
        finally:
            await workspaces.aclose()


async def install(slack: SlackPlatform, workspaces: VaultWorkspaces, team: str = HOME) -> None:
    code = slack.number("code-")
    slack.codes[code] = {"redirect_uri": "", "team": team, "user": ANN}
    await workspaces.install(code, "")


def refreshes(slack: SlackPlatform) -> list[object]:
    return [one for one in slack.called("oauth.v2.access") if one.arguments.get("grant_type") == "refresh_token"]
