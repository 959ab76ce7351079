"""`frontdesk train retriever`, from the FAQ and what staff approved to an embedder that serves, and back."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from bot import bootstrap_retuning
from bot.bootstrap import frontdesk
from bot.settings import read
from core.errors import SnapshotError, TrainingError
from core.training import recipe as recipes
from core.training import retriever
from core.training.retriever_recipe import RetrieverRecipe
from retrieval.snapshot import Manifest, read_manifest
from tests.bot.test_cli import document, run, write
from tests.core.training.questions import save, topics

RECIPE = """
learning_rate = 0.003
epochs = 6
batch = 8
looks = 2
held_out = 0.3
"""
ROWS = [{"id": one.name, "question": one.questions[0], "answer": one.answer, "alternatives": list(one.questions[1:])} for one in topics()]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")]


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny embedder of random numbers, and a FAQ that it does not understand."""
    torch.set_num_threads(1)
    monkeypatch.setenv("FRONTDESK_MODEL", "extractive")
    monkeypatch.setenv("FRONTDESK_EMBEDDER", str(save(tmp_path / "base")))
    run("knowledge", "import", str(write("faq.jsonl", ROWS)))
    run("knowledge", "publish")
    Path("recipe.toml").write_text(RECIPE, encoding="utf-8")


def _asked() -> dict[str, Any]:
    """How the held-out wordings of the run, all in one file, find their passages."""
    rows = [{"question": question, "relevant": [one.name]} for one in topics(wordings=14) for question in one.questions[9:]]
    found: dict[str, Any] = document("evaluate", "retrieval", str(write("asked.jsonl", rows)))
    return found


def test_from_the_faq_to_an_embedder_that_serves_and_back(tmp_path: Path) -> None:
    before = _asked()
    trained = document("train", "retriever", "--recipe", "recipe.toml", "--out", str(tmp_path / "run"))
    assert trained["after"]["mrr@10"] > trained["before"]["mrr@10"]
    assert trained["wordings"] > trained["held_out"] > 0 and trained["passages"] == 12
    assert "| wordings held out |" in (tmp_path / "run" / "README.md").read_text()

    version = document("models", "import", str(tmp_path / "run"), "--kind", "embedder")
    shown = document("models", "show", version["model_id"])
    assert shown["dataset_sha256"] == trained["dataset_sha256"] and shown["recipe"].startswith("method=retriever learning_rate=0.003")
    assert shown["scores"]["held_out_recall@1"] == trained["after"]["recall@1"]
    assert json.loads((tmp_path / "run" / "frontdesk-run.json").read_text())["base"] == trained["base"]

    run("models", "promote", version["model_id"], "--yes")
    after = _asked()
    assert (after["versions"]["embedder"], after["recall@1"] > before["recall@1"]) == (version["model_id"], True)
    run("models", "rollback", "embedder", "--yes")
    assert _asked() | {"questions_per_s": 0} == before | {"questions_per_s": 0}

    said = run("train", "retriever", "--recipe", "recipe.toml", "--out", str(tmp_path / "run")).output  # it is trained already
    assert f"→ {trained['after']['recall@1']:.1%}" in said and "--kind embedder" in said
    assert asyncio.run(_trace()) == ["done", "done"]


@pytest.mark.usefixtures("by_recipe")
def test_the_learning_loop_serves_the_tuned_one_and_keeps_the_old_one_where_there_is_too_little() -> None:
    said = asyncio.run(_retuned(None))
    assert "retrieves now. MRR@10 of " in said
    assert _asked()["versions"]["embedder"] == said.split()[0]
    assert asyncio.run(_retuned(None)) == "", "it was judged"
    run("models", "rollback", "embedder", "--yes")
    assert asyncio.run(_retuned(None)) == "", "what an admin took back is not done again"
    assert _asked()["versions"]["embedder"] != said.split()[0]
    run("models", "promote", said.split()[0], "--yes")
    assert not list(Path("data/training").glob("retriever-*/checkpoint-*")), "they would fill the disk, run by run"
    run("knowledge", "import", str(write("few.jsonl", ROWS[:1])), "--knowledge", "few")
    run("knowledge", "publish", "--knowledge", "few")
    assert asyncio.run(_retuned("few")).startswith("The retriever stays. ")
    assert _asked()["versions"]["embedder"] == said.split()[0]


@pytest.fixture
def by_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop learns by the recipe of this file."""
    monkeypatch.setattr(bootstrap_retuning, "RetrieverRecipe", lambda: recipes.read_as(RetrieverRecipe, Path("recipe.toml")))


@pytest.mark.usefixtures("by_recipe")
def test_the_loop_indexes_what_is_served_and_publishes_nothing_that_staff_have_not() -> None:
    draft = {"id": "draft", "question": "zzz unfinished zzz?", "answer": "Not for customers yet."}
    run("knowledge", "import", str(write("draft.jsonl", [draft])))
    run("knowledge", "import", str(write("other.jsonl", ROWS[:2])), "--knowledge", "other")
    assert "retrieves now." in asyncio.run(_retuned(None))
    served, draft_of_other = asyncio.run(_served("default")), asyncio.run(_served("other"))
    assert served is not None and served.passages == len(ROWS) and served.embedder.startswith("retriever-")
    assert draft_of_other is None
    run("knowledge", "publish")
    served = asyncio.run(_served("default"))
    assert served is not None and served.passages == len(ROWS) + 1 and served.embedder.startswith("retriever-")


@pytest.mark.usefixtures("by_recipe")
def test_what_an_admin_promoted_and_took_back_by_hand_does_not_come_back_with_the_next_run(tmp_path: Path) -> None:
    run("train", "retriever", "--recipe", "recipe.toml", "--out", str(tmp_path / "run"))
    by_hand = document("models", "import", str(tmp_path / "run"), "--kind", "embedder")["model_id"]
    run("models", "promote", by_hand, "--yes")
    run("models", "rollback", "embedder", "--yes")
    said = asyncio.run(_retuned(None))
    assert said.startswith("The retriever stays: ") and said.endswith("has served before, and somebody took it back.")
    assert asyncio.run(_retuned(None)) == ""


@pytest.mark.usefixtures("by_recipe")
def test_bad_input_a_full_disk_is_no_judgement_and_the_next_run_tunes(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr(retriever, "_write", _full)
        assert "No space left on device" in asyncio.run(_retuned(None))
    assert "retrieves now." in asyncio.run(_retuned(None))


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("by_recipe")
def test_bad_input_an_index_that_is_gone_keeps_nobody_from_learning_answers() -> None:
    run("knowledge", "import", str(write("other.jsonl", ROWS[:2])), "--knowledge", "other")
    run("knowledge", "publish", "--knowledge", "other")
    shutil.rmtree(read().snapshots / "other")
    said = asyncio.run(_retuned(None))
    assert said.startswith("The retriever stays. ") and "knowledge/other" in said and "Publish again" in said
    served = asyncio.run(_served("default"))
    assert served is not None and not served.embedder.startswith("retriever-"), "all of them, or none"


async def _served(knowledge: str) -> Manifest | None:
    async with frontdesk(read(), lambda line: None) as graph:
        active = await graph.knowledge_store.active(knowledge)
        return read_manifest(graph.settings.snapshots / knowledge / active) if active else None


async def _retuned(knowledge: str | None) -> str:
    async with frontdesk(read(), lambda line: None) as graph:
        return await bootstrap_retuning.retuned(graph, knowledge, "cli:ada", lambda step, done, total: None, lambda now: None)


async def _trace() -> list[str]:
    async with frontdesk(read(), lambda line: None) as graph:
        return [entry.result for entry in await graph.audit_log.entries(50) if entry.action == "train.retriever"]


def test_bad_input_what_cannot_be_learnt_from_says_why_and_leaves_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("knowledge", "import", str(write("few.jsonl", ROWS[:1])), "--knowledge", "few")
    with pytest.raises(SnapshotError, match="'few' is not published"):
        run("train", "retriever", "--knowledge", "few")
    run("knowledge", "publish", "--knowledge", "few")
    with pytest.raises(TrainingError, match=r"wordings to learn from .* more alternatives|lead to the same answer"):
        run("train", "retriever", "--knowledge", "few")
    Path("wrong.toml").write_text("bach = 8", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"no 'bach'\. Did you mean batch"):
        run("train", "retriever", "--recipe", "wrong.toml")
    monkeypatch.setenv("FRONTDESK_EMBEDDER", str(tmp_path / "nowhere"))
    with pytest.raises(TrainingError, match="There is no embedder to tune"):
        run("train", "retriever")
    assert asyncio.run(_trace()) == ["refused"] * 3
