"""A model learns, what it has learnt serves, and nothing that can go wrong loses what was learnt before."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from core import prompting
from core.domain import Generation, Limits, Passage
from core.errors import TrainingError
from core.serving.artifacts import Artifacts
from core.serving.local import LocalGenerator
from core.training import callbacks
from core.training.answers import fit
from core.training.progress import Progress
from tests.core.training.lessons import PLENTY, RECIPE, job, learn

ROOT = Path(__file__).parents[3]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),  # of trl, peft and torch
]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


async def test_what_was_learnt_is_an_adapter_that_is_imported_and_serves(tmp_path: Path) -> None:
    seen: list[Progress] = []
    outcome = learn(tmp_path, seen.append)
    assert outcome.after < 0.7 * outcome.before
    assert [now.step for now in seen if now.loss is not None] == list(range(1, 21))
    assert seen[-1].steps == 20 and seen[-1].held_out == pytest.approx(outcome.after, abs=0.5)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]

    made, _, _ = job(tmp_path)
    base = Artifacts(tmp_path / "models", tmp_path).take(str(tmp_path / "base"))
    learn(tmp_path / "again", base=base.model_id)
    version = Artifacts(tmp_path / "models", tmp_path).take(str(tmp_path / "again" / "out"), (base,), base=base.model_id)
    artifacts = Artifacts(tmp_path / "models", tmp_path)
    generator = LocalGenerator(artifacts.base(version), "cpu", version=version.model_id, adapter=artifacts.open(version).folder)
    prompt = prompting.build("What is item 3?", (Passage("p", "p", "What is item 3?", "Item 3 is a lamp with 3 bulbs."),))
    pieces = [piece async for piece in generator.stream(prompt, Limits(16))]
    await generator.aclose()
    assert isinstance(pieces[-1], Generation) and pieces[-1].model_version == version.model_id
    assert made.work.name == "out.work"


def test_curves_are_kept_for_tensorboard_beside_the_checkpoints_and_nowhere_else(tmp_path: Path) -> None:
    learn(tmp_path)
    assert list((tmp_path / "out.work" / "tensorboard").glob("events.out.tfevents.*"))
    assert not (Path.cwd() / "runs").exists()


@pytest.mark.parametrize(
    ("installed", "asked", "services"), [(True, "WANDB_PROJECT", ["wandb"]), (True, "WANDB_API_KEY", []), (False, "WANDB_PROJECT", [])]
)
def test_curves_leave_the_machine_only_where_weights_and_biases_is_installed_and_asked_for(
    installed: bool, asked: str, services: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_PROJECT", "WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(asked, "frontdesk")
    monkeypatch.setattr(callbacks, "find_spec", lambda name: object() if installed and name == "wandb" else None)
    assert callbacks.services() == services


def test_the_same_seed_learns_the_same(tmp_path: Path) -> None:
    learn(tmp_path / "one")
    learn(tmp_path / "two")
    assert _difference(tmp_path / "one", tmp_path / "two") == 0


def test_a_run_that_gets_no_better_stops_early(tmp_path: Path) -> None:
    seen: list[Progress] = []
    patient = replace(RECIPE, learning_rate=0.1, weight_decay=0, epochs=40, looks=100, patience=2)
    learn(tmp_path, seen.append, recipe=patient)
    assert seen[-1].step < seen[-1].steps == 200


def test_what_has_learnt_nothing_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"Nothing was learnt: .*learning_rate"):
        learn(tmp_path, recipe=replace(RECIPE, learning_rate=1e-8, epochs=0.2, looks=1, dropout=0.9))
    assert not (tmp_path / "out").exists()


def test_bad_input_kill_9_in_the_middle_the_same_command_goes_on_and_ends_alike(tmp_path: Path) -> None:
    whole = learn(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole" / "base", tmp_path / "broken" / "base")
    command = [sys.executable, "-m", "tests.core.training.lessons", str(tmp_path / "broken"), "13", "sft"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == -9, done.stderr
    assert not (tmp_path / "broken" / "out").exists()
    seen: list[Progress] = []
    resumed = learn(tmp_path / "broken", seen.append)
    assert seen[0].step == 11  # the look after ten steps left the last checkpoint
    assert resumed.after == pytest.approx(whole.after, rel=0.01)
    assert _difference(tmp_path / "whole", tmp_path / "broken") < 0.02


def test_bad_input_a_checkpoint_that_was_cut_off_is_not_gone_on_from(tmp_path: Path) -> None:
    learn(tmp_path)
    newest = max((tmp_path / "out.work").glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
    (newest / "trainer_state.json").write_text("")
    assert learn(tmp_path).after > 0
    assert (newest / "trainer_state.json").stat().st_size > 0


def test_bad_input_a_loss_that_is_no_number_stops_and_keeps_the_last_good(tmp_path: Path) -> None:
    made, model, tokenizer = job(tmp_path)
    model.register_forward_pre_hook(_spoil_from(model, step=8))
    kept = r"no number any more at step 8 of 20; the best until then is kept: .*checkpoint-5.*learning_rate"
    with pytest.raises(TrainingError, match=kept):
        fit(made, model, tokenizer, PLENTY, lambda now: None)
    weights = load_file(tmp_path / "out.work" / "checkpoint-5" / "adapter_model.safetensors")
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())
    assert not (tmp_path / "out").exists()


def test_bad_input_a_disk_that_is_full_is_refused_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))  # type: ignore[attr-defined]
    with pytest.raises(TrainingError, match=r"needs \d+ MiB .* 0 MiB are free.*--out FOLDER"):
        learn(tmp_path)
    assert not (tmp_path / "out.work").exists()


def test_bad_input_a_disk_that_fills_up_while_it_trains_keeps_the_last_look(tmp_path: Path) -> None:
    def full(now: Progress) -> None:
        if now.step == 12:
            raise OSError(28, "No space left on device")

    with pytest.raises(TrainingError, match=r"No space left on device.*the same command goes on"):
        learn(tmp_path, full)
    seen: list[Progress] = []
    learn(tmp_path, seen.append)
    assert seen[0].step == 11


def test_bad_input_too_little_memory_is_refused_with_the_recipe_that_fits(tmp_path: Path) -> None:
    big = replace(RECIPE, batch=64, accumulation=1, rank=256)
    with pytest.raises(TrainingError, match=r"needs \d+\.\d GiB .* fits: batch = \d+, accumulation = \d+"):
        learn(tmp_path, free=520 << 20, recipe=big)
    with pytest.raises(TrainingError, match=r"0\.0 GiB are free\. Free some, set a smaller max_length"):
        learn(tmp_path, free=1 << 20, recipe=big)


@pytest.mark.parametrize("changed", [{"base": "org/other"}, {"dataset_sha256": "1" * 64}, {"recipe": replace(RECIPE, rank=2)}])
def test_bad_input_a_folder_with_another_run_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    learn(tmp_path)
    with pytest.raises(TrainingError, match=r"begun with another (base|dataset|recipe)\. Train elsewhere \(--out FOLDER\)"):
        learn(tmp_path, **changed)


def test_bad_input_a_base_without_the_layers_of_the_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"The recipe does not fit org/tiny: .*c_attn"):
        learn(tmp_path, recipe=replace(RECIPE, targets=("c_attn",)))


def _difference(one: Path, other: Path) -> float:
    """The largest difference of a number that was learnt."""
    tensors = [load_file(folder / "out" / "adapter_model.safetensors") for folder in (one, other)]
    return max(float((tensors[0][name].float() - tensors[1][name].float()).abs().max()) for name in tensors[0])


def _spoil_from(model: Any, step: int) -> Any:
    """What makes the gradients of a step infinite, as a learning rate that is far too large does in the end."""
    passes, armed = {"backward": 0}, {"done": False}

    def spoil(gradient: torch.Tensor) -> torch.Tensor:
        passes["backward"] += 1
        return gradient * float("nan") if passes["backward"] == step else gradient

    def arm(_module: Any, _inputs: Any) -> None:
        if not armed["done"]:  # peft has put its matrices in by the first pass
            armed["done"] = True
            next(weight for name, weight in model.named_parameters() if "lora_B" in name).register_hook(spoil)

    return arm
