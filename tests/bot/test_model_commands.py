"""`frontdesk models` changes which versions serve, says what came of it, and leaves a trace; silence everywhere too."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bot.bootstrap import Frontdesk, frontdesk
from bot.settings import read
from core.errors import FrontdeskError
from core.presence import Channel
from core.serving import weights
from tests.bot.test_cli import FAQ, document, run, write
from tests.core.serving import tiny

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _no_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_MODEL", "extractive")


def in_graph(work: Callable[[Frontdesk], Awaitable[T]]) -> T:
    async def inside() -> T:
        async with frontdesk(read(), lambda line: None) as graph:
            return await work(graph)

    return asyncio.run(inside())


async def trace(graph: Frontdesk) -> list[tuple[str, str]]:
    entries = await graph.audit_log.entries(20)
    by_hand = [entry for entry in reversed(entries) if entry.actor.startswith("cli:") and entry.action != "models.import"]
    return [(entry.action, entry.result) for entry in by_hand]


def imported(folder: Path) -> str:
    return str(document("models", "import", str(tiny.save(folder)))["model_id"])


def serving() -> Any:
    return document("models", "status")["aliases"]


def refused(*arguments: str) -> str:
    with pytest.raises(FrontdeskError) as caught:
        run(*arguments)
    return str(caught.value)


@pytest.fixture
def asked() -> None:
    """Knowledge, and the version of the settings in service."""
    run("knowledge", "import", str(write("faq.jsonl", FAQ)))
    run("knowledge", "publish")
    run("ask", "How can I pay?")


def test_a_version_that_fails_its_probe_is_refused_before_anything_serves_it(asked: None, tmp_path: Path) -> None:
    model_id = imported(tmp_path / "nonsense")
    assert "failed its probe" in refused("models", "promote", model_id, "--yes")
    assert serving()["champion"]["id"] == "extractive"
    assert in_graph(trace) == [("models.promote", "started"), ("models.promote", "failed")]


def test_a_promotion_serves_the_next_question_and_a_rollback_the_one_before(
    asked: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    easy = tmp_path / "golden.jsonl"
    monkeypatch.setenv("FRONTDESK_GOLDEN_QUESTIONS", str(easy))
    monkeypatch.setenv("FRONTDESK_POLICY__DIRECT", "1")
    monkeypatch.setenv("FRONTDESK_POLICY__ANSWER", "0")
    model_id = imported(tmp_path / "nonsense")
    easy.write_text(json.dumps({"question": "q", "passage": "p", "says": [""]}))
    said = run("models", "promote", model_id, "--yes")
    assert (said.exit_code, "no process runs models at the moment" in said.stdout) == (0, True)
    assert "probe 1 of 1" in said.stderr
    assert document("ask", "How can I pay?")["lineage"]["model"] == model_id  # nonsense is quoted, in its name
    assert serving()["champion"]["id"] == model_id
    assert run("models", "rollback", "--yes").exit_code == 0
    assert serving()["champion"]["id"] == "extractive"
    assert "Nothing served before extractive" in refused("models", "rollback", "--yes")


def test_a_canary_is_set_moved_and_ended(asked: None, tmp_path: Path) -> None:
    model_id = imported(tmp_path / "nonsense")
    run("models", "canary", "10%", model_id, "--yes")
    run("models", "canary", "25", "--yes")
    assert (serving()["challenger"]["id"], serving()["challenger"]["share"]) == (model_id, 25)
    assert "Challenger: " in run("models", "status").stdout
    run("models", "canary", "off", "--yes")
    assert "challenger" not in serving()
    assert "is no share" in refused("models", "canary", "many", "--yes")


def test_without_yes_it_is_asked_and_no_is_no(asked: None) -> None:
    said = run("models", "reload")  # nobody at the keyboard
    assert (said.exit_code, "Open the model that serves anew?" in said.output) == (1, True)
    assert in_graph(trace) == []


def test_an_unknown_version_is_answered_with_the_nearest(asked: None) -> None:
    assert "Did you mean 'extractive'?" in refused("models", "promote", "extractve", "--yes")


def test_silence_everywhere_is_set_and_ended_and_audited() -> None:
    assert "silent everywhere" in run("mute").stdout
    assert in_graph(lambda graph: graph.channels.channel("slack", "T1", "C1")) == Channel(everywhere=True)
    assert "speaks again" in run("unmute").stdout
    assert in_graph(lambda graph: graph.channels.channel("slack", "T1", "C1")) == Channel()
    assert [action for action, _ in in_graph(trace)] == ["channel.mute"] * 2 + ["channel.unmute"] * 2


@pytest.mark.slow
def test_bad_input_68_an_embedder_and_its_index_are_promoted_and_rolled_back_together(asked: None, tmp_path: Path) -> None:
    first = document("ask", "How can I pay?")["lineage"]
    folder = tmp_path / "other-embedder"
    shutil.copytree(weights.resolve(weights.MINILM, tmp_path).folder, folder, copy_function=shutil.copyfile)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    model_id = str(document("models", "import", str(folder), "--kind", "embedder")["model_id"])
    assert "indexed: default" in run("models", "promote", model_id, "--yes").stdout
    second = document("ask", "How can I pay?")["lineage"]
    assert (second["embedder"], second["index"] != first["index"]) == (model_id, True)
    run("knowledge", "publish")  # with the promoted one, not with that of the settings
    assert document("ask", "How can I pay?")["lineage"]["embedder"] == model_id
    run("models", "rollback", "embedder", "--yes")
    third = document("ask", "How can I pay?")["lineage"]
    assert (third["embedder"], third["index"]) == (first["embedder"], first["index"])
