"""`frontdesk models`: versions are imported, listed and shown, for people and for scripts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot.bootstrap import frontdesk
from bot.cli import cli
from bot.settings import read
from bot.terminal import out
from core.registry import Alias, Kind, Step
from tests.core.serving import model_folders as folders


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["models", *arguments], catch_exceptions=False)


def document(*arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out, "_width", 200)


@pytest.fixture
def base() -> str:
    folders.base(Path("base"))
    model_id: str = document("import", "base", "--licence", "MIT")["model_id"]
    return model_id


def promote(model_id: str) -> None:
    async def move() -> None:
        async with frontdesk(read(), print) as graph:
            registry = graph.model_registry
            await registry.assign(Kind.GENERATOR, Alias.CHAMPION, model_id, Step.PROMOTE, "ann", reason="[looks] better")
            await registry.assign(Kind.GENERATOR, Alias.CHALLENGER, model_id, Step.PROMOTE, "bob", share=10)

    asyncio.run(move())


def test_an_import_prints_the_version_as_one_document(base: str) -> None:
    folders.adapter(Path("run-7"))
    folders.write_json(Path("run-7/frontdesk-run.json"), {"base": base, "recipe": "lora", "scores": {"rouge_l": 0.41}})
    told = document("import", "run-7", "--name", "support")
    assert (told["kind"], told["base"], told["recipe"], told["scores"]) == ("generator", f"artifact:{base}", "lora", {"rouge_l": 0.41})
    assert (told["model_id"][:8], told["location"], told["aliases"]) == ("support@", f"artifact:{told['model_id']}", [])
    assert [file["name"] for file in told["files"]] == ["adapter_config.json", "adapter_model.safetensors", "frontdesk-run.json"]


def test_for_people_an_import_says_what_came_in() -> None:
    folders.base(Path("base"))
    assert run("import", "base").stdout.startswith("Imported base@")
    assert run("import", "remote:org/llm").stdout == "Imported remote:org/llm: generator.\n"


def test_the_list_tells_kinds_and_aliases_newest_first(base: str) -> None:
    document("import", "base", "--kind", "embedder", "--name", "mini")
    promote(base)
    assert [(one["model_id"], one["kind"], one["aliases"]) for one in document("list")][1] == (
        base,
        "generator",
        ["champion", "challenger"],
    )
    assert [one["kind"] for one in document("list", "--kind", "embedder")] == ["embedder"]
    shown = run("list").stdout
    assert "champion, challenger 10 %" in shown
    assert "mini@" in shown


def test_a_version_is_shown_with_files_and_the_history_of_its_aliases(base: str) -> None:
    promote(base)
    told = document("show", base)
    assert [(move["alias"], move["actor"]) for move in told["history"]] == [("challenger", "bob"), ("champion", "ann")]
    shown = run("show", base).stdout
    for words in (base, "MIT", "model.safetensors", told["files"][0]["sha256"], "champion", "[looks] better"):
        assert words in shown


def test_an_unknown_kind_is_wrong_usage() -> None:
    assert run("import", "base", "--kind", "poet").exit_code == 2
