"""Who comes into the console, and how they leave it."""

from __future__ import annotations

import base64
import json

import pytest

from core.members import EVERYWHERE, Role, Scope
from core.staff.actions import NotAllowedError
from core.staff.sign_in import TOO_MANY, WRONG
from tests.bot.console.desk import Browser, Desk

SESSION = "__Host-frontdesk-session"
PASSWORD = "correct horse battery"
HOSTILE = "<script>window.hacked=1</script><img src=x onerror=alert(1)>"


async def with_password(desk: Desk, name: str = "Ann", role: Role = Role.AGENT) -> None:
    member = await desk.member(role, name=name)
    await desk.sign_in.members.set_password(member.member_id, await desk.sign_in.passwords.hashed(PASSWORD))


async def try_password(browser: Browser, name: str, password: str, next: str = "") -> tuple[int, str]:
    answer = await browser.post("/sign-in", {"name": name, "password": password, "next": next}, page="/sign-in")
    return answer.status_code, answer.headers.get("location", answer.text)


async def role_shown(browser: Browser) -> str:
    answer = await browser.get("/account")
    return answer.text.partition("<dt>Role</dt><dd>")[2].partition("</dd>")[0] if answer.status_code == 200 else str(answer.status_code)


async def test_a_link_signs_in_once(desk: Desk) -> None:
    member = await desk.member(Role.AGENT, name="Ann")
    link, first, second = await desk.sign_in.link_for(member), desk.visitor(), desk.visitor()
    shown = await first.get(f"/sign-in/link?token={link}")
    assert (shown.status_code, "Sign in as <bdi>Ann</bdi>" in shown.text) == (200, True)
    assert (await first.post("/sign-in/link", {"token": link}, page="/sign-in")).status_code == 303
    refused = await second.post("/sign-in/link", {"token": link}, page="/sign-in")
    assert (refused.status_code, "This link is over" in refused.text) == (403, True)


async def test_looking_at_a_link_as_chat_programs_do_does_not_use_it_up(desk: Desk) -> None:
    link = await desk.sign_in.link_for(await desk.member(Role.AGENT))
    for _ in range(3):
        assert (await desk.visitor().get(f"/sign-in/link?token={link}")).status_code == 200
    assert (await desk.visitor().post("/sign-in/link", {"token": link}, page="/sign-in")).status_code == 303


async def test_a_link_of_somebody_removed_since_opens_nothing(desk: Desk) -> None:
    member = await desk.member(Role.AGENT)
    link = await desk.sign_in.link_for(member)
    await desk.sign_in.members.remove(member.member_id)
    assert (await desk.visitor().get(f"/sign-in/link?token={link}")).status_code == 404
    assert (await desk.visitor().post("/sign-in/link", {"token": link}, page="/sign-in")).status_code == 403


async def test_of_all_links_for_a_first_admin_one_makes_one(desk: Desk) -> None:
    links = [await desk.sign_in.first_link() for _ in range(2)]
    answers = [await desk.visitor().post("/sign-in/link", {"token": link}, page="/sign-in") for link in links]
    assert [answer.status_code for answer in answers] == [303, 403]
    assert [member.role for member in await desk.sign_in.members.all()] == [Role.ADMIN]
    assert await desk.sign_in.first_link() is None


async def test_nobody_sees_a_page_without_a_session_and_goes_on_where_they_wanted(desk: Desk) -> None:
    await with_password(desk)
    browser = desk.visitor()
    answer = await browser.get("/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in?next=/account")
    assert await try_password(browser, "ann", PASSWORD, "/account") == (303, "/console/account")


@pytest.mark.parametrize(
    "next", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/\r\nSet-Cookie: a=b", "\x00"]
)
async def test_signing_in_leads_nowhere_else(desk: Desk, next: str) -> None:
    await with_password(desk)
    assert await try_password(desk.visitor(), "Ann", PASSWORD, next) == (303, "/console/")


async def test_a_wrong_password_and_an_unknown_name_are_told_the_same(desk: Desk) -> None:
    await with_password(desk)
    (wrong, told), (unknown, told_too) = [await try_password(desk.visitor(), name, "wrong password") for name in ("Ann", "Bob")]
    assert (wrong, unknown) == (403, 403)
    assert "Name and password do not belong together." in told and "Name and password do not belong together." in told_too


async def test_a_member_without_a_password_cannot_sign_in_with_any(desk: Desk) -> None:
    await desk.member(Role.ADMIN, name="Ann")
    for password in ("", "x", "nobody has this password"):
        assert (await try_password(desk.visitor(), "Ann", password))[0] in (403, 422)


async def test_whoever_guesses_is_stopped_and_then_even_the_right_password_waits(desk: Desk) -> None:
    await with_password(desk)
    said = [await try_password(desk.visitor(), "Ann", f"guess {number}") for number in range(11)]
    assert ["Too many tries" in text for _, text in said] == [False] * 10 + [True]
    assert "Too many tries" in (await try_password(desk.visitor(), "Ann", PASSWORD))[1]
    (entry,) = await desk.graph.audit_log.entries(1)
    assert (entry.action, entry.result, entry.detail["reason"]) == ("console.sign_in", "denied", "too many")


async def test_bad_input_47_another_spelling_of_a_name_gives_no_more_guesses(desk: Desk) -> None:
    await with_password(desk)
    spellings = ["Ann", "ANN", "A\u200bnn", "\uff21nn", "ann "] * 2 + ["An\u00adn"]
    said = []
    for number, name in enumerate(spellings):
        with pytest.raises(NotAllowedError) as refused:
            await desk.sign_in.by_password(name, f"guess {number}", f"2001:db8::{number:x}")
        said.append(str(refused.value))
    assert said == [WRONG] * 10 + [TOO_MANY]


async def test_a_password_is_kept_as_argon2id_and_ends_the_sessions_of_before(desk: Desk) -> None:
    member = await desk.member(Role.VIEWER, name="Ann")
    here, elsewhere = await desk.signed_in(member), await desk.signed_in(member)
    answer = await here.post("/account/password", {"password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/account")
    assert "Your password is set." in (await here.get("/account")).text
    assert "Your password is set." not in (await here.get("/account")).text
    assert (await elsewhere.get("/account")).status_code == 303
    assert (await desk.sign_in.members.password(member.member_id)).startswith("$argon2id$")
    assert (await try_password(desk.visitor(), "ann", PASSWORD))[0] == 303


async def test_a_short_password_is_refused_in_words(desk: Desk) -> None:
    answer = await (await desk.browser(Role.VIEWER)).post("/account/password", {"password": "short"})
    assert (answer.status_code, "A password has 12 to 200 characters." in answer.text) == (403, True)


async def test_a_cookie_is_for_this_host_over_https_and_for_no_script(desk: Desk) -> None:
    browser, link = desk.visitor(), await desk.sign_in.link_for(await desk.member(Role.VIEWER))
    answer = await browser.post("/sign-in/link", {"token": link}, page="/sign-in")
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith(SESSION)]
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {"secure", "httponly", "samesite=lax", "path=/", "max-age=28800"}


async def test_on_the_own_machine_plain_http_will_do(desk: Desk) -> None:
    browser, link = desk.visitor("http://127.0.0.1:8080"), await desk.sign_in.link_for(await desk.member(Role.VIEWER))
    answer = await browser.post("/sign-in/link", {"token": link}, page="/sign-in")
    assert answer.status_code == 303 and "secure" not in answer.headers["set-cookie"].lower()
    assert await role_shown(browser) == "viewer"
    assert "strict-transport-security" not in answer.headers


async def test_over_plain_http_from_elsewhere_nobody_signs_in(desk: Desk) -> None:
    await with_password(desk)
    link = await desk.sign_in.link_for(await desk.member(Role.VIEWER))
    browser = desk.visitor("http://console.example")
    shown = await browser.get("/sign-in")
    assert "anybody on the way could read along" in shown.text and "password" not in shown.text.lower().replace("passwords", "")
    token = await desk.visitor("http://127.0.0.1").csrf("/sign-in")
    for path, form in (("/sign-in", {"name": "Ann", "password": PASSWORD}), ("/sign-in/link", {"token": link})):
        assert (await browser.post(path, form, csrf=token)).status_code == 403
    assert (await desk.visitor().post("/sign-in/link", {"token": link}, page="/sign-in")).status_code == 303, "the link was not used up"


async def test_bad_input_47_a_planted_session_is_not_taken_over(desk: Desk) -> None:
    victim, planted = desk.visitor(), "planted-by-an-attacker-planted-by-an-attack"
    victim.client.cookies.set(SESSION, planted)
    link = await desk.sign_in.link_for(await desk.member(Role.ADMIN))
    await victim.post("/sign-in/link", {"token": link}, page=f"/sign-in/link?token={link}")
    attacker = desk.visitor()
    attacker.client.cookies.set(SESSION, planted)
    assert await role_shown(attacker) == "303"


async def test_bad_input_47_a_new_sign_in_is_a_new_session(desk: Desk) -> None:
    browser, member = desk.visitor(), await desk.member(Role.ADMIN)
    held = []
    for _ in range(2):
        link = await desk.sign_in.link_for(member)
        await browser.post("/sign-in/link", {"token": link}, page=f"/sign-in/link?token={link}")
        held.append(browser.client.cookies.get(SESSION, domain="console.example"))
    assert held[0] and held[1] and held[0] != held[1]


async def test_bad_input_47_a_stolen_cookie_is_worth_nothing_after_sign_out(desk: Desk) -> None:
    browser, thief = await desk.browser(Role.ADMIN), desk.visitor()
    thief.client.cookies.set(SESSION, browser.client.cookies[SESSION])
    assert await role_shown(thief) == "admin"
    answer = await browser.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    assert await role_shown(thief) == "303" and await role_shown(browser) == "303"


async def test_bad_input_47_another_role_counts_at_the_next_request(desk: Desk) -> None:
    member = await desk.member(Role.ADMIN)
    browser = await desk.signed_in(member)
    assert (await browser.get("/audit")).status_code == 200
    await desk.sign_in.members.change(member.member_id, Role.VIEWER, EVERYWHERE)
    assert (await browser.get("/audit")).status_code == 403
    await desk.sign_in.members.change(member.member_id, Role.ADMIN, Scope(frozenset({("slack", "T1")})))
    assert (await browser.get("/audit")).status_code == 403
    await desk.sign_in.members.remove(member.member_id)
    assert (await browser.get("/audit")).status_code == 303


async def test_bad_input_46_nobody_signs_somebody_in_from_another_site(desk: Desk) -> None:
    link, browser = await desk.sign_in.link_for(await desk.member(Role.ADMIN)), desk.visitor()
    browser.client.headers["sec-fetch-site"] = "cross-site"
    token = await browser.csrf("/sign-in")
    assert (await browser.post("/sign-in/link", {"token": link}, csrf=token)).status_code == 403
    assert await desk.sign_in.invited(link)


async def test_bad_input_13_a_name_is_only_a_name(desk: Desk) -> None:
    hostile = await desk.member(Role.ADMIN, name=HOSTILE)
    browser = await desk.signed_in(hostile)
    for path in ("/account", "/members", f"/members/{hostile.member_id}/remove", "/audit"):
        shown = (await browser.get(path)).text
        assert "<script>window" not in shown and "<img src=x" not in shown and "&lt;script&gt;window" in shown
    link = await desk.sign_in.link_for(hostile)
    assert "<script>window" not in (await desk.visitor().get(f"/sign-in/link?token={link}")).text


async def test_nobody_else_puts_words_into_our_mouth(desk: Desk) -> None:
    browser = await desk.browser(Role.VIEWER)
    told = base64.urlsafe_b64encode(json.dumps(["Call 0900 123 to keep your account.", True]).encode()).decode()
    for forged in (f"{told}.{'0' * 64}", told, f"{told}.", ".", "é.é", f"{told}.{told}"):
        browser.client.cookies.set("__Host-frontdesk-flash", forged.encode("ascii", "ignore").decode(), domain="console.example")
        assert "Call 0900" not in (await browser.get("/account")).text
