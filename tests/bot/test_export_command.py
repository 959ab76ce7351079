"""`frontdesk export training-data`: all of it or nothing, for its owner only, and a clear word where there is nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot.bootstrap import Frontdesk
from bot.cli import cli
from bot.commands import export as command
from core.errors import FrontdeskError
from core.training.dataset import NOT_ALLOWED, Dataset

ROW = {
    "messages": [{"role": role, "content": f"{role} says ä"} for role in ("system", "user", "assistant")],
    "meta": {
        "source": "correction",
        "origin": "slack",
        "cause": "wrong_text",
        "own_words": False,
        "rejected": None,
        "passage_was_found": True,
    },
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["export", "training-data", *arguments])


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What there is to export."""
    found = [ROW]

    async def dataset(graph: Frontdesk, progress: Any) -> tuple[Dataset, dict[str, str]]:
        left_out = Dataset(found)
        left_out.left_out[NOT_ALLOWED] = 2
        await asyncio.sleep(0)
        return left_out, {"index": "i1"}

    monkeypatch.setattr(command, "dataset_of", dataset)
    return found


def test_rows_and_card_lie_beside_each_other(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    done = run(str(tmp_path / "a.jsonl"))
    assert (done.exit_code, "Wrote 1 rows" in done.stdout, f"2 {NOT_ALLOWED}" in " ".join(done.stdout.split())) == (0, True, True)
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()] == rows
    assert "| origin: slack | 1 |" in (tmp_path / "a.card.md").read_text()
    assert sorted(path.name for path in tmp_path.glob("a*")) == ["a.card.md", "a.jsonl"]
    assert (tmp_path / "a.jsonl").stat().st_mode & 0o777 == 0o600


def test_what_customers_judged_lies_in_a_file_of_its_own_and_goes_with_the_last_of_it(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    rows.append({**ROW, "meta": ROW["meta"] | {"source": "feedback", "liked": False}})  # type: ignore[operator]
    assert "1 that customers judged" in " ".join(run(str(tmp_path / "a.jsonl")).stdout.split())
    (judged,) = [json.loads(line) for line in (tmp_path / "a.judged.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (judged["prompt"], judged["completion"], judged["label"]) == (ROW["messages"][:-1], ROW["messages"][-1:], False)  # type: ignore[index]
    assert len((tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    rows.pop()
    run(str(tmp_path / "a.jsonl"))
    assert not (tmp_path / "a.judged.jsonl").exists()


def test_json_is_one_document_of_the_figures(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    figures = json.loads(run(str(tmp_path / "a.jsonl"), "--json").stdout)
    assert (figures["rows"], figures["left_out"], len(figures["versions"]["sha256"])) == (1, {NOT_ALLOWED: 2}, 64)


def test_an_older_export_is_replaced_and_a_link_is_not_followed(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (tmp_path / "a.jsonl").symlink_to(elsewhere)
    (tmp_path / ".a.jsonl.part").symlink_to(elsewhere)
    assert run(str(tmp_path / "a.jsonl")).exit_code == 0
    assert elsewhere.read_text() == "mine"
    assert not (tmp_path / "a.jsonl").is_symlink()


def test_nothing_is_written_where_there_is_nothing(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("older")
    rows.clear()
    done = run(str(tmp_path / "a.jsonl"))
    assert isinstance(done.exception, FrontdeskError)
    assert f"There is nothing to export: 2 {NOT_ALLOWED}" in str(done.exception)
    assert (tmp_path / "a.jsonl").read_text() == "older"


def test_a_place_that_cannot_be_written_is_named(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    done = run(str(tmp_path / "no" / "such" / "a.jsonl"))
    assert isinstance(done.exception, FrontdeskError)
    assert "cannot be written: No such file or directory. Choose another place." in str(done.exception)
    assert run(str(tmp_path)).exit_code == 2


@pytest.mark.parametrize("given", ["teams", "slack;discord", "slack,web"])
def test_a_platform_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    from bot.settings import read

    monkeypatch.setenv("FRONTDESK_TRAINING__CUSTOMER_TEXT", given)
    with pytest.raises(FrontdeskError, match=r"training\.customer_text"):
        read()


@pytest.mark.parametrize(("given", "platforms"), [("", set()), ("slack", {"slack"}), (" slack , discord", {"slack", "discord"})])
def test_platforms_are_read_from_a_list(monkeypatch: pytest.MonkeyPatch, given: str, platforms: set[str]) -> None:
    from bot.settings import read

    monkeypatch.setenv("FRONTDESK_TRAINING__CUSTOMER_TEXT", given)
    assert read().training.platforms == platforms
