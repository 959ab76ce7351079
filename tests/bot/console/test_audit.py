"""The page of the audit log: entries are found and paged, names stand for ids, and tampering shows."""

from __future__ import annotations

import re

from sqlalchemy import update

from core.members import Role
from core.storage.staff_tables import audit
from tests.bot.console.desk import Desk


def numbers(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'data-label="No\.">(\d+)', page)]


async def test_entries_come_newest_first_fifty_at_a_time_and_back(desk: Desk) -> None:
    browser = await desk.browser(Role.ADMIN)
    for number in range(120):
        await desk.graph.audit_log.record("cli:ops", "knowledge.publish", f"basics-{number}", "done")
    first = (await browser.get("/audit")).text
    assert numbers(first) == list(range(121, 71, -1))
    older = re.search(r'href="/console(/audit\?before=\d+)"', first)
    assert older
    second = (await browser.get(older[1])).text
    assert numbers(second) == list(range(71, 21, -1)) and ">Newest<" in second
    assert numbers((await browser.get("/audit?before=22")).text) == list(range(21, 0, -1))


async def test_a_filter_goes_on_over_the_pages(desk: Desk) -> None:
    browser = await desk.browser(Role.ADMIN)
    for number in range(120):
        await desk.graph.audit_log.record("slack:T&1:U=1", "models.reload", "m", "denied" if number % 2 else "done")
    shown = (await browser.get("/audit", params={"actor": "slack:T&1:U=1", "result": "denied", "action": "models."})).text
    assert len(numbers(shown)) == 50
    older = re.search(r'href="/console(/audit\?[^"]*before=[^"]*)"', shown)
    assert older
    assert len(numbers((await browser.get(older[1].replace("&amp;", "&"))).text)) == 10
    assert "Nothing fits." in (await browser.get("/audit?text=nowhere")).text


async def test_members_are_called_by_name_also_when_they_are_gone(desk: Desk) -> None:
    gone = await desk.member(Role.ADMIN, name="Zoe")
    await (await desk.signed_in(gone)).post("/sign-out")
    await desk.sign_in.members.remove(gone.member_id)
    shown = (await (await desk.browser(Role.ADMIN)).get("/audit?action=console.sign_out")).text
    assert "<bdi>Zoe</bdi>" in shown and f">{gone.actor}<" not in shown


async def test_the_chain_is_checked_and_an_entry_that_somebody_changed_is_named(desk: Desk) -> None:
    browser = await desk.browser(Role.ADMIN)
    await browser.post("/audit/check")
    assert "The chain holds" in (await browser.get("/audit")).text
    entry = await desk.graph.audit_log.record("cli:eve", "members.add", "eve", "done")
    await desk.graph.audit_log.record("cli:ops", "models.reload", "m", "done")
    async with desk.graph.database.write() as connection:
        await connection.execute(update(audit).where(audit.c.audit_id == entry).values(actor="cli:nobody"))
    await browser.post("/audit/check")
    assert f"Entry {entry} is not what was recorded" in (await browser.get("/audit")).text
