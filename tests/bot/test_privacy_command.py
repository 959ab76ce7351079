"""`frontdesk privacy`: one document out, or nothing left; asked for first, and in the audit log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from click.testing import CliRunner, Result

from bot.cli import cli
from bot.settings import read
from core.audit import AuditEntry
from core.domain import Actor, Address, Decision, InboundMessage, Lineage, Reason, Reply
from core.storage.audit import SqlAuditLog
from core.storage.database import Database
from core.storage.inbox import SqlInbox

T = TypeVar("T")
HERE = Address("slack", "T1", "C1", "1")
REPLY = Reply(Decision.DIRECT, Reason.CONFIDENT, "By card, Ann.", (), 0.9, Lineage("m", "i", "p", "e", "policy"))
USER = ("--user", "slack:T1:U:1")


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli, ["privacy", *arguments], input=typed, catch_exceptions=False)


def in_database(work: Callable[[Database], Awaitable[T]]) -> T:
    async def opened() -> T:
        database = Database(read().database)
        try:
            await database.upgrade()
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(opened())


@pytest.fixture(autouse=True)
def _a_question_of_ann() -> None:
    async def ask(database: Database) -> None:
        inbox = SqlInbox(database)
        await inbox.accept(InboundMessage("1", HERE, Actor("U:1", "Ann"), "How do I pay? – Ann"))
        claim = await inbox.claim(60)
        assert claim is not None
        await inbox.finish(claim, REPLY)

    in_database(ask)


def audited() -> list[AuditEntry]:
    async def entries(database: Database) -> tuple[AuditEntry, ...]:
        assert await SqlAuditLog(database).verify() is None
        return await SqlAuditLog(database).entries(10)

    return list(reversed(in_database(entries)))


@pytest.mark.parametrize("form", [(), ("--json",)], ids=str)
def test_export_prints_one_document_with_all_that_is_kept(form: tuple[str, ...]) -> None:
    done = run("export", *USER, *form)
    document = json.loads(done.stdout)
    assert done.exit_code == 0
    assert document["user"] == {"platform": "slack", "workspace_id": "T1", "user_id": "U:1"}
    assert [one["text"] for one in document["messages"]] == ["How do I pay? – Ann"]
    assert [one["text"] for one in document["turns"]] == ["By card, Ann."]


def test_a_customer_whom_nobody_knows_has_an_empty_document() -> None:
    document = json.loads(run("export", "--user", "slack:T1:U2").stdout)
    assert (document["messages"], document["turns"], document["feedback"]) == ([], [], [])


def test_erase_tells_how_much_and_leaves_nothing_to_export() -> None:
    done = run("erase", *USER, "--yes")
    assert (done.exit_code, done.stdout.splitlines()) == (
        0,
        ["Erased: 1 messages, 1 turns, 0 feedback, 0 corrections.", "Stopped: 0 messages without an answer, 1 replies on their way."],
    )
    assert json.loads(run("export", *USER).stdout)["messages"] == []


@pytest.mark.parametrize(("typed", "status", "left"), [("y\n", 0, 0), ("n\n", 1, 1), ("", 1, 1)], ids=["yes", "no", "nobody answers"])
def test_erase_asks_first_and_takes_only_yes(typed: str, status: int, left: int) -> None:
    done = run("erase", *USER, typed=typed)
    assert done.exit_code == status
    assert "slack:T1:U:1" in done.stderr
    assert len(json.loads(run("export", *USER).stdout)["messages"]) == left


@pytest.mark.parametrize("wrong", ["U1", "slack:U1", "slack::U1", "::", ""])
def test_a_user_that_is_not_three_parts_is_wrong_usage(wrong: str) -> None:
    for name in ("export", "erase"):
        done = run(name, "--user", wrong)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "PLATFORM:WORKSPACE:ID" in done.stderr


def test_both_are_in_the_audit_log_before_and_after_without_the_id_of_the_customer() -> None:
    run("export", *USER)
    run("erase", *USER, "--yes")
    entries = audited()
    assert [(entry.action, entry.result) for entry in entries] == [
        ("privacy.export", "started"),
        ("privacy.export", "done"),
        ("privacy.erase", "started"),
        ("privacy.erase", "done"),
    ]
    assert len({entry.target for entry in entries}) == 1
    assert "U:1" not in str(entries)
