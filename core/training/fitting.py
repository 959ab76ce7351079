"""What every method of training has in common: its job, the checks before it, the looks on the way, and the adapter that comes of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from core.errors import NothingLearntError, TrainingError
from core.training import memory, processes, result, workplace
from core.training.progress import Watch
from core.training.recipe import Recipe

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CONFIG = "adapter_config.json"
_FIRST = "first.json"  # the held-out loss of the base, taken once


class Row(Protocol):
    """What is learnt from, as token ids."""

    @property
    def length(self) -> int:
        """How many tokens a step takes for it."""
        ...


@dataclass(frozen=True)
class Job:
    """What is trained, on what, and where."""

    base: str  # what the adapter says it belongs to
    recipe: Recipe
    dataset_sha256: str
    train: Sequence[Row]
    held_out: Sequence[Row]
    out: Path  # the folder of the adapter
    device: str = "cpu"
    start: Path | None = None  # the folder of an adapter to go on from; None: a new one
    processes: int = 1  # that share the rows of each step

    @property
    def work(self) -> Path:
        """The folder of checkpoints and logs."""
        return self.out.with_name(self.out.name + ".work")

    @property
    def steps(self) -> int:
        """How many times weights are changed."""
        at_once = self.recipe.batch * self.recipe.accumulation * self.processes
        return max(1, math.ceil(len(self.train) / at_once * self.recipe.epochs))

    @property
    def run(self) -> dict[str, str]:
        """What makes it this run and no other."""
        told = {"base": self.base, "recipe": str(self.recipe), "dataset": self.dataset_sha256}
        return told | ({"start": self.start.name} if self.start else {})


class Outcome(NamedTuple):
    """Held-out loss before and after, after how many steps it was reached, and what else was measured there, by name."""

    before: float
    after: float
    step: int
    figures: dict[str, float]


Build = Callable[[Job, Any, Any, list[Any]], Any]  # a trainer of a job, a model, a tokenizer and callbacks


def fit(job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, free_bytes: int, watch: Watch, build: Build) -> Outcome:
    """Train an adapter of `model` and write it to `job.out`; called again after a kill, go on from the last look. Blocks.

    Raises `TrainingError` when memory or disk will not do, when the loss is no number any more, or when the layers of the recipe are not
    there; what was learnt until then stays in `job.work`.
    """
    memory.require(model.config, job.recipe, [one.length for one in job.train], free_bytes)
    workplace.require_room(job.work, memory.checkpoint_bytes(model.config, job.recipe) * 3)
    if processes.is_first():
        workplace.claim(job.work, job.run)
    with result.kept(job.work):
        return _fitted(job, model, tokenizer, watch, build)


def continued(recipe: Recipe, start: Path) -> Recipe:
    """Return `recipe` with the shape of the adapter in `start`: one that is gone on from keeps its own."""
    told = json.loads((start / CONFIG).read_text(encoding="utf-8"))
    return replace(recipe, rank=told["r"], alpha=told["lora_alpha"], targets=tuple(sorted(told["target_modules"])))


def prepared(job: Job, model: PreTrainedModel) -> Any:
    """Return `model` as it is trained: frozen in the precision of the recipe, with the adapter that is gone on from, if there is one."""
    import torch
    from peft import PeftModel

    if isinstance(model, PeftModel):  # self-play has written with it already
        return model
    if job.recipe.precision == "bf16" and job.recipe.adapter != "full":
        model.to(torch.bfloat16)
    return PeftModel.from_pretrained(model, str(job.start), is_trainable=True) if job.start else model


def adapter_of(job: Job) -> Any:
    """Return what peft puts beside the layers, None where nothing is: an adapter is there already, or something else learns."""
    from peft import LoraConfig

    from core.training import adaptive

    recipe = job.recipe
    if job.start or recipe.adapter in ("full", "prefix"):
        return None
    if recipe.adapter == "adalora":
        if processes.shard():
            raise TrainingError('AdaLoRA needs whole matrices, and here each process holds a part of them. Train with adapter = "lora".')
        return adaptive.settings(recipe, job.steps)
    return LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=recipe.dropout, target_modules=list(recipe.targets), task_type="CAUSAL_LM"
    )


def arguments(job: Job) -> dict[str, Any]:
    """Return the arguments of every trainer of transformers."""
    from core.training.callbacks import services

    recipe, every = job.recipe, max(1, job.steps // job.recipe.looks)
    return {
        "output_dir": str(job.work),
        "per_device_train_batch_size": recipe.batch,
        "per_device_eval_batch_size": recipe.batch,
        "gradient_accumulation_steps": recipe.accumulation,
        "gradient_checkpointing": False,
        "learning_rate": recipe.learning_rate,
        "weight_decay": recipe.weight_decay,
        "lr_scheduler_type": "cosine",
        "warmup_steps": job.steps // 20,
        "max_steps": job.steps,
        "eval_strategy": "steps",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": services(),
        "disable_tqdm": True,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        # On a CPU a frozen base is bf16 throughout: autocast would turn each activation to and fro (24 s a step where this takes 13). What
        # is trained stays float32: at our learning rates most steps of AdamW are smaller than the last bit of bf16.
        "bf16": recipe.precision == "bf16" and (job.device == "cuda" or recipe.adapter == "full"),
        "use_cpu": job.device == "cpu",
        "max_length": None,
        "remove_unused_columns": False,
        "dataloader_pin_memory": job.device == "cuda",
    }


def _fitted(job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, watch: Watch, build: Build) -> Outcome:
    from transformers import EarlyStoppingCallback, PrinterCallback, set_seed

    from core.training.callbacks import Careful, Told, curves

    set_seed(job.recipe.seed)
    callbacks = [*_allocating(job), Careful(), EarlyStoppingCallback(job.recipe.patience), Told(watch, job.steps), *curves(job.work)]
    try:
        trainer = build(job, prepared(job, model), tokenizer, callbacks)
    except ValueError as error:  # peft's, of layers that are not there
        raise TrainingError(f"The recipe does not fit {job.base}: {error}") from error
    trainer.remove_callback(PrinterCallback)
    _refuse_other_rows(job)
    before = _first_look(job, trainer)
    with trainer.accelerator.main_process_first():  # half checkpoints are gone when the others look
        checkpoint = workplace.newest_checkpoint(job.work)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    after, step = trainer.state.best_metric, trainer.state.best_global_step
    if after is None or after >= before:
        raise NothingLearntError(
            f"Nothing was learnt: the held-out loss is {_told(after)}, it was {before:.3f}. Try another learning_rate, or more data."
        )
    result.write(trainer, job.base, job.recipe, job.work, job.out)
    return Outcome(before, after, step or job.steps, _best_look(trainer.state))


def _allocating(job: Job) -> list[Any]:
    from core.training.adaptive import Allocating

    return [Allocating()] if job.recipe.adapter == "adalora" else []


def _refuse_other_rows(job: Job) -> None:
    """Raise `TrainingError` unless every process has the same rows: each has built them by itself, and staff may approve meanwhile."""
    from accelerate.utils import gather_object

    if len(set(gather_object([f"{job.dataset_sha256} {job.recipe}"]))) > 1:
        raise TrainingError("The processes have different rows: the knowledge, or what staff approved, has just changed. Start again.")


def _first_look(job: Job, trainer: Any) -> float:
    """Return the held-out loss of the base: a new adapter changes nothing yet, but for a prefix, which steps aside."""
    file = job.work / _FIRST
    is_known = file.is_file()
    trainer.accelerator.wait_for_everyone()  # all of them look, or none
    model = trainer.accelerator.unwrap_model(trainer.model)
    with model.disable_adapter() if job.recipe.adapter == "prefix" else nullcontext():
        loss: float = json.loads(file.read_text(encoding="utf-8")) if is_known else trainer.evaluate()["eval_loss"]
    if processes.is_first():
        part = file.with_suffix(".part")
        part.write_text(json.dumps(loss), encoding="utf-8")
        part.replace(file)
    return loss


def _best_look(state: Any) -> dict[str, float]:
    """Return all that was measured on the held-out rows when they were answered best."""
    looks = [look for look in state.log_history if "eval_loss" in look and look["step"] == state.best_global_step]
    return {name.removeprefix("eval_"): float(value) for look in looks[:1] for name, value in look.items() if name.startswith("eval_")}


def _told(loss: float | None) -> str:
    return "not known" if loss is None else f"{loss:.3f}"
