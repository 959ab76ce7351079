"""An embedder learns which questions ask the same, and nothing that can go wrong loses what was learnt before."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import TrainingError
from core.registry import Kind
from core.serving.artifacts import Artifacts
from core.training.progress import Progress
from retrieval.embedding import SentenceEmbedder
from tests.core.training.questions import RECIPE, learn, save, topics, wordings

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_what_was_learnt_finds_wordings_it_never_saw_and_is_imported_as_an_embedder(tmp_path: Path) -> None:
    seen: list[Progress] = []
    outcome = learn(tmp_path, seen.append)
    losses = [now.loss for now in seen if now.loss is not None]
    assert losses[-1] < 0.5 * losses[0]
    assert outcome.after.recall_at_1 >= outcome.before.recall_at_1 + 0.2
    assert outcome.after.mrr_at_10 > outcome.before.mrr_at_10
    assert seen[-1].held_out is not None and seen[-1].steps >= seen[-1].step
    assert list((tmp_path / "out.work" / "tensorboard").glob("events.out.tfevents.*"))

    artifacts = Artifacts(tmp_path / "models", tmp_path)
    version = artifacts.take(str(tmp_path / "out"), kind=Kind.EMBEDDER)
    embedder = SentenceEmbedder(artifacts.open(version).folder, version.model_id)
    assert embedder.encode(["word1xa word1xb"]).shape == (1, 32)


def test_the_first_numbers_of_a_vector_do_on_their_own(tmp_path: Path) -> None:
    learn(tmp_path, recipe=replace(RECIPE, matryoshka=(32, 16)))
    vectors = SentenceEmbedder(tmp_path / "out", "x").encode([text for topic in topics() for text in topic.questions[:2]])[:, :16]
    nearest = (vectors @ vectors.T - 9 * torch.eye(len(vectors)).numpy()).argmax(axis=1)
    assert sum(found // 2 == place // 2 for place, found in enumerate(nearest)) > len(nearest) // 2


def test_what_is_written_lies_between_the_base_and_what_was_tuned(tmp_path: Path) -> None:
    for name, share in (("whole", 1.0), ("mixed", 0.25)):
        learn(tmp_path / name, recipe=replace(RECIPE, mix=share))
    base, whole, mixed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole/base", "whole/out", "mixed/out"))
    assert max(float((whole[name] - base[name]).abs().max()) for name in base) > 0.01
    for name, weight in base.items():
        torch.testing.assert_close(mixed[name], weight + 0.25 * (whole[name] - weight), atol=1e-4, rtol=0)


def test_bad_input_kill_9_in_the_middle_the_same_command_goes_on_and_ends_alike(tmp_path: Path) -> None:
    whole = learn(tmp_path / "whole")
    shutil.copytree(tmp_path / "whole" / "base", tmp_path / "broken" / "base")
    command = [sys.executable, "-m", "tests.core.training.questions", str(tmp_path / "broken"), "50"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == -9, done.stderr
    assert not (tmp_path / "broken" / "out").exists()
    seen: list[Progress] = []
    resumed = learn(tmp_path / "broken", seen.append)
    assert seen[0].step > 20  # not from the beginning
    assert resumed.after.mrr_at_10 == pytest.approx(whole.after.mrr_at_10, abs=0.02)
    assert _difference(tmp_path / "whole", tmp_path / "broken") < 0.02


def test_bad_input_a_base_with_numbers_that_are_none_stops_before_they_spread(tmp_path: Path) -> None:
    file = save(tmp_path / "base") / "model.safetensors"
    weights = load_file(file)
    weights["encoder.layer.0.output.dense.weight"][0, 0] = float("nan")
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(TrainingError, match=r"no number any more at step 1 of .*learning_rate"):
        learn(tmp_path)
    assert not (tmp_path / "out").exists()


def test_bad_input_a_disk_that_fills_up_while_it_trains_keeps_the_last_look(tmp_path: Path) -> None:
    def full(now: Progress) -> None:
        if now.step == 50:
            raise OSError(28, "No space left on device")

    with pytest.raises(TrainingError, match=r"No space left on device.*the same command goes on"):
        learn(tmp_path, full)
    seen: list[Progress] = []
    learn(tmp_path, seen.append)
    assert seen[0].step > 20


def test_bad_input_too_little_disk_or_memory_is_refused_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match=r"needs \d+\.\d GiB .*This fits: batch = \d+"):
        learn(tmp_path, free=(512 << 20) + 800_000)
    with pytest.raises(TrainingError, match=r"0\.0 GiB are free\. Free some, or tune a smaller model"):
        learn(tmp_path, free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))  # type: ignore[attr-defined]
    with pytest.raises(TrainingError, match=r"needs \d+ MiB .* 0 MiB are free.*--out FOLDER"):
        learn(tmp_path)
    assert not (tmp_path / "out.work").exists()


def test_bad_input_what_gains_nothing_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"Nothing was gained: .*MRR@10 of 0\.\d+.*learning_rate"):
        learn(tmp_path, recipe=replace(RECIPE, learning_rate=1e-8, epochs=0.2, looks=1))
    assert not (tmp_path / "out").exists()


def test_bad_input_where_everything_is_found_already_there_is_nothing_to_learn(tmp_path: Path) -> None:
    learn(tmp_path / "first", recipe=replace(RECIPE, mix=1))
    shutil.copytree(tmp_path / "first" / "out", tmp_path / "again" / "base")
    with pytest.raises(TrainingError, match="nothing to gain"):
        learn(tmp_path / "again")


@pytest.mark.parametrize("changed", [{"base": "org/other"}, {"wordings": wordings(topics(11))}, {"recipe": replace(RECIPE, batch=6)}])
def test_bad_input_a_folder_with_another_run_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    learn(tmp_path, recipe=replace(RECIPE, epochs=4))
    with pytest.raises(TrainingError, match=r"begun with another .*(base|dataset|recipe)\. Train elsewhere \(--out FOLDER\)"):
        learn(tmp_path, **{"recipe": replace(RECIPE, epochs=4)} | changed)


def test_bad_input_more_numbers_than_a_vector_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"matryoshka names 64; a vector of org/tiny has 32"):
        learn(tmp_path, recipe=replace(RECIPE, matryoshka=(64,)))


def _difference(one: Path, other: Path) -> float:
    """The largest difference of a number that was learnt."""
    tensors = [load_file(folder / "out" / "model.safetensors") for folder in (one, other)]
    return max(float((tensors[0][name] - tensors[1][name]).abs().max()) for name in tensors[0])
