"""`frontdesk staff`: who may sign in to the console; and the link for the first one when it is served."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from click.testing import CliRunner, Result

from bot.bootstrap import Frontdesk, frontdesk
from bot.bootstrap_console import sign_in_of
from bot.cli import cli
from bot.settings import read
from core.audit import AuditEntry
from core.errors import FrontdeskError
from tests.bot.console.desk import Browser

T = TypeVar("T")
ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["staff", *arguments], catch_exceptions=False)


def in_graph(work: Callable[[Frontdesk], Awaitable[T]]) -> T:
    async def opened() -> T:
        async with frontdesk(read(), lambda _line: None) as graph:
            return await work(graph)

    return asyncio.run(opened())


def listed() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(run("list", "--json").stdout)
    return [{name: value for name, value in one.items() if name != "id"} for one in found]


def invited(link: str) -> str | None:
    return in_graph(lambda graph: sign_in_of(graph).invited(link.partition("token=")[2].strip()))


def audited() -> list[AuditEntry]:
    return list(reversed(in_graph(lambda graph: graph.audit_log.entries(20))))


def test_add_prints_a_link_on_stdout_and_nothing_else_there() -> None:
    done = run("add", "Ann", "--role", "admin")
    assert re.fullmatch(r"http://127\.0\.0\.1:8080/console/sign-in/link\?token=[\w-]{43}\n", done.stdout)
    assert "Ann is admin in every workspace. Once, within 15 minutes:" in done.stderr
    assert invited(done.stdout) == "Ann"
    assert listed() == [{"name": "Ann", "role": "admin", "workspaces": None}]


def test_the_address_is_the_one_by_which_browsers_get_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_CONSOLE__PUBLIC_URL", "https://desk.example/")
    assert run("add", "Ann").stdout.startswith("https://desk.example/console/sign-in/link?token=")
    monkeypatch.delenv("FRONTDESK_CONSOLE__PUBLIC_URL")
    monkeypatch.setenv("FRONTDESK_HOST", "0.0.0.0")
    assert run("add", "Ann").stdout.startswith("http://127.0.0.1:8080/")
    monkeypatch.setenv("FRONTDESK_PORT", "0")
    with pytest.raises(FrontdeskError, match=r"set console\.public_url"):
        run("add", "Ann")


def test_somebody_new_is_a_viewer_of_the_workspaces_that_are_named() -> None:
    run("add", "bob", "--workspace", "slack:T1", "--workspace", "discord:2")
    assert listed() == [{"name": "bob", "role": "viewer", "workspaces": ["discord:2", "slack:T1"]}]


def test_adding_again_gives_another_link_and_changes_only_what_is_said() -> None:
    first = run("add", "Ann", "--role", "editor", "--workspace", "slack:T1").stdout
    second = run("add", "ANN").stdout
    assert first != second and invited(first) == invited(second) == "Ann"
    assert listed() == [{"name": "Ann", "role": "editor", "workspaces": ["slack:T1"]}]
    run("add", "ann", "--role", "agent")
    assert listed() == [{"name": "Ann", "role": "agent", "workspaces": ["slack:T1"]}]


def test_whoever_is_removed_is_gone_and_so_are_their_links() -> None:
    link = run("add", "Ann").stdout
    assert run("remove", "ann").stdout == "Removed: Ann.\n"
    assert listed() == [] and invited(link) is None
    with pytest.raises(FrontdeskError, match=r"Nobody is called 'ann'\. Members: none\."):
        run("remove", "ann")


def test_what_the_command_line_does_is_in_the_audit_log() -> None:
    run("add", "Ann", "--role", "admin")
    run("add", "Ann", "--role", "viewer")
    run("remove", "Ann")
    entries = audited()
    assert [entry.action for entry in entries] == [
        "members.add", "members.invite", "members.change", "members.invite", "members.remove",
    ]  # fmt: skip
    assert all(entry.actor.startswith("cli:") for entry in entries)
    assert entries[2].detail["before"] == "ADMIN"


@pytest.mark.parametrize("workspace", ["slack", "slack:", ":T1", ":"])
def test_a_workspace_that_is_none_is_wrong_usage(workspace: str) -> None:
    done = run("add", "Ann", "--workspace", workspace)
    assert (done.exit_code, "PLATFORM:ID" in done.stderr) == (2, True)


@pytest.mark.parametrize("name", ["", "   ", "...", "a" * 201, "a\nb"])
def test_a_name_that_nobody_could_read_is_refused(name: str) -> None:
    with pytest.raises(FrontdeskError, match="A name has letters"):
        run("add", name)


@pytest.mark.slow
async def test_the_first_start_prints_a_link_by_which_the_first_admin_signs_in_and_later_ones_do_not() -> None:
    process = await started()
    link = await line_with(process, r"http://\S+token=[\w-]{43}$")
    base, _, path = link.partition("/console")
    async with httpx.AsyncClient(base_url=base, headers={"accept": "text/html"}, trust_env=False) as client:
        browser = Browser(client)
        assert (await browser.post("/sign-in/link", {"token": link.partition("token=")[2]}, page=path)).status_code == 303
        assert "Add somebody" in (await browser.get("/members")).text
    assert "token=" not in await ended(process)
    again = await started()
    await line_with(again, "is ready: http")
    assert "token=" not in await ended(again)


async def started() -> asyncio.subprocess.Process:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bot", "run", "--only", "console", "--port", "0"]
    return await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)


async def line_with(process: asyncio.subprocess.Process, wanted: str) -> str:
    """What it says that fits, as soon as it says it."""
    assert process.stderr is not None
    said = ""
    async with asyncio.timeout(60):
        while not (found := re.search(wanted, said, re.MULTILINE)):
            line = (await process.stderr.readline()).decode()
            assert line, said
            said += line
    return found[0]


async def ended(process: asyncio.subprocess.Process) -> str:
    """Tell it to stop; return what it said since."""
    process.terminate()
    _, said = await process.communicate()
    assert process.returncode == 0, said
    return said.decode()
