"""What scenarios share: a data folder in which the sample is published, because publishing it takes ten seconds."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from bot.bootstrap import frontdesk
from bot.settings import read
from bot.slack import app


@pytest.fixture(autouse=True)
def _slack_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command on a busy machine takes longer than Slack waits."""
    monkeypatch.setattr(app, "_ANSWER_SECONDS", 25.0)


@pytest.fixture(scope="session")
def published_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a machine that has served the sample."""
    folder = tmp_path_factory.mktemp("published") / "data"

    async def publish() -> None:
        settings = read().model_copy(update={"data_dir": folder, "model": "extractive"})
        async with frontdesk(settings, lambda said: None) as graph:
            await graph.publish_sample()

    asyncio.run(publish())
    return folder


@pytest.fixture
def published(published_folder: Path, tmp_path: Path) -> None:
    """This test begins with the sample published."""
    shutil.copytree(published_folder, tmp_path / "data")
