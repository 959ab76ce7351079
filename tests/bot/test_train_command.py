"""`frontdesk train answers` and `evaluate answers`, from the FAQ to a version that is compared; and the adapter that is shipped."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bot import bootstrap_models, bootstrap_shipped
from bot.bootstrap import Frontdesk, frontdesk
from bot.bootstrap_evaluation import ids_withheld
from bot.cli import cli
from bot.commands import train
from bot.settings import read
from core.errors import FrontdeskError, TrainingError
from core.registry import Alias, Kind
from core.serving import weights
from core.training import recipe as recipes
from tests.bot.test_cli import document, run, write
from tests.core.serving import tiny

ROOT = Path(__file__).parents[2]
RECIPE = """
targets = ["q_proj"]
rank = 2
epochs = 0.3
looks = 1
learning_rate = 0.02
max_length = 4096
precision = "float32"
held_out = 0.2
"""
SHIPPED = [json.loads(line) for line in (files("core.training") / "shipped" / "faq.jsonl").read_text("utf-8").splitlines()]
ROWS = sorted((row for row in SHIPPED if len(row["answer"].split()) > 8), key=lambda row: len(row["answer"]))[:24]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tiny model that may be taught a FAQ."""
    monkeypatch.setenv("FRONTDESK_MODEL", "extractive")
    run("knowledge", "import", str(write("faq.jsonl", ROWS)))
    run("knowledge", "publish")
    Path("recipe.toml").write_text(RECIPE, encoding="utf-8")
    model_id: str = document("models", "import", str(tiny.save(tmp_path / "base")))["model_id"]
    return model_id


@pytest.fixture
def trained(base: str, tmp_path: Path) -> dict[str, Any]:
    """A tiny model that was taught a FAQ."""
    return document("train", "answers", "--recipe", "recipe.toml", "--base", base, "--out", str(tmp_path / "run"))


def test_from_the_faq_to_a_version_that_is_compared_with_another(trained: dict[str, Any], tmp_path: Path) -> None:
    assert trained["after"] < trained["before"]
    assert trained["train"] > trained["held_out"] > 0
    version = document("models", "import", str(tmp_path / "run"))
    shown = document("models", "show", version["model_id"])
    assert shown["base"].endswith(trained["base"]) and shown["dataset_sha256"] == trained["dataset_sha256"]
    assert (
        shown["recipe"].startswith("method=sft adapter=lora rank=2") and "code=" in shown["recipe"] and "prompt=answer-" in shown["recipe"]
    )
    assert shown["scores"]["held_out_loss"] == trained["after"]
    card = (tmp_path / "run" / "README.md").read_text()
    assert "| source: faq |" in card and "| held out |" in card and trained["dataset_sha256"] in card

    questions = [{"question": row["question"], "reference": row["answer"], "relevant": [row["id"]]} for row in ROWS[:3]]
    questions.append({"question": ROWS[3]["question"], "reference": None, "relevant": [], "withheld": [ROWS[3]["id"]]})
    file = write("questions.jsonl", questions)
    found = document("evaluate", "answers", str(file), "--model", version["model_id"], "--against", "extractive", "--perplexity")
    assert {"rouge_l", "bleu", "chrf", "citation", "groundedness", "abstention", "perplexity", "p50_ms", "p95_ms", "n"} <= set(found)
    assert (found["n"], found["unanswerable"], found["versions"]["model"]) == (4, 1, version["model_id"])
    assert found["perplexity"] > 1 and found["against"]["perplexity"] is None
    assert found["against"]["rouge_l"] == found["against"]["citation"] == found["against"]["groundedness"] == 1.0
    assert found["difference"]["rouge_l"]["low"] <= found["difference"]["rouge_l"]["difference"] < 0
    assert (found["recall@1"], found["mrr"]) == (1.0, 1.0)
    again = run(
        "evaluate", "answers", str(file), "--model", version["model_id"], "--against", "extractive", "--limit", "2", "--report", "r.html"
    )
    assert "difference (95 %)" in again.output
    assert f"{version['model_id']} against extractive, questions.jsonl" in Path("r.html").read_text(encoding="utf-8")

    again = document("train", "answers", "--recipe", "recipe.toml", "--base", trained["base"], "--out", str(tmp_path / "other"))
    assert again["dataset_sha256"] == trained["dataset_sha256"]
    assert again["after"] == pytest.approx(trained["after"], rel=0.01)


def test_two_processes_train_one_adapter_and_the_first_speaks_for_both(base: str, tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
    command = ["train", "answers", "--recipe", "recipe.toml", "--base", base, "--out", str(tmp_path / "run"), "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, "-m", "bot", *command], env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["after"] < told["before"]
    assert told["steps"] == 1 and 0.3 * told["train"] > 8  # one process takes two steps of eight rows
    assert asyncio.run(_trace()) == [("train.answers", "done")]
    version = document("models", "import", str(tmp_path / "run"))
    assert version["dataset_sha256"] == told["dataset_sha256"]


def test_the_best_of_several_recipes_is_trained_and_kept_beside_the_result(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("train", "answers", "--recipe", "recipe.toml", "--base", base, "--out", str(tmp_path / "run"), "--search", "2")
    told = document(*command)
    assert [trial["number"] for trial in told["trials"]] == [1, 2]
    won = min((trial for trial in told["trials"] if trial["held_out"] is not None), key=lambda trial: trial["held_out"])
    recipe = recipes.read(Path(told["recipe_file"]))
    assert (recipe.learning_rate, recipe.rank, recipe.epochs) == (won["learning_rate"], won["rank"], 0.3)
    assert told["recipe"] == str(recipe) and told["recipe_file"] == str(tmp_path / "run.toml")
    assert not list((tmp_path / "data" / "training").glob("search-*"))
    train._print(told)
    assert "Short runs, best first" in (shown := capsys.readouterr().out) and "run.toml" in shown


def test_what_cannot_be_trained_says_why_and_leaves_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_MODEL", "extractive")
    run("knowledge", "import", str(write("faq.jsonl", ROWS[:3])))
    run("knowledge", "publish")
    with pytest.raises(TrainingError, match="'extractive' cannot be trained: it has no weights of its own here"):
        run("train", "answers", "--base", "extractive")
    with pytest.raises(TrainingError, match="There is no base to train: 'no/model'"):
        run("train", "answers", "--base", "no/model")
    folder = str(tiny.save(tmp_path / "base"))
    with pytest.raises(TrainingError, match=r"is no version yet.*First: frontdesk models import"):
        run("train", "answers", "--base", folder)
    base = document("models", "import", folder)["model_id"]
    with pytest.raises(TrainingError, match=r"examples to learn from .* Import more FAQ rows"):
        run("train", "answers", "--base", base)
    actions = asyncio.run(_trace())
    assert actions == [("train.answers", "refused")] * 4


async def _trace() -> list[tuple[str, str]]:
    async with frontdesk(read(), lambda line: None) as graph:
        return [(entry.action, entry.result) for entry in await graph.audit_log.entries(20) if entry.action.startswith("train")]


@pytest.mark.parametrize("withheld", ["7", 7, {"7": True}])
def test_bad_input_what_is_withheld_is_a_list_or_the_file_is_refused(withheld: object) -> None:
    with pytest.raises(FrontdeskError, match='"withheld" is a list of ids'):
        ids_withheld({"question": "How?", "withheld": withheld})
    assert ids_withheld({"question": "How?", "withheld": [7, "a"]}) == {"7", "a"}, "ids are texts, as those of `relevant`"
    assert ids_withheld({"question": "How?", "withheld": None}) == frozenset()


@pytest.mark.parametrize(("options", "said"), [
    (["--report", "r.html"], "name the other version with --against"),
    (["--report", "r.pdf", "--against", "extractive"], "must end in .html or .md"),
    (["--report", "nowhere/r.md", "--against", "extractive"], "there is no folder nowhere"),
])  # fmt: skip
def test_bad_input_a_report_that_cannot_be_written_is_refused_before_the_work(options: list[str], said: str) -> None:
    refused = CliRunner().invoke(cli, ["evaluate", "answers", str(write("questions.jsonl", [])), *options])
    assert (refused.exit_code, said in refused.output) == (2, True), refused.output


def test_bad_input_an_adapter_of_another_base_is_not_imported(trained: dict[str, Any], tmp_path: Path) -> None:
    other = document("models", "import", str(tiny.save(tmp_path / "other", seed=9)))["model_id"]
    with pytest.raises(FrontdeskError, match="says that it was trained on"):
        run("models", "import", str(tmp_path / "run"), "--base", other)


async def _champion(graph: Frontdesk) -> str:
    await bootstrap_models.follow_settings(graph)
    current = await graph.model_registry.current(Kind.GENERATOR, Alias.CHAMPION)
    assert current is not None
    return current.model_id


async def test_the_shipped_adapter_is_the_first_champion_and_is_there_on_each_machine(
    trained: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap_shipped, "_folder", lambda: tmp_path / "run")
    monkeypatch.setattr(bootstrap_models, "_chosen_base", lambda graph: weights.SMOLLM)
    settings = read().model_copy(update={"model": "auto", "database_url": f"sqlite:///{tmp_path / 'new.db'}"})
    known = read()
    async with frontdesk(known, lambda line: None) as graph:
        base = await graph.model_registry.version(trained["base"])
    async with frontdesk(settings, lambda line: None) as graph:
        await graph.model_registry.register(base)
        champion = await _champion(graph)
        assert champion.startswith("answers@")
        assert (await graph.model_registry.version(champion)).dataset_sha256 == trained["dataset_sha256"]
        assert await _champion(graph) == champion
        folder = settings.artifacts / champion
        for path in (folder, *folder.iterdir()):
            path.chmod(0o700)
        shutil.rmtree(folder)  # another machine, with a database that knows it
        assert await _champion(graph) == champion
        assert folder.is_dir()


def test_without_the_shipped_adapter_the_model_is_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bootstrap_shipped, "_folder", lambda: tmp_path)
    assert not bootstrap_shipped.is_there()
