"""The whole loop: what staff know is learnt, judged on what is held out, and served by a process that runs, or not and says why."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.bootstrap import Frontdesk, frontdesk
from bot.bootstrap_learning import run_book_of
from bot.settings import read
from core.learning import State
from tests.bot.learnable import RECIPE, faq, prepare
from tests.bot.test_cli import document
from tests.scenarios.test_shutdown import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")]


async def kept() -> tuple[list[tuple[State, str]], list[tuple[str, str]]]:
    """The runs and what the audit log says of them, oldest first."""

    async def look(graph: Frontdesk) -> Any:
        entries = [entry for entry in await graph.audit_log.entries(50) if entry.action == "learning.run"]
        runs = [(one.state, one.model_id) for one in await run_book_of(graph).runs()]
        return runs[::-1], [(entry.action, entry.result) for entry in entries[::-1]]

    async with frontdesk(read(), lambda line: None) as graph:
        return await look(graph)  # type: ignore[no-any-return]


@contextmanager
def serving() -> Iterator[httpx.Client]:
    """`frontdesk run` in a process of its own."""
    command = [sys.executable, "-m", "bot", "run", "--port", "0", "--only", "web,worker"]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        while not (found := re.search(rb"is ready: (http://\S+)", line := process.stderr.readline())):
            assert line, "it ended before it was ready"
        threading.Thread(target=process.stderr.read, daemon=True).start()  # a process whose pipe is full waits for ever
        with httpx.Client(base_url=found[1].decode(), timeout=120) as client:
            yield client
    finally:
        process.terminate()
        process.wait()


def model_of_answer(client: httpx.Client, question: str) -> tuple[str, str]:
    """Ask; return which model wrote the answer, and the answer."""
    told = client.post("/api/chat", json={"message": question}).text
    reply = json.loads(next(line for line in told.split("event: reply")[1].splitlines() if line.startswith("data:"))[5:])
    return reply["lineage"]["model"], reply["text"]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return prepare(tmp_path, monkeypatch)


def learn(share: float, more: str = "") -> Any:
    Path("recipe.toml").write_text(RECIPE.format(share=share) + more, encoding="utf-8")
    return document("learn", "--recipe", "recipe.toml")


def test_what_is_better_is_served_by_a_process_that_runs_and_too_little_to_judge_by_is_not(prepared: str) -> None:
    with serving() as client:
        assert model_of_answer(client, faq(60)[0]["question"])[0] == prepared
        refused = learn(0.1)
        assert refused["state"] == "challenger" and refused["against"] == prepared
        assert re.search(r"Only \d+ held-out questions .* About \d+ more approved corrections would settle it", refused["reason"])
        passed = learn(0.45)
        assert passed["state"] == "promoted", passed["reason"]
        assert passed["difference"]["rouge_l"]["low"] > 0.02
        assert passed["after"]["rouge_l"] > passed["before"]["rouge_l"]
        model, text = model_of_answer(client, faq(60)[0]["question"])
        assert model == passed["model_id"] and "Please ask the help desk" in text
    assert Path(passed["report"]).is_file() and Path(passed["report"]).with_suffix(".md").is_file()
    version = document("models", "show", passed["model_id"])
    assert version["scores"]["rouge_l"] == passed["after"]["rouge_l"] and version["dataset_sha256"] == passed["versions"]["sha256"]
    again = learn(0.45)
    assert (again["state"], again["model_id"]) == ("nothing", passed["model_id"])
    runs, audited = asyncio.run(kept())
    assert runs == [(State.CHALLENGER, refused["model_id"]), (State.PROMOTED, passed["model_id"]), (State.NOTHING, passed["model_id"])]
    assert [result for _, result in audited] == ["started", "challenger", "started", "promoted", "started", "nothing"]


def test_a_whole_model_is_learnt_once_from_the_same_and_again_from_its_own_base(prepared: str) -> None:
    """Were it trained on from what was learnt, it would never be the same again, and each run would stand on all before it."""
    whole = 'adapter = "full"\n'
    passed = learn(0.45, whole)
    assert passed["state"] == "promoted", passed["reason"]
    assert document("models", "show", passed["model_id"])["base"] == ""
    again = learn(0.45, whole)
    assert (again["state"], again["model_id"]) == ("nothing", passed["model_id"])
