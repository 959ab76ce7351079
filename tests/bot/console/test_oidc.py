"""Signing in with the account of an organisation: only whom the provider vouches for, only in the browser that began, only once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bot.console.discord_oauth import DiscordProvider
from bot.setting_groups import Console
from core.members import Role
from core.storage.database import Database
from tests.bot.console.desk import HOST, Browser, Desk, desk_on
from tests.servers.oidc import CLIENT, SECRET, OidcProvider


@pytest.fixture
async def provider() -> AsyncIterator[OidcProvider]:
    async with OidcProvider() as server:
        yield server


@pytest.fixture
async def desk(open_database: Callable[[str], Awaitable[Database]], provider: OidcProvider) -> AsyncIterator[Desk]:
    asked = Console(
        public_url=HOST, oidc_issuer=provider.url, oidc_client_id=CLIENT, oidc_client_secret=SECRET, oidc_domains="shop.example"
    )
    opened = desk_on(await open_database("sqlite"), console=asked)
    yield opened
    for client in opened.clients:
        await client.aclose()


async def consent(browser: Browser, path: str = "/sign-in/elsewhere") -> str:
    """Go to the provider and return the path it sends the browser back to."""
    there = (await browser.get(path)).headers["location"]
    async with httpx.AsyncClient() as client:
        back = (await client.get(there)).headers["location"]
    assert back.startswith(f"{HOST}/console/sign-in/callback?")
    return str(back.removeprefix(f"{HOST}/console"))


async def come_in(desk: Desk, path: str = "/sign-in/elsewhere") -> tuple[Browser, httpx.Response]:
    browser = desk.visitor()
    return browser, await browser.get(await consent(browser, path))


async def last_refusal(desk: Desk) -> str:
    (entry,) = await desk.graph.audit_log.entries(1)
    assert (entry.action, entry.result) == ("console.sign_in", "denied")
    return str(entry.detail["reason"])


async def test_a_member_by_e_mail_is_let_in_and_goes_on_where_they_wanted(desk: Desk) -> None:
    await desk.member(Role.EDITOR, name="Ann@shop.example")
    browser, answer = await come_in(desk, "/sign-in/elsewhere?next=/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/account")
    assert "<dd>editor</dd>" in (await browser.get("/account")).text


async def test_somebody_known_is_known_by_the_account_whatever_the_address_is_later(desk: Desk, provider: OidcProvider) -> None:
    await desk.member(Role.EDITOR, name="ann@shop.example")
    await come_in(desk)
    provider.person["email"] = "ann.married@shop.example"
    assert (await come_in(desk))[1].status_code == 303


async def test_an_address_that_somebody_else_has_got_since_opens_nothing(desk: Desk, provider: OidcProvider) -> None:
    await desk.member(Role.EDITOR, name="ann@shop.example")
    await come_in(desk)
    provider.person["sub"] = "another account"
    assert (await come_in(desk))[1].status_code == 403
    assert await last_refusal(desk) == "not a member"


async def test_the_same_id_in_another_workspace_of_slack_is_somebody_else(desk: Desk, provider: OidcProvider) -> None:
    await desk.member(Role.EDITOR, name="ann@shop.example")
    provider.person["https://slack.com/team_id"] = "T1"
    assert (await come_in(desk))[1].status_code == 303
    provider.person["https://slack.com/team_id"] = "T2"
    assert (await come_in(desk))[1].status_code == 403


async def test_nobody_becomes_a_member_by_signing_in(desk: Desk) -> None:
    _, answer = await come_in(desk)
    assert (answer.status_code, "You are not a member of this team yet." in answer.text) == (403, True)
    assert await desk.sign_in.members.all() == () and await last_refusal(desk) == "not a member"


async def test_other_domains_are_refused_even_for_members(desk: Desk, provider: OidcProvider) -> None:
    await desk.member(Role.ADMIN, name="ann@shop.example.evil.example")
    provider.person["email"] = "ann@shop.example.evil.example"
    assert (await come_in(desk))[1].status_code == 403
    assert await last_refusal(desk) == "domain"


@pytest.mark.parametrize(("name", "email"), [("gross@shop.example", "groß@shop.example"), ("ann@shop.example", "\u0430nn@shop.example")])
async def test_an_address_that_only_looks_like_that_of_a_member_opens_nothing(
    desk: Desk, provider: OidcProvider, name: str, email: str
) -> None:
    await desk.member(Role.ADMIN, name=name)
    provider.person["email"] = email
    assert (await come_in(desk))[1].status_code == 403
    assert await last_refusal(desk) == "not a member"


async def test_a_domain_that_folds_to_ours_is_another_one() -> None:
    assert Console(oidc_domains="fass.example").domains == {"fass.example"}
    assert Console(oidc_domains="faß.example").domains == {"faß.example"}


LIES: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "another audience": {"aud": "somebody-else"},
    "two audiences without naming us": {"aud": [CLIENT, "somebody-else"], "azp": "somebody-else"},
    "expired": {"exp": int(time.time()) - 3600},
    "from the future": {"nbf": int(time.time()) + 3600},
    "another nonce": {"nonce": "planted"},
    "no nonce": {"nonce": None},
    "no subject": {"sub": None},
    "unverified": {"email_verified": False},
    "verified in words only": {"email_verified": "yes"},
    "no word of it": {"email_verified": None},
    "no address": {"email": None, "email_verified": True},
    "another access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_token_that_is_not_as_it_must_be_opens_nothing(desk: Desk, provider: OidcProvider, lie: str) -> None:
    await desk.member(Role.ADMIN, name="ann@shop.example")
    provider.lies = LIES[lie]
    provider.person.pop("email") if lie == "no address" else None
    _, answer = await come_in(desk)
    assert (answer.status_code, "the log says why" in answer.text) == (403, True)
    assert await last_refusal(desk) == "provider"


@pytest.mark.parametrize("forgery", ["forges", "unsigned"])
async def test_a_token_that_the_provider_has_not_signed_opens_nothing(desk: Desk, provider: OidcProvider, forgery: str) -> None:
    await desk.member(Role.ADMIN, name="ann@shop.example")
    setattr(provider, forgery, True)
    assert (await come_in(desk))[1].status_code == 403
    assert await last_refusal(desk) == "provider"


async def test_bad_input_47_a_return_is_good_once_and_in_the_browser_that_began(desk: Desk) -> None:
    await desk.member(Role.ADMIN, name="ann@shop.example")
    browser, thief = desk.visitor(), desk.visitor()
    path = await consent(browser)
    await thief.get("/sign-in/elsewhere")  # with a sign-in of their own under way
    assert (await thief.get(path)).status_code == 403
    assert await last_refusal(desk) == "state"
    assert (await browser.get(path)).status_code == 403, "whoever showed it elsewhere has used it up"
    path = await consent(browser)
    assert (await browser.get(path)).status_code == 303
    assert (await browser.get(path)).status_code == 403


async def test_a_return_that_never_began_or_was_made_up_is_refused(desk: Desk) -> None:
    browser = desk.visitor()
    for path in ("?code=x&state=y", "", "?state=" + "x" * 200, "?error=access_denied"):
        assert (await browser.get(f"/sign-in/callback{path}")).status_code == 403


async def test_whoever_declines_there_is_told_so_here(desk: Desk, provider: OidcProvider) -> None:
    provider.declines = True
    assert (await come_in(desk))[1].status_code == 403
    assert await last_refusal(desk) == "declined"


async def test_an_answer_that_names_another_issuer_is_not_redeemed(desk: Desk, provider: OidcProvider) -> None:
    await desk.member(Role.ADMIN, name="ann@shop.example")
    browser = desk.visitor()
    assert (await browser.get(await consent(browser) + "&iss=https://evil.example")).status_code == 403
    assert provider.asked == []


async def test_an_address_that_only_userinfo_tells_is_taken(desk: Desk, provider: OidcProvider) -> None:
    await desk.member(Role.ADMIN, name="ann@shop.example")
    provider.in_userinfo = True
    assert (await come_in(desk))[1].status_code == 303


async def test_a_provider_that_does_not_answer_is_an_apology_without_its_words(desk: Desk, provider: OidcProvider) -> None:
    provider.broken = True
    answer = await desk.visitor().get("/sign-in/elsewhere")
    assert (answer.status_code, "secret-in-an-error-page" in answer.text, "Please try again" in answer.text) == (403, False, True)


async def test_passwords_are_off_where_the_organisation_knows_people(desk: Desk) -> None:
    member = await desk.member(Role.ADMIN, name="ann@shop.example")
    await desk.sign_in.members.set_password(member.member_id, await desk.sign_in.passwords.hashed("correct horse battery"))
    browser = desk.visitor()
    assert 'type="password"' not in (await browser.get("/sign-in")).text
    token = await _any_token(desk, browser)
    answer = await browser.post("/sign-in", {"name": member.name, "password": "correct horse battery"}, csrf=token)
    assert (answer.status_code, "Passwords are switched off here" in answer.text) == (403, True)


async def _any_token(desk: Desk, browser: Browser) -> str:
    link = await desk.sign_in.link_for((await desk.sign_in.members.all())[0])
    return await browser.csrf(f"/sign-in/link?token={link}")


async def test_who_is_known_to_discord_comes_in_by_discord(desk: Desk, provider: OidcProvider) -> None:
    member = await desk.member(Role.AGENT, name="ann@shop.example")
    # The console asks discord.com, which stands on the loopback here.
    desk.console.state.console = replace(desk.console.state.console, provider=DiscordProvider(CLIENT, SECRET, provider.url))
    browser, answer = await come_in(desk)
    assert answer.status_code == 303
    provider.discord["verified"] = False
    assert (await come_in(desk))[1].status_code == 403
    assert member.name in (await browser.get("/account")).text


async def test_the_way_to_the_provider_asks_for_a_code_with_proof_and_holds_no_secret(desk: Desk) -> None:
    there = (await desk.visitor().get("/sign-in/elsewhere")).headers["location"]
    asked = parse_qs(urlsplit(there).query)
    assert (asked["response_type"], asked["code_challenge_method"], asked["scope"]) == (["code"], ["S256"], ["openid email profile"])
    assert len(asked["state"][0]) == len(asked["nonce"][0]) == 43 and SECRET not in there
