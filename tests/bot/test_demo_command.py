"""`frontdesk demo` fills a database once, says so, and takes everything out again."""

from __future__ import annotations

import json

from click.testing import CliRunner

from bot.cli import cli
from core.errors import StorageError


def test_a_demo_is_made_once_and_removed() -> None:
    made = CliRunner().invoke(cli, ["demo", "--turns", "60", "--json"])
    assert (made.exit_code, json.loads(made.stdout)) == (0, {"turns": 60})
    again = CliRunner().invoke(cli, ["demo", "--turns", "60"])
    assert isinstance(again.exception, StorageError) and "frontdesk demo --remove" in str(again.exception)
    removed = CliRunner().invoke(cli, ["demo", "--remove"])
    assert (removed.exit_code, removed.stdout) == (0, "Removed 60 made-up turns.\n")
    assert json.loads(CliRunner().invoke(cli, ["demo", "--remove", "--json"]).stdout) == {"removed": 0}
