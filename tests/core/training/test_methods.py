"""Ways to train beside plain LoRA: AdaLoRA that ends as an ordinary LoRA, every weight of a model, rows put behind one another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from core import prompting
from core.domain import Generation, Limits, Passage
from core.errors import TrainingError
from core.serving import likelihood
from core.serving.artifacts import Artifacts
from core.serving.likelihood import Expected
from core.serving.local import LocalGenerator
from core.training import adaptive, answers, memory, packs
from core.training.encoding import Encoded
from core.training.progress import Progress
from core.training.recipe import Recipe
from tests.core.training.lessons import PLENTY, RECIPE, job, learn

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),  # of trl, peft and torch
]
ADALORA = replace(RECIPE, adapter="adalora", learning_rate=0.05)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_adalora_takes_ranks_away_and_ends_as_an_ordinary_lora_that_is_imported(tmp_path: Path) -> None:
    job(tmp_path)
    base = Artifacts(tmp_path / "models", tmp_path).take(str(tmp_path / "base"))
    outcome = learn(tmp_path, recipe=ADALORA, base=base.model_id)
    assert outcome.after < 0.8 * outcome.before
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA" and config["lora_alpha"] == config["r"] <= ADALORA.first_rank
    left = _left(tmp_path / "out.work" / "checkpoint-20").values()
    assert sum(int(one.sum()) for one in left) <= ADALORA.rank * len(left) < sum(map(len, left))
    taken = Artifacts(tmp_path / "models", tmp_path).take(str(tmp_path / "out"), (base,), base=base.model_id)
    assert taken.base == base.location


def test_a_folded_adalora_computes_what_it_computed(tmp_path: Path) -> None:
    made, model, _ = job(tmp_path)
    adapted = get_peft_model(model, adaptive.settings(ADALORA, 20)).eval()
    with torch.no_grad():
        for name, weights in adapted.named_parameters():
            if "lora_" in name:
                weights.normal_(std=0.3)
            if ".lora_E." in name:
                weights[: 1 + len(name) % 3] = 0.0  # as many in one layer as not in another
    ids = torch.tensor([made.train[0].input_ids])
    expected = adapted(ids).logits
    adapted.save_pretrained(tmp_path / "adalora")
    tensors, rank = adaptive.folded(load_file(tmp_path / "adalora" / "adapter_model.safetensors"), ADALORA.alpha)
    assert rank < ADALORA.first_rank
    _, base, _ = job(tmp_path)
    lora = PeftModel(base, LoraConfig(r=rank, lora_alpha=rank, target_modules=list(ADALORA.targets)))
    assert not lora.load_state_dict({name.replace(".weight", ".default.weight"): one for name, one in tensors.items()}, strict=False)[1]
    found = lora.eval()(ids).logits
    assert float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max())


async def test_a_whole_model_learns_is_imported_and_serves(tmp_path: Path) -> None:
    recipe = replace(RECIPE, adapter="full", learning_rate=0.01, precision="bf16")
    outcome = learn(tmp_path, recipe=recipe)
    assert outcome.after < 0.7 * outcome.before
    artifacts = Artifacts(tmp_path / "models", tmp_path)
    version = artifacts.take(str(tmp_path / "out"))
    assert not version.base
    weights = load_file(tmp_path / "out" / "model.safetensors")
    assert {one.dtype for one in weights.values()} == {torch.bfloat16}
    generator = LocalGenerator(artifacts.open(version), "cpu", version=version.model_id)
    prompt = prompting.build("What is item 3?", (Passage("p", "p", "What is item 3?", "Item 3 is a lamp with 3 bulbs."),))
    pieces = [piece async for piece in generator.stream(prompt, Limits(16))]
    await generator.aclose()
    assert isinstance(pieces[-1], Generation) and pieces[-1].model_version == version.model_id
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"


PREFIX = replace(RECIPE, adapter="prefix", virtual_tokens=32, learning_rate=0.1)  # random numbers hardly listen to what is before them


async def test_a_prefix_learns_is_imported_and_writes_what_peft_writes(tmp_path: Path) -> None:
    job(tmp_path)
    base = Artifacts(tmp_path / "models", tmp_path).take(str(tmp_path / "base"))
    outcome = learn(tmp_path, recipe=replace(PREFIX, epochs=12), base=base.model_id)
    assert outcome.after < 0.9 * outcome.before
    assert outcome.before == pytest.approx(learn(tmp_path, out=tmp_path / "lora").before, abs=1e-5)  # that of the base, without a prefix
    weights = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert [(name, len(one), one.dtype) for name, one in weights.items()] == [("prompt_embeddings", 32, torch.bfloat16)]
    artifacts = Artifacts(tmp_path / "models", tmp_path)
    version = artifacts.take(str(tmp_path / "out"), (base,), base=base.model_id)
    assert version.base == base.location
    generator = LocalGenerator(artifacts.base(version), "cpu", version=version.model_id, adapter=artifacts.open(version).folder)
    prompt = prompting.build("What is item 3?", (Passage("p", "p", "What is item 3?", "Item 3 is a lamp with 3 bulbs."),))
    pieces = [piece async for piece in generator.stream(prompt, Limits(16))]
    await generator.aclose()
    assert isinstance(pieces[-1], Generation) and pieces[-1].model_version == version.model_id
    expected = [Expected(prompting.messages(prompt), "Item 3 is a lamp.")]
    tuned, plain = (likelihood.nats(artifacts.base(version), adapter, "cpu", expected) for adapter in (tmp_path / "out", None))
    assert tuned < plain - 1


def test_a_prefix_that_was_cut_off_goes_on_and_ends_alike(tmp_path: Path) -> None:
    def full(now: Progress) -> None:
        if now.step == 17:
            raise OSError(28, "No space left on device")

    (whole := tmp_path / "whole").mkdir()
    unbroken = learn(whole, recipe=PREFIX)
    with pytest.raises(TrainingError, match="the same command goes on"):
        learn(tmp_path, full, recipe=PREFIX)
    seen: list[Progress] = []
    assert learn(tmp_path, seen.append, recipe=PREFIX).after == pytest.approx(unbroken.after, abs=1e-5)
    assert seen[0].step == 16


def test_bad_input_memory_that_will_do_for_an_adapter_and_not_for_a_whole_model_says_so(tmp_path: Path) -> None:
    _, model, _ = job(tmp_path)
    big = {"num_hidden_layers": 30, "hidden_size": 576, "intermediate_size": 1536, "vocab_size": 49152, "tie_word_embeddings": True}
    for name, value in big.items():
        setattr(model.config, name, value)
    whole = Recipe(adapter="full", batch=1)
    assert memory.checkpoint_bytes(model.config, whole) == pytest.approx(12 * 135e6, rel=0.15)  # SmolLM2-135M
    with pytest.raises(TrainingError, match='An adapter fits: adapter = "lora", batch = 1'):
        memory.require(model.config, whole, [500], 2 << 30)
    memory.require(model.config, replace(whole, adapter="lora"), [500], 2 << 30)


def test_adalora_that_was_cut_off_when_ranks_were_gone_keeps_them_gone(tmp_path: Path) -> None:
    def full(now: Progress) -> None:
        if now.step == 17:
            raise OSError(28, "No space left on device")

    with pytest.raises(TrainingError, match="the same command goes on"):
        learn(tmp_path, full, recipe=ADALORA)
    seen: list[Progress] = []
    learn(tmp_path, seen.append, recipe=ADALORA)
    assert seen[0].step == 16
    first, last = (_left(tmp_path / "out.work" / f"checkpoint-{step}") for step in (15, 20))
    assert {name: one.tolist() for name, one in first.items()} == {name: one.tolist() for name, one in last.items()}


def _left(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Which ranks of each layer are there."""
    tensors = load_file(checkpoint / "adapter_model.safetensors")
    return {name: one != 0 for name, one in tensors.items() if name.endswith("lora_E")}


def test_packed_rows_cost_fewer_steps_and_have_the_very_loss_that_they_have_alone(tmp_path: Path) -> None:
    recipe = replace(RECIPE, packing=True, dropout=0.0)
    made, model, tokenizer = job(tmp_path, recipe=recipe)
    alone = [(-_likelihoods(model, one), len(one.answer)) for one in made.train]
    rows = packs.packed(made.train, recipe.max_length)
    trainer = answers._trainer(replace(made, train=rows), model, tokenizer, [])
    batch = next(iter(trainer.get_train_dataloader()))
    assert len(rows) < len(made.train) / 2 and batch["input_ids"].shape[0] == 1
    everything = trainer.data_collator([packs.columns(one) for one in rows])
    with torch.no_grad():
        packed = float(trainer.compute_loss(trainer.model.eval(), everything))
    assert packed == pytest.approx(sum(loss for loss, _ in alone) / sum(count for _, count in alone), rel=1e-4)

    outcome = learn(tmp_path / "learn", recipe=replace(recipe, epochs=12))
    assert outcome.after < 0.7 * outcome.before


def test_bad_input_packing_with_a_model_whose_rows_would_see_each_other_is_refused(tmp_path: Path) -> None:
    made, model, tokenizer = job(tmp_path, recipe=replace(RECIPE, packing=True))
    forward = model.forward

    def blind(*args: Any, position_ids: Any = None, **more: Any) -> Any:
        return forward(*args, **more)

    model.forward = blind
    with pytest.raises(TrainingError, match=r"a row would see the one before it\. Set packing = false"):
        answers.fit(made, model, tokenizer, PLENTY, lambda now: None)


def _likelihoods(model: Any, row: Encoded) -> float:
    """The log-likelihood of an answer, in nats."""
    with torch.no_grad():
        logits = model(torch.tensor([row.input_ids])).logits[0, len(row.prompt) - 1 : -1]
    return float(logits.log_softmax(-1)[range(len(row.answer)), row.answer].sum())
