"""The entrypoint migrates before a server, waits for a database that starts, and then is the command and nothing else."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy.engine import make_url

from core.storage.database import Database, newest_revision
from tests.docker.files import FOLDER, exec_form, stages
from tests.servers.fault_proxy import Fault, FaultProxy

ENTRYPOINT = str(FOLDER / "entrypoint")
# Refused by the program after the migration, with exit status 2: a server that starts takes seconds.
MISTAKE = ("frontdesk", "run", "--only", "nothing")


async def start(*command: str, **environment: str) -> asyncio.subprocess.Process:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given, pipe = os.environ | {"PATH": path} | environment, asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(ENTRYPOINT, *command, env=given, stdout=pipe, stderr=pipe)


async def ended(process: asyncio.subprocess.Process, seconds: float = 60) -> tuple[int | None, str, str]:
    """Exit status, stdout and stderr of a process that ends by itself."""
    async with asyncio.timeout(seconds):
        said, told = await process.communicate()
    return process.returncode, said.decode(), told.decode()


async def revision(url: str) -> str | None:
    database = Database(url)
    try:
        return await database.revision()
    finally:
        await database.close()


@asynccontextmanager
async def breaking(url: str, planned: deque[Fault]) -> AsyncIterator[tuple[FaultProxy, str]]:
    """A way to a database over TCP whose first connections break."""
    parsed = make_url(url)
    async with FaultProxy(Path(str(parsed.query["host"])) / ".s.PGSQL.5432", planned=planned) as proxy:
        yield proxy, f"postgresql://postgres@127.0.0.1:{proxy.port}/{parsed.database}"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_before_a_server_the_schema_is_brought_to_the_newest_and_the_exit_status_is_the_commands(
    kind: str, new_database_url: Callable[[str], str]
) -> None:
    url = new_database_url(kind)
    status, said, told = await ended(await start(*MISTAKE, FRONTDESK_DATABASE_URL=url))
    assert (status, said) == (2, "")
    assert f"The database is at migration {newest_revision()}." in told
    assert await revision(url) == newest_revision()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_two_that_start_at_once_both_succeed(kind: str, new_database_url: Callable[[str], str]) -> None:
    url = new_database_url(kind)
    both = [await start(*MISTAKE, FRONTDESK_DATABASE_URL=url) for _ in range(2)]
    assert [(await ended(process))[0] for process in both] == [2, 2]
    assert await revision(url) == newest_revision()


@pytest.mark.parametrize("command", ["frontdesk run --help", "frontdesk --version", "frontdesk knowledge list", "true"])
async def test_what_is_no_server_leaves_the_schema_as_it_is(command: str, new_database_url: Callable[[str], str]) -> None:
    url = new_database_url("postgresql")
    status, _, told = await ended(await start(*command.split(), FRONTDESK_DATABASE_URL=url))
    assert (status, "Run: frontdesk db upgrade" in told) == ((1, True) if "list" in command else (0, False))
    assert await revision(url) is None


async def test_the_url_of_the_database_may_be_a_secret_file(tmp_path: Path, new_database_url: Callable[[str], str]) -> None:
    (tmp_path / "secret").write_text(new_database_url("postgresql") + "\n")
    status, _, told = await ended(await start(*MISTAKE, FRONTDESK_DATABASE_URL_FILE=str(tmp_path / "secret")))
    assert status == 2 and "is at migration" in told


async def test_the_words_of_a_command_reach_it_as_they_are_and_its_status_comes_back() -> None:
    script = "import sys; print(sys.argv[1:]); sys.exit(7)"
    status, said, _ = await ended(await start(sys.executable, "-c", script, "a b", "$HOME", "", "*"))
    assert (status, said) == (7, "['a b', '$HOME', '', '*']\n")


async def test_a_database_that_cannot_be_reached_is_said_in_one_line() -> None:
    url = "postgresql://frontdesk:very-secret@127.0.0.1:1/frontdesk"
    status, said, told = await ended(await start(*MISTAKE, FRONTDESK_DATABASE_URL=url, DATABASE_PATIENCE_SECONDS="1"))
    assert (status, said) == (1, "")
    assert re.fullmatch(r"frontdesk: The database does not answer \(\w+\)\. Check database_url and that it runs\.\n", told)


async def test_a_database_that_refuses_is_not_waited_for(new_database_url: Callable[[str], str]) -> None:
    url = new_database_url("postgresql").replace("/test_", "/no_such_database_")
    status, _, told = await ended(await start(*MISTAKE, FRONTDESK_DATABASE_URL=url, DATABASE_PATIENCE_SECONDS="600"), seconds=30)
    assert status == 1 and told.count("\n") == 1
    assert "does not exist" in told


async def test_a_database_that_starts_late_is_waited_for(new_database_url: Callable[[str], str]) -> None:
    url = new_database_url("postgresql")
    async with breaking(url, deque([Fault.RESET] * 3)) as (proxy, through):
        status, _, told = await ended(await start(*MISTAKE, FRONTDESK_DATABASE_URL=through, DATABASE_PATIENCE_SECONDS="60"))
        assert not proxy.planned
    assert status == 2, told
    assert await revision(url) == newest_revision()


async def test_whoever_waits_for_the_database_can_be_stopped(new_database_url: Callable[[str], str]) -> None:
    async with breaking(new_database_url("postgresql"), deque([Fault.RESET] * 1000)) as (proxy, through):
        process = await start(*MISTAKE, FRONTDESK_DATABASE_URL=through, DATABASE_PATIENCE_SECONDS="600")
        async with asyncio.timeout(60):
            while not proxy.accepted:  # noqa: ASYNC110  # what another process does
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        status, _, told = await ended(process, seconds=20)
    assert (status, told) == (143, "")


@pytest.mark.slow
async def test_the_server_has_the_process_id_hears_sigterm_and_answers_what_it_accepted(tmp_path: Path) -> None:
    process = await start("frontdesk", "run", "--port", "0", FRONTDESK_MODEL="extractive")
    assert process.stderr
    async with asyncio.timeout(120):
        while not (found := re.search(rb"is ready: (http://\S+)", line := await process.stderr.readline())):
            assert line, "it ended before it was ready"
    rest = asyncio.create_task(process.stderr.read())
    assert b"frontdesk\0run\0" in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    async with httpx.AsyncClient(base_url=found[1].decode(), timeout=60) as client:
        assert await healthcheck(client.base_url.port) == 0
        asking = asyncio.create_task(client.post("/api/chat", json={"message": "How do I connect Slack?"}))
        await accepted(f"sqlite:///{tmp_path / 'data' / 'frontdesk.db'}")
        process.send_signal(signal.SIGTERM)
        assert "event: reply" in (await asking).text
    async with asyncio.timeout(40):
        assert await process.wait() == 0
    assert b"stopping" in await rest
    assert await healthcheck(client.base_url.port) == 1


async def messages(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.exec_driver_sql("SELECT count(*) FROM inbox")).scalar_one())


async def accepted(url: str) -> None:
    """Return when a message is stored."""
    database = Database(url)
    async with asyncio.timeout(30):
        while not await messages(database):  # noqa: ASYNC110  # what another process does
            await asyncio.sleep(0.01)
    await database.close()


async def healthcheck(port: int | None) -> int:
    """Exit status of the image's own check, asked of another port."""
    instruction = dict(stages()["bot-local"])["HEALTHCHECK"]
    _, option, code = exec_form(instruction.partition("CMD ")[2])
    process = await asyncio.create_subprocess_exec(
        sys.executable, option, code.replace("8080", str(port)), stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()
