"""Supervised fine-tuning of a LoRA adapter on answers, with trl and peft: AdamW, loss on the answer only, the best of several looks."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import TrainingError
from core.training import memory, workplace
from core.training.encoding import Encoded
from core.training.progress import Watch
from core.training.recipe import Recipe

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_WEIGHTS = "adapter_model.safetensors"
_CONFIG = "adapter_config.json"
_FIRST = "first.json"  # the held-out loss of the base, taken once


@dataclass(frozen=True)
class Job:
    """What is trained, on what, and where."""

    base: str  # what the adapter says it belongs to
    recipe: Recipe
    dataset_sha256: str
    train: list[Encoded]
    held_out: list[Encoded]
    out: Path  # the folder of the adapter
    device: str = "cpu"

    @property
    def work(self) -> Path:
        """The folder of checkpoints and logs."""
        return self.out.with_name(self.out.name + ".work")

    @property
    def steps(self) -> int:
        """How many times weights are changed."""
        return max(1, math.ceil(len(self.train) / (self.recipe.batch * self.recipe.accumulation) * self.recipe.epochs))


class Outcome(NamedTuple):
    """Held-out loss in nats per answer token, and after how many steps it was reached."""

    before: float
    after: float
    step: int


def fit(job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, free_bytes: int, watch: Watch) -> Outcome:
    """Train an adapter of `model` and write it to `job.out`; called again after a kill, go on from the last look. Blocks.

    Raises `TrainingError` when memory or disk will not do, when the loss is no number any more, or when the layers of the recipe are not
    there; what was learnt until then stays in `job.work`.
    """
    recipe = job.recipe
    memory.require(model.config, recipe, [len(one.input_ids) for one in job.train], free_bytes)
    workplace.require_room(job.work, memory.checkpoint_bytes(model.config, recipe) * 3)
    workplace.claim(job.work, {"base": job.base, "recipe": str(recipe), "dataset": job.dataset_sha256})
    try:
        return _fitted(job, model, tokenizer, watch)
    except OSError as error:
        raise TrainingError(
            f"Training stopped: {error.strerror or error}. What was learnt until the last look is in {job.work}; the same command goes on."
        ) from error


def _fitted(job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, watch: Watch) -> Outcome:
    import torch
    from transformers import set_seed

    set_seed(job.recipe.seed)
    if job.recipe.precision == "bf16":
        model.to(torch.bfloat16)
    trainer = _trainer(job, model, tokenizer, watch)
    before = _first_look(job, trainer)
    checkpoint = workplace.newest_checkpoint(job.work)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    after, step = trainer.state.best_metric, trainer.state.best_global_step
    if after is None or after >= before:
        raise TrainingError(
            f"Nothing was learnt: the held-out loss is {_told(after)} nats a token, it was {before:.3f}. "
            "Try another learning_rate, or more data."
        )
    _write(job, trainer.model)
    return Outcome(before, after, step or job.steps)


def _trainer(job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, watch: Watch) -> Any:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import EarlyStoppingCallback, PrinterCallback
    from trl import SFTTrainer

    from core.training.callbacks import Careful, Told, curves

    recipe = job.recipe
    lora = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=recipe.dropout, target_modules=list(recipe.targets), task_type="CAUSAL_LM"
    )
    try:
        trainer = SFTTrainer(
            model=model,
            args=_arguments(job),
            train_dataset=Dataset.from_list([_columns(one) for one in job.train]),
            eval_dataset=Dataset.from_list([_columns(one) for one in job.held_out]),
            processing_class=tokenizer,
            peft_config=lora,
            callbacks=[Careful(), EarlyStoppingCallback(recipe.patience), Told(watch, job.steps), *curves(job.work)],
        )
        trainer.remove_callback(PrinterCallback)
    except ValueError as error:  # peft's, of layers that are not there
        raise TrainingError(f"The recipe does not fit {job.base}: {error}") from error
    return trainer


def _columns(one: Encoded) -> dict[str, list[int]]:
    return {"input_ids": one.input_ids, "labels": one.labels}


def _arguments(job: Job) -> Any:
    from trl import SFTConfig

    recipe, every = job.recipe, max(1, job.steps // job.recipe.looks)
    return SFTConfig(
        output_dir=str(job.work),
        per_device_train_batch_size=recipe.batch,
        per_device_eval_batch_size=recipe.batch,
        gradient_accumulation_steps=recipe.accumulation,
        gradient_checkpointing=False,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        lr_scheduler_type="cosine",
        warmup_steps=job.steps // 20,
        max_steps=job.steps,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        seed=recipe.seed,
        data_seed=recipe.seed,
        # On a CPU the base is bf16 throughout: autocast would turn each activation to and fro (24 s a step where this takes 13).
        bf16=recipe.precision == "bf16" and job.device == "cuda",
        use_cpu=job.device == "cpu",
        train_sampling_strategy="group_by_length",
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        dataloader_pin_memory=job.device == "cuda",
    )


def _first_look(job: Job, trainer: Any) -> float:
    """Return the held-out loss of the base: a new adapter changes nothing yet."""
    file = job.work / _FIRST
    if not file.is_file():
        part = file.with_suffix(".part")
        part.write_text(json.dumps(trainer.evaluate()["eval_loss"]), encoding="utf-8")
        part.replace(file)
    loss: float = json.loads(file.read_text(encoding="utf-8"))
    return loss


def _write(job: Job, model: Any) -> None:
    """Write the adapter in one go: weights in bf16, which halves them and changes no answer that we could measure."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    staging = job.work / "adapter"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    config = model.peft_config["default"]
    config.base_model_name_or_path, config.inference_mode, config.target_modules = job.base, True, sorted(job.recipe.targets)
    config.save_pretrained(str(staging))
    learnt = get_peft_model_state_dict(model, save_embedding_layers=False)
    tensors = {name: tensor.detach().to("cpu", torch.bfloat16).contiguous() for name, tensor in learnt.items()}
    save_file(tensors, staging / _WEIGHTS, {"format": "pt"})
    job.out.mkdir(parents=True, exist_ok=True)
    for name in (_CONFIG, _WEIGHTS):
        (staging / name).replace(job.out / name)


def _told(loss: float | None) -> str:
    return "not known" if loss is None else f"{loss:.3f}"
