"""A model learns what people prefer: the better answer becomes likelier than the other, on questions that were not learnt from."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from core import prompting
from core.domain import Generation, Limits, Passage
from core.errors import TrainingError
from core.serving import bases, chat
from core.serving.artifacts import Artifacts
from core.serving.local import LocalGenerator
from core.serving.weights import resolve
from core.training import preferences, selfplay
from core.training.encoding import Codec, encoded
from core.training.fitting import continued
from core.training.progress import Progress
from tests.core.training.lessons import OF, PLENTY, RECIPE, job, learn, rows

ROOT = Path(__file__).parents[3]
PASSAGE = Passage("p", "p", "What is item 3?", "Item 3 is a lamp with 3 bulbs.")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),  # of trl, peft and torch
]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def opened(folder: Path, adapter: Path | None = None) -> tuple[Any, Any]:
    model, tokenizer = bases.load(resolve(str(folder / "base"), folder), "cpu", "float32")
    return (PeftModel.from_pretrained(model, str(adapter)).eval() if adapter else model), tokenizer


def likelihood(model: Any, prompt: list[int], answer: list[int]) -> float:
    """How likely a model finds an answer, in nats."""
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return float(logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).sum())


def margin(model: Any, found: list[Any]) -> float:
    """By how much the chosen answers are likelier than the rejected ones."""
    sides = [(likelihood(model, one.prompt, one.chosen), likelihood(model, one.prompt, one.rejected)) for one in found]
    return sum(chosen - rejected for chosen, rejected in sides) / len(sides)


async def test_dpo_widens_the_margin_on_held_out_pairs_and_what_comes_of_it_serves(tmp_path: Path) -> None:
    seen: list[Progress] = []
    made, before, _ = job(tmp_path, recipe=OF["dpo"])
    base = Artifacts(tmp_path / "models", tmp_path).take(str(tmp_path / "base"))
    outcome = learn(tmp_path, seen.append, recipe=OF["dpo"], base=base.model_id)
    assert outcome.before == pytest.approx(0.6931, abs=1e-3)  # ln 2: nothing is preferred yet
    assert outcome.after < 0.8 * outcome.before and seen[-1].steps == made.steps
    after, _ = opened(tmp_path, tmp_path / "out")
    gained = margin(after, list(made.held_out)) - margin(before, list(made.held_out))
    assert gained > 1 and outcome.figures["margin"] == pytest.approx(gained, rel=0.05)

    version = Artifacts(tmp_path / "models", tmp_path).take(str(tmp_path / "out"), (base,), base=base.model_id)
    artifacts = Artifacts(tmp_path / "models", tmp_path)
    generator = LocalGenerator(artifacts.base(version), "cpu", version=version.model_id, adapter=artifacts.open(version).folder)
    pieces = [piece async for piece in generator.stream(prompting.build(PASSAGE.title, (PASSAGE,)), Limits(8))]
    await generator.aclose()
    assert isinstance(pieces[-1], Generation) and pieces[-1].model_version == version.model_id


def test_kto_makes_what_was_liked_likelier_than_what_was_not(tmp_path: Path) -> None:
    _, before, _ = job(tmp_path, recipe=OF["kto"])
    outcome = learn(tmp_path, recipe=OF["kto"])
    assert outcome.after < outcome.before and outcome.figures["margin"] > 1
    after, _ = opened(tmp_path, tmp_path / "out")
    held_out = job(tmp_path, recipe=OF["dpo"])[0].held_out
    assert margin(after, list(held_out)) > margin(before, list(held_out)) + 1


def test_an_adapter_that_serves_is_gone_on_from_and_is_the_reference(tmp_path: Path) -> None:
    learn(tmp_path, out=tmp_path / "first")
    recipe = continued(replace(OF["dpo"], rank=64), tmp_path / "first")
    assert (recipe.rank, recipe.targets) == (RECIPE.rank, tuple(sorted(RECIPE.targets)))
    outcome = learn(tmp_path, recipe=recipe, start=tmp_path / "first")
    assert outcome.before == pytest.approx(0.6931, abs=1e-3)  # against itself, not against the base
    made, _, _ = job(tmp_path, recipe=recipe)
    first, second = (margin(opened(tmp_path, tmp_path / name)[0], list(made.held_out)) for name in ("first", "out"))
    assert second > first + 1


def played(folder: Path, **changed: Any) -> selfplay.Outcome:
    made, _, _ = job(folder, recipe=replace(OF["spin"], **changed))
    return selfplay.fit(made, partial(opened, folder), lambda: PLENTY, lambda now: None)


async def test_in_self_play_the_wrong_answers_are_what_the_model_itself_says_in_service(tmp_path: Path) -> None:
    made, before, tokenizer = job(tmp_path, recipe=OF["spin"])
    own = selfplay.own_answers(before, tokenizer, [one.prompt for one in made.train[:3]], 2, lambda now: None)
    generator = LocalGenerator(resolve(str(tmp_path / "base"), tmp_path), "cpu", precision="float32")
    for row, tokens in zip(rows(3), own, strict=True):
        number = row["meta"]["group"][1:]
        passage = Passage(f"p{number}", f"p{number}", f"What is item {number}?", f"Item {number} is a lamp with {number} bulbs.")
        pieces = [piece async for piece in generator.stream(prompting.build(passage.title, (passage,)), Limits())]
        assert isinstance(pieces[-1], Generation) and pieces[-1].text == chat.decode(tokenizer, tokens)
    await generator.aclose()


def test_self_play_brings_a_model_nearer_to_staff_and_each_iteration_plays_against_the_one_before(tmp_path: Path) -> None:
    made, before, _ = job(tmp_path, recipe=OF["spin"])
    outcome = played(tmp_path, iterations=2, epochs=2, looks=2)
    assert outcome.before == pytest.approx(0.6931, abs=1e-3) and outcome.after < outcome.before
    pairs = [(tmp_path / "out.work" / f"iteration-{number}.work" / "pairs.json").read_text() for number in (1, 2)]
    assert pairs[0] != pairs[1]
    after, _ = opened(tmp_path, tmp_path / "out")
    first, _ = opened(tmp_path, tmp_path / "out.work" / "iteration-1")
    told = [[likelihood(model, one.prompt, one.answer) for one in made.held_out] for model in (before, first, after)]
    assert sum(told[1]) > sum(told[0])
    assert played(tmp_path, iterations=2, epochs=2, looks=2) == outcome  # nothing is played twice


def test_self_play_ends_where_the_model_says_what_staff_say(tmp_path: Path) -> None:
    made, model, tokenizer = job(tmp_path, recipe=OF["spin"])
    own = selfplay.own_answers(model, tokenizer, [one.prompt for one in made.train], 4, lambda now: None)
    same = replace(made, train=[one._replace(answer=tokens) for one, tokens in zip(made.train, own, strict=True)])
    with pytest.raises(TrainingError, match=r"all but 0 and 2 as they should be, word for word: self-play has nothing left to teach it"):
        selfplay.fit(same, partial(opened, tmp_path), lambda: PLENTY, lambda now: None)


def test_bad_input_kill_9_in_the_middle_of_preferences_the_same_command_goes_on_and_ends_alike(tmp_path: Path) -> None:
    whole = learn(tmp_path / "whole", recipe=OF["dpo"])
    shutil.copytree(tmp_path / "whole" / "base", tmp_path / "broken" / "base")
    command = [sys.executable, "-m", "tests.core.training.lessons", str(tmp_path / "broken"), "13", "dpo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == -9, done.stderr
    seen: list[Progress] = []
    resumed = learn(tmp_path / "broken", seen.append, recipe=OF["dpo"])
    assert seen[0].step == 11
    assert resumed.after == pytest.approx(whole.after, rel=0.01)
    one, other = (load_file(tmp_path / name / "out" / "adapter_model.safetensors") for name in ("whole", "broken"))
    assert max(float((one[name].float() - other[name].float()).abs().max()) for name in one) < 0.02


def test_bad_input_kto_has_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"Set batch = 2 or more"):
        learn(tmp_path, recipe=replace(OF["kto"], batch=1))
    made, model, tokenizer = job(tmp_path, recipe=OF["kto"])
    short = replace(made, held_out=[one for one in made.held_out if one.liked])  # type: ignore[attr-defined]
    with pytest.raises(TrainingError, match=r"are only answers that got 👍\. Set a larger max_length"):
        preferences.fit(short, model, tokenizer, PLENTY, lambda now: None)
    assert not (tmp_path / "out.work").exists()


def test_pairs_are_read_as_serving_writes_them(tmp_path: Path) -> None:
    made, _, tokenizer = job(tmp_path, recipe=OF["dpo"])
    codec = Codec(partial(chat.encode, tokenizer), partial(chat.encode_answer, tokenizer))
    (answered,) = encoded(rows(1), codec, RECIPE.max_length)
    pair: Any = made.train[0]
    assert (pair.prompt, pair.chosen) == (answered.prompt, answered.answer)
    assert pair.rejected == chat.encode_answer(tokenizer, rows(1)[0]["meta"]["rejected"])
