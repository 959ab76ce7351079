"""Many workspaces: each is served with its own token only, which is sealed, renewed, and nobody else's trouble."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from bot.bootstrap import Frontdesk
from bot.bootstrap_slack import slack_of
from bot.settings import Settings
from bot.slack.client import PAUSE_SECONDS, SlackRefusedError
from bot.slack.installation import installed, load
from bot.slack.installations import KEPT_SECONDS, PREFIX, VaultWorkspaces
from bot.slack.receiver import owner_of
from core.errors import DeliveryError, RefusedError, VaultError
from core.storage.database import Database
from core.storage.memory_records import MemoryVault
from core.storage.vault import SqlVault
from tests.bot.counter import Shelf
from tests.bot.slack.office import ANN, BOB, BOT, HELP, slack_settings
from tests.bot.slack.tenants import (
    HALF_A_DAY,
    HOME,
    OTHER,
    OTHER_HELP,
    Clock,
    Open,
    Visit,
    ask,
    install,
    many,
    open_for_all,
    refreshes,
    vault_of,
)
from tests.servers.slack import SlackPlatform


@pytest.fixture
async def slack() -> AsyncIterator[SlackPlatform]:
    async with SlackPlatform() as server:
        yield server


def teams_of_calls(slack: SlackPlatform) -> set[tuple[str, str]]:
    """Whose token was used for which channel."""
    return {(slack.tokens[one.token or ""].team_id, one.arguments["channel"]) for one in slack.calls if "channel" in one.arguments}


async def test_two_workspaces_with_one_question_are_answered_each_with_its_own_token(database: Database, slack: SlackPlatform) -> None:
    async with open_for_all(database, slack) as desk:
        for team in (HOME, OTHER):
            assert (await Visit(desk).install(team)).status_code == 200
        for _ in range(5):
            for team in (HOME, OTHER):
                await ask(slack, team, "how long does a parcel take?")
        await slack.until(lambda: len([m for m in slack.by_bot() if "actions" in str(m.blocks)]) == 10, seconds=20)
        await desk.quiet()
        await slack.until(lambda: not [one for one in slack.calls if one.outcome == "open"])
    assert teams_of_calls(slack) == {(HOME, HELP), (OTHER, OTHER_HELP)}
    assert (len(slack.by_bot(HELP)), len(slack.by_bot(OTHER_HELP))) == (5, 5)


async def test_an_uninstallation_stops_one_workspace_and_not_the_other(database: Database, slack: SlackPlatform) -> None:
    async with open_for_all(database, slack) as desk:
        vault = vault_of(desk.graph)
        for team in (HOME, OTHER):
            await Visit(desk).install(team)
        slack.team_id = OTHER
        await slack.uninstall()
        async with asyncio.timeout(30):
            while await vault.names(PREFIX) != (PREFIX + HOME,):  # noqa: ASYNC110  # the database rings no bell
                await asyncio.sleep(0.02)
        await ask(slack, OTHER, "how long does a refund take?")
        await ask(slack, HOME, "how long does a refund take?")
        await desk.answered()
        await desk.quiet()
        assert (len(slack.by_bot(HELP)), len(slack.by_bot(OTHER_HELP))) == (1, 0)
        assert (await Visit(desk).install(OTHER)).status_code == 200
        await ask(slack, OTHER, "how long does a refund take?")
        await desk.answered(2)
        slack.team_id = OTHER
        await slack.deliver({"type": "app_uninstalled"})  # a late one, of the installation before
        await ask(slack, OTHER, "how long does a refund take?")
        await desk.answered(3)


async def test_no_event_reads_the_database_or_asks_slack_who_we_are(open_database: Open, slack: SlackPlatform) -> None:
    vault = CountingVault()
    async with many(slack, vault) as workspaces:
        await install(slack, workspaces)
        for _ in range(100):
            assert await workspaces.workspace(HOME) is not None
            assert await workspaces.workspace("T0STRANGER") is None
        assert vault.reads == 2
    assert slack.count("auth.test") == 1  # when it was installed


async def test_a_token_that_another_process_changed_is_used_after_a_minute() -> None:
    async with SlackPlatform() as slack:
        vault, now = MemoryVault(), Clock(slack)
        async with many(slack, vault, now) as here, many(slack, vault, now) as there:
            await install(slack, here)
            first = await there.workspace(HOME)
            await install(slack, here)
            assert await there.workspace(HOME) is first
            now.passes(KEPT_SECONDS)
            second = await there.workspace(HOME)
            now.passes(KEPT_SECONDS)
            assert await there.workspace(HOME) is second  # what did not change is not made again
    assert first and second and first.client.web.token != second.client.web.token


@pytest.mark.parametrize("code", ["account_inactive", "token_revoked", "invalid_auth"])
async def test_a_workspace_whose_token_is_worth_nothing_fails_at_once_and_alone(slack: SlackPlatform, code: str) -> None:
    now = Clock(slack)
    async with many(slack, MemoryVault(), now) as workspaces:
        await install(slack, workspaces, HOME)
        await install(slack, workspaces, OTHER)
        home, other = await workspaces.workspace(HOME), await workspaces.workspace(OTHER)
        assert home and other
        before = slack.count("auth.test")
        slack.fail("auth.test", kind=f"error:{code}")
        for _ in range(3):
            with pytest.raises(SlackRefusedError, match=code):
                await home.client.call("auth.test")
        assert slack.count("auth.test") == before + 1
        await other.client.call("auth.test")
        now.passes(PAUSE_SECONDS)
        assert (again := await workspaces.workspace(HOME)) and again.client is home.client
        await home.client.call("auth.test")  # an incident at Slack is over
        slack.fail("auth.test", kind=f"error:{code}")
        with pytest.raises(SlackRefusedError):
            await home.client.call("auth.test")
        await install(slack, workspaces, HOME)  # as is an installation
        fresh = await workspaces.workspace(HOME)
        assert fresh
        await fresh.client.call("auth.test")


async def test_replies_to_a_paused_workspace_are_given_up_and_others_arrive(
    database: Database, slack: SlackPlatform, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_for_all(database, slack) as desk:
        for team in (HOME, OTHER):
            await Visit(desk).install(team)
        for token in slack.tokens.values():
            token.revoked = token.team_id == OTHER
        for _ in range(4):
            await ask(slack, OTHER, "how long does a refund take?")
        await ask(slack, HOME, "how long does a refund take?")
        await desk.answered()
        await desk.quiet()
    assert len(re.findall("reply .* cannot be delivered: .*T0OTHER is paused", caplog.text)) == 4
    refused = [one for one in slack.calls if one.outcome == "token_revoked"]
    assert 1 <= len(refused) < 8


async def test_five_processes_refresh_a_token_once(database: Database, slack: SlackPlatform) -> None:
    slack.rotation, now, keys = True, Clock(slack), [Fernet.generate_key()]
    async with contextual([many(slack, SqlVault(database, keys), now) for _ in range(5)]) as processes:
        await install(slack, processes[0])
        first = await processes[0].workspace(HOME)
        now.passes(HALF_A_DAY - 7100)
        asked = [process.workspace(HOME) for process in processes for _ in range(3)]
        found = await asyncio.gather(*asked)
        assert {one.client.web.token for one in found if one} != {first and first.client.web.token}
        assert len({one.client.web.token for one in found if one}) == 1
        assert len(refreshes(slack)) == 1
        now.passes(HALF_A_DAY + 3600)  # nobody wrote all night: the token is over, its refresh token is not
        late = await processes[3].workspace(HOME)
        assert late
        await late.client.call("auth.test")
    assert len(refreshes(slack)) == 2


async def test_a_refresh_outlives_whoever_waited_for_it(slack: SlackPlatform) -> None:
    slack.rotation, now = True, Clock(slack)
    async with many(slack, MemoryVault(), now) as workspaces:
        await install(slack, workspaces)
        now.passes(HALF_A_DAY - 60)
        with slack.hold("oauth.v2.access", after=True) as gate:
            waiting = asyncio.create_task(workspaces.workspace(HOME))
            await slack.until(lambda: gate.waiting)
            waiting.cancel()
            await asyncio.wait([waiting])
        found = await workspaces.workspace(HOME)
        assert found
        await found.client.call("auth.test")
    assert len(refreshes(slack)) == 1


@pytest.mark.parametrize("kind", ["500_before", "html", "reset_before", "error:invalid_refresh_token"])
async def test_a_refresh_that_fails_keeps_the_old_token_and_is_tried_again(
    slack: SlackPlatform, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    slack.rotation, now = True, Clock(slack)
    async with many(slack, MemoryVault(), now) as workspaces:
        await install(slack, workspaces)
        first = await workspaces.workspace(HOME)
        now.passes(HALF_A_DAY - 3600)
        slack.fail("oauth.v2.access", kind=kind)
        assert first and await workspaces.workspace(HOME) is first
        await first.client.call("auth.test")
        assert "cannot be refreshed, the old one is kept" in caplog.text
        assert len(refreshes(slack)) == 1
        now.passes(KEPT_SECONDS)
        assert (second := await workspaces.workspace(HOME)) is not first
    assert second and len(refreshes(slack)) == 2


async def test_a_token_that_is_over_is_for_now_and_loses_no_reply(slack: SlackPlatform) -> None:
    slack.rotation, now = True, Clock(slack)
    async with many(slack, MemoryVault(), now) as workspaces:
        await install(slack, workspaces)
        now.passes(HALF_A_DAY + 1)
        slack.fail("oauth.v2.access")
        found = await workspaces.workspace(HOME)
        assert found
        with pytest.raises(DeliveryError) as failed:
            await found.client.call("auth.test")
    assert not isinstance(failed.value, RefusedError)


async def test_no_token_can_be_read_in_the_file_or_the_log(
    open_database: Open, slack: SlackPlatform, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    slack.rotation = True
    now = Clock(slack)
    async with open_for_all(await open_database("sqlite"), slack) as desk:
        assert (await Visit(desk).install()).status_code == 200
        await ask(slack, HOME, "how long does a refund take?")
        await desk.answered()
        async with many(slack, vault_of(desk.graph), now) as workspaces:
            now.passes(HALF_A_DAY - 3600)
            found = await workspaces.workspace(HOME)
            slack.fail("oauth.v2.access", kind="html")
            now.passes(HALF_A_DAY)
            await workspaces.workspace(HOME)
        logging.getLogger("test").info("found %r", found)
    written = b"".join(path.read_bytes() for path in tmp_path.glob("test.db*"))
    assert b"slack-installation:T0TEAM" in written  # it is there
    assert not re.search(rb"xox[a-z]-[0-9]", written)  # sealed bytes may spell xoxb, too
    assert not re.search(r"xox[a-z]-[0-9]|client-secret", caplog.text)


async def test_a_wrong_key_is_said_at_the_start_and_to_whoever_asks(open_database: Open, slack: SlackPlatform) -> None:
    database = await open_database("sqlite")
    async with open_for_all(database, slack) as desk:
        await Visit(desk).install()
    other = Fernet.generate_key()
    own = {"client_id": slack.client_id, "client_secret": slack.client_secret}
    graph = Frontdesk(Settings(vault_keys=other.decode(), slack=slack_settings(slack, **own)), database, lambda said: None)
    with pytest.raises(VaultError, match=r"slack-installation:T0TEAM.*vault_keys"):
        async with slack_of(graph, Shelf()):  # type: ignore[arg-type]
            pass
    async with many(slack, SqlVault(database, [other])) as workspaces:
        with pytest.raises(DeliveryError, match="its key is not in vault_keys"):
            await workspaces.workspace(HOME)


def test_an_organisation_is_one_installation_under_its_own_id() -> None:
    told = {"access_token": "xoxb-1", "token_type": "bot", "bot_user_id": BOT, "app_id": "A0APP", "team": None}
    given = installed(told | {"is_enterprise_install": True, "enterprise": {"id": "E0ORG", "name": "Org"}}, 0.0)
    assert (given.workspace_id, given.name, given.expires_at) == ("E0ORG", "Org", None)
    assert load(given.dump()) == given
    assert "xoxb" not in repr(given)
    seen_by = {"enterprise_id": "E0ORG", "team_id": "T0TEAM", "is_enterprise_install": True}
    assert owner_of({"team_id": "T0TEAM", "authorizations": [seen_by]}) == "E0ORG"
    assert owner_of({"team_id": "T0TEAM", "enterprise_id": "E0ORG", "is_enterprise_install": True}) == "E0ORG"
    assert owner_of({"team_id": "T0TEAM", "enterprise_id": "E0ORG"}) == "T0TEAM"


@pytest.mark.parametrize(
    "spoiled", [{"team": {"id": "../x"}}, {"team": None}, {"token_type": "user"}, {"access_token": ""}, {"access_token": "x\ny"}]
)
def test_an_answer_that_is_no_token_of_a_bot_in_a_workspace_is_refused(spoiled: dict[str, object]) -> None:
    told = {"access_token": "xoxb-1", "token_type": "bot", "bot_user_id": BOT, "app_id": "A0APP", "team": {"id": HOME}}
    assert installed(told, 0.0).workspace_id == HOME
    with pytest.raises(RefusedError):
        installed(told | spoiled, 0.0)


def test_a_kept_installation_of_another_version_says_what_to_do() -> None:
    with pytest.raises(DeliveryError, match="Install the app again"):
        load(b'{"token": "xoxb-1"}')


async def test_admins_are_members_of_the_home_workspace_only(open_database: Open, slack: SlackPlatform) -> None:
    slack.users[BOB].team_id = OTHER
    async with open_for_all(await open_database("sqlite"), slack, admins=f"{ANN},{BOB}", home_workspace=HOME) as desk:
        for team in (HOME, OTHER):
            await Visit(desk).install(team)
        slack.team_id = OTHER
        stranger = await slack.command(BOB, OTHER_HELP, "/support-admin", "mute")
        slack.team_id = HOME
        own = await slack.command(ANN, HELP, "/support-admin", "mute")
    assert "does not belong to a workspace of the operator" in stranger.body
    assert "does not belong" not in own.body


async def test_without_a_home_workspace_nobody_administers_many(open_database: Open, slack: SlackPlatform) -> None:
    async with open_for_all(await open_database("sqlite"), slack, admins=ANN) as desk:
        await Visit(desk).install()
        answer = await slack.command(ANN, HELP, "/support-admin", "mute")
    assert "does not belong to a workspace of the operator" in answer.body


class CountingVault(MemoryVault):
    """Counts what is read."""

    reads = 0

    async def get(self, name: str) -> bytes | None:
        self.reads += 1
        return await super().get(name)


@asynccontextmanager
async def contextual(managers: list[AbstractAsyncContextManager[VaultWorkspaces]]) -> AsyncIterator[list[VaultWorkspaces]]:
    """All of them at once."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(one) for one in managers]
