"""Runs of the learning loop in the console: who sees what of a report, as page and as file, and who decides what becomes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Browser, expect

from core.learning import State
from core.members import EVERYWHERE, Role, Scope
from core.registry import Alias, Kind
from core.storage.learning_runs import SqlRunBook
from tests.bot.console.browsing import window
from tests.bot.console.desk import Desk
from tests.bot.console.foreign import SECRET
from tests.bot.console.models import CHAMPION, RUN, learnt, stocked
from tests.core.training.reports import HOSTILE, report

OWN = Scope(frozenset({("slack", "T1")}))
PAGE = f"/models/runs/{RUN}"
DOING = "Training: 12 of 34, loss 0.457, about 4 min left"
PLACES = (PAGE, f"{PAGE}/report.html", f"{PAGE}/report.md")


async def test_the_newest_runs_are_a_table_with_the_main_difference(desk: Desk) -> None:
    await stocked(desk)
    browser = await desk.browser(Role.VIEWER, OWN)
    for shown in ((await browser.get("/models")).text, (await browser.get("/models/runs/rows")).text):
        for text in (DOING, "promoted", "not promoted", "nothing new", "failed", "ROUGE-L", "+0.459", "(+0.402 to +0.503)", PAGE):
            assert text in shown, text
    assert "<html" not in (await browser.get("/models/runs/rows")).text, "a part of the page, to be put into it"


async def test_a_report_is_a_page_and_two_files_with_the_same_numbers(desk: Desk) -> None:
    await learnt(desk)
    browser = await desk.browser(Role.VIEWER)
    page, *files = [await browser.get(place) for place in PLACES]
    for answer in (page, *files):
        for text in ("is better in “ROUGE-L” (+0.459)", "+0.402 to +0.503", "How do I return item 0?", "lora_rank=16", "0.1908"):
            assert text in answer.text, text
    assert all(one.headers["content-disposition"].startswith('attachment; filename="learning-') for one in files)
    assert " style=" not in page.text and "<style" not in page.text
    actions = [entry.action for entry in await desk.graph.audit_log.entries(20)]
    assert actions.count("learning.export") == 2 and actions.count("learning.read") == 1


async def test_questions_are_shown_to_those_who_may_read_every_workspace(desk: Desk) -> None:
    await learnt(desk, report(5, f" {SECRET}"))
    for scope, sees in ((EVERYWHERE, True), (OWN, False)):
        browser = await desk.browser(Role.ADMIN, scope)
        for place in PLACES:
            answer = await browser.get(place)
            assert (answer.status_code, SECRET in answer.text) == (200, sees), place
    assert "learning.read" not in [entry.action for entry in await desk.graph.audit_log.entries(2)]


async def test_bad_input_13_hostile_text_in_a_report_is_text(desk: Desk) -> None:
    await learnt(desk, report(5, HOSTILE, {"model": HOSTILE}))
    shown = (await (await desk.browser(Role.VIEWER)).get(PAGE)).text
    assert "&lt;script&gt;" in shown and "<script>" not in shown and "<img src=x" not in shown and "{{ 7 * 7 }}" in shown


@pytest.mark.parametrize(
    "place", ["/models/runs/nobody", "/models/runs/nobody/state", f"{PAGE}/report.pdf", f"/models/runs/{'a' * 32}/report.md"]
)
async def test_what_is_not_there_is_told_so(desk: Desk, place: str) -> None:
    await learnt(desk)
    assert (await (await desk.browser(Role.VIEWER)).get(place)).status_code == 404


async def test_a_run_that_goes_on_shows_its_report_when_it_is_there(desk: Desk) -> None:
    await learnt(desk)
    browser = await desk.browser(Role.VIEWER)
    shown = (await browser.get(f"/models/runs/{'a' * 32}")).text
    assert f'data-refresh="/console/models/runs/{"a" * 32}/state"' in shown
    assert '<progress max="34" value="12"' in shown and DOING in shown
    assert "data-refresh" not in (await browser.get(PAGE)).text
    assert "Show its report" in (await browser.get(f"{PAGE}/state")).text, "for a page that was opened while it went on"


async def test_an_admin_promotes_the_version_of_a_run_or_keeps_the_champion(desk: Desk) -> None:
    await stocked(desk)
    await desk.graph.host_board.leave("web-1:4711")
    browser = await desk.browser(Role.ADMIN)
    assert "/models/order" not in (await (await desk.browser(Role.EDITOR)).get(PAGE)).text
    shown = (await browser.get(PAGE)).text
    for name, said, serves in (("run_keep", f"{CHAMPION} serves on.", CHAMPION), ("run_promote", "is champion from now on", None)):
        order = f"/models/order?name={name}&argument={RUN}"
        assert order.replace("&", "&amp;") in shown
        assert "?</h1>" in (await browser.get(order)).text
        await browser.post("/models/order", {"name": name, "argument": RUN})
        assert said in (await browser.get("/models")).text
        move = await desk.graph.model_registry.current(Kind.GENERATOR, Alias.CHAMPION)
        assert move is not None and (move.model_id == CHAMPION) is (serves == CHAMPION)


@pytest.mark.slow
async def test_the_end_of_a_run_is_seen_without_a_reload(desk: Desk, url: str, chromium: Browser) -> None:
    await learnt(desk)
    here = await window(chromium, url)
    await here.sign_in(desk, await desk.member(Role.VIEWER))
    await here.go(f"/models/runs/{'a' * 32}")
    book = SqlRunBook(desk.graph.database)
    run = await book.run("a" * 32)
    assert run is not None
    await book.end(replace(run, state=State.PROMOTED, report=report(), reason="Better."))
    await here.tab.get_by_role("link", name="Show its report").click(timeout=30_000)
    await expect(here.tab.get_by_role("heading", name="Worst regressions")).to_be_visible()
    assert here.complaints == []
