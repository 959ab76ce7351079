"""`frontdesk doctor` on the console: what is missing is named with what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from bot import bootstrap_console
from bot.bootstrap_console import console_of, examine
from bot.setting_groups import Console
from core.errors import SettingsError
from core.members import Role
from core.storage.database import Database
from tests.bot.console.desk import HOST, Desk, desk_on
from tests.servers.oidc import CLIENT, SECRET, OidcProvider

HALF: dict[str, dict[str, str]] = {
    "oidc_client_id": {"oidc_issuer": "https://slack.com"},
    "console.public_url, to which": {"oidc_issuer": "https://slack.com", "oidc_client_id": "1", "oidc_client_secret": "2"},
    "must begin with https://": {"public_url": "desk.example"},
}


async def test_who_may_sign_in_is_counted_and_nobody_is_worth_a_look(desk: Desk) -> None:
    (nobody,) = await examine(desk.graph)
    assert nobody.ok and nobody.warns and "frontdesk staff add NAME --role admin" in nobody.detail
    await desk.member(Role.ADMIN)
    (somebody,) = await examine(desk.graph)
    assert (somebody.ok, somebody.warns, somebody.detail) == (True, False, "1 members")


@pytest.mark.parametrize("named", HALF)
async def test_what_is_half_set_up_is_named_and_nothing_starts(desk: Desk, named: str) -> None:
    settings = desk.graph.settings.model_copy(update={"console": Console(**HALF[named])})  # type: ignore[arg-type]
    graph = type(desk.graph)(settings, desk.graph.database, desk.graph.report)
    (found,) = await examine(graph)
    assert not found.ok and named in found.detail
    with pytest.raises(SettingsError, match="console"):
        console_of(graph)


async def test_a_provider_that_does_not_answer_is_named_and_its_secret_is_not(open_database: Callable[[str], Awaitable[Database]]) -> None:
    async with OidcProvider() as provider:
        known = {"oidc_client_id": CLIENT, "oidc_client_secret": SECRET}
        desk = desk_on(await open_database("sqlite"), console=Console(public_url=HOST, oidc_issuer=provider.url, **known))
        _, well = await examine(desk.graph)
        provider.broken = True
        _, broken = await examine(desk.graph)
    assert well.ok and not broken.ok
    assert provider.url in broken.detail and SECRET not in broken.detail and "secret-in-an-error-page" not in broken.detail


async def test_without_its_libraries_nothing_else_is_wrong(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap_console, "_LIBRARIES", ("no_such_library",))
    (found,) = await examine(desk.graph)
    assert found.ok and found.warns and "pip install 'frontdesk[console]'" in found.detail
