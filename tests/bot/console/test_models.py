"""The page of the models: everybody reads it, admins of everything change things, and a change that takes long keeps nobody waiting."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.console import models
from core.members import EVERYWHERE, Member, Role, Scope
from core.registry import Alias, Kind
from core.staff.commands import CHANGES_PER_HOUR
from tests.bot.console.desk import Browser, Desk
from tests.bot.console.models import CHALLENGER, CHAMPION, OLDER, stocked

ORDER = "/models/order"


async def alone(desk: Desk) -> None:
    """Models that no process runs: a change is done at once."""
    await stocked(desk)
    await desk.graph.host_board.leave("web-1:4711")


async def serving(desk: Desk, alias: Alias = Alias.CHAMPION) -> str:
    move = await desk.graph.model_registry.current(Kind.GENERATOR, alias)
    return move.model_id if move else ""


async def order(browser: Browser, name: str, argument: str = "") -> str:
    """Give an order and return what the page says of it."""
    answer = await browser.post(ORDER, {"name": name, "argument": argument})
    assert answer.headers["location"] == "/console/models"
    return (await browser.get("/models")).text.partition('role="status">')[2].partition("</p>")[0]


async def test_versions_scores_shares_processes_and_changes_are_shown(desk: Desk) -> None:
    await stocked(desk)
    shown = (await (await desk.browser(Role.VIEWER)).get("/models")).text
    for text in ("@3f9a1c2b7d04", "10 % of conversations", "rouge_l 0.33", "11% (8% to 16%)", "web-1:4711", "not enough memory", "61"):
        assert text in shown, text


@pytest.mark.parametrize(("role", "scope"), [(Role.EDITOR, EVERYWHERE), (Role.ADMIN, Scope(frozenset({("slack", "T1")})))], ids=str)
async def test_who_may_change_nothing_sees_no_button(desk: Desk, role: Role, scope: Scope) -> None:
    await stocked(desk)
    assert ORDER not in (await (await desk.browser(role, scope)).get("/models")).text
    assert ORDER in (await (await desk.browser(Role.ADMIN)).get("/models")).text


async def test_an_admin_promotes_tries_reloads_and_goes_back(desk: Desk) -> None:
    await alone(desk)
    browser = await desk.browser(Role.ADMIN)
    assert f"Serve {OLDER} from now on?" in (await browser.get(f"{ORDER}?name=promote&argument={OLDER}")).text
    assert await serving(desk) == CHAMPION, "asking changes nothing"
    assert "is champion from now on" in await order(browser, "promote", OLDER)
    assert await serving(desk) == OLDER
    await order(browser, "canary", f"25% {CHAMPION}")
    assert await serving(desk, Alias.CHALLENGER) == CHAMPION
    await order(browser, "canary", "off")
    assert await serving(desk, Alias.CHALLENGER) == ""
    await order(browser, "reload")
    await order(browser, "rollback")
    assert await serving(desk) == CHAMPION


@pytest.mark.parametrize(("name", "argument", "said"), [
    ("promote", "nobody@1", "No model &#39;nobody@1&#39; is registered."),
    ("promote", CHAMPION, "serves already"),
    ("canary", "250% " + CHALLENGER, "between 0% and 100%"),
    ("canary", "much", "is no share"),
    ("drop tables", "", "There is no order"),
    ("promote", "<script>alert(1)</script>", "&lt;script&gt;"),
])  # fmt: skip
async def test_an_order_that_makes_no_sense_is_told_so_and_changes_nothing(desk: Desk, name: str, argument: str, said: str) -> None:
    await alone(desk)
    assert said in await order(await desk.browser(Role.ADMIN), name, argument)
    assert (await serving(desk), await serving(desk, Alias.CHALLENGER)) == (CHAMPION, CHALLENGER)


async def test_what_loads_something_is_done_five_times_an_hour_whoever_asks(desk: Desk) -> None:
    await alone(desk)
    said = [await order(await desk.browser(Role.ADMIN), "reload") for _ in range(CHANGES_PER_HOUR + 1)]
    assert ["which is the most" in one for one in said] == [False] * CHANGES_PER_HOUR + [True]


async def test_a_change_that_takes_long_goes_on_behind_the_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await stocked(desk)
    monkeypatch.setattr(models, "_PATIENCE", 0.01)
    (host,) = await desk.graph.host_board.reports(60)
    await desk.graph.host_board.report(host._replace(followed=0))
    browser = await desk.browser(Role.ADMIN)
    assert "This takes a while" in await order(browser, "promote", OLDER)
    await desk.graph.host_board.report(host._replace(followed=10_000, last="serves it", seats=()))
    async with asyncio.timeout(20):
        while (await desk.graph.audit_log.entries(1))[0].result == "started":  # noqa: ASYNC110  # what a task of its own does
            await asyncio.sleep(0.02)
    (entry,) = await desk.graph.audit_log.entries(1)
    assert (entry.action, entry.result) == ("models.promote", "done") and "serves it" in entry.detail["said"]


def test_a_member_gives_orders_under_their_own_name() -> None:
    member = Member("7", "Ann", Role.ADMIN, EVERYWHERE)
    assert models.caller_of(member).actor == "console:7"
    assert models.caller_of(member).person.groups == {"ADMIN"}
    assert models.caller_of(replace(member, scope=Scope())).person.groups == frozenset()
