"""Supervised fine-tuning on answers, with trl and peft: AdamW, loss on the answer only, the best of several looks."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import TrainingError
from core.training import memory, packs, processes, result, workplace
from core.training.encoding import Encoded
from core.training.progress import Watch
from core.training.recipe import Recipe

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_FIRST = "first.json"  # the held-out loss of the base, taken once


@dataclass(frozen=True)
class Job:
    """What is trained, on what, and where."""

    base: str  # what an adapter says it belongs to
    recipe: Recipe
    dataset_sha256: str
    train: list[Encoded]
    held_out: list[Encoded]
    out: Path  # the folder of the result
    device: str = "cpu"
    processes: int = 1  # that share the rows of each step

    @property
    def work(self) -> Path:
        """The folder of checkpoints and logs."""
        return self.out.with_name(self.out.name + ".work")

    @cached_property
    def rows(self) -> Any:
        """What is learnt from, as trl reads it."""
        from datasets import Dataset

        rows = Dataset.from_list([_columns(one) for one in self.train])
        return packs.packed(rows, self.recipe.max_length) if self.recipe.packing else rows

    @property
    def steps(self) -> int:
        """How many times weights are changed."""
        at_once = self.recipe.batch * self.recipe.accumulation * self.processes
        return max(1, math.ceil(len(self.rows) / at_once * self.recipe.epochs))


class Outcome(NamedTuple):
    """Held-out loss in nats per answer token, and after how many steps it was reached."""

    before: float
    after: float
    step: int


def fit(job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, free_bytes: int, watch: Watch) -> Outcome:
    """Train a model, or an adapter of it, and write that to `job.out`; called again after a kill, go on from the last look. Blocks.

    Raises `TrainingError` when memory or disk will not do, when the loss is no number any more, or when the layers of the recipe are not
    there; what was learnt until then stays in `job.work`.
    """
    recipe = job.recipe
    memory.require(model.config, recipe, [len(row["input_ids"]) for row in job.rows], free_bytes)
    workplace.require_room(job.work, memory.checkpoint_bytes(model.config, recipe) * 3)
    if processes.is_first():
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
    if job.recipe.precision == "bf16" and job.recipe.adapter != "full":
        model.to(torch.bfloat16)
    if job.recipe.packing:
        packs.refuse_mixing(model)
    trainer = _trainer(job, model, tokenizer, watch)
    _refuse_other_rows(job)
    before = _first_look(job, trainer)
    with trainer.accelerator.main_process_first():  # half checkpoints are gone when the others look
        checkpoint = workplace.newest_checkpoint(job.work)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    after, step = trainer.state.best_metric, trainer.state.best_global_step
    if after is None or after >= before:
        raise TrainingError(
            f"Nothing was learnt: the held-out loss is {_told(after)} nats a token, it was {before:.3f}. "
            "Try another learning_rate, or more data."
        )
    result.write(trainer, job.base, job.recipe, job.work, job.out)
    return Outcome(before, after, step or job.steps)


def _trainer(job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, watch: Watch) -> Any:
    from datasets import Dataset
    from transformers import EarlyStoppingCallback, PrinterCallback
    from trl import SFTTrainer

    from core.training.callbacks import Careful, Told

    try:
        trainer = SFTTrainer(
            model=model,
            args=_arguments(job),
            train_dataset=job.rows,
            eval_dataset=Dataset.from_list([_columns(one) for one in job.held_out]),
            processing_class=tokenizer,
            peft_config=_adapter(job),
            callbacks=[*_methods(job), Careful(), EarlyStoppingCallback(job.recipe.patience), Told(watch, job.steps), *_curves(job.work)],
        )
        trainer.remove_callback(PrinterCallback)
    except ValueError as error:  # peft's, of layers that are not there
        raise TrainingError(f"The recipe does not fit {job.base}: {error}") from error
    return trainer


def _adapter(job: Job) -> Any:
    """Return what peft puts beside the layers, None where the layers themselves learn."""
    from peft import LoraConfig

    from core.training import adaptive

    recipe = job.recipe
    if recipe.adapter == "full":
        return None
    if recipe.adapter == "adalora":
        if processes.shard():
            raise TrainingError('AdaLoRA needs whole matrices, and here each process holds a part of them. Train with adapter = "lora".')
        return adaptive.settings(recipe, job.steps)
    return LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=recipe.dropout, target_modules=list(recipe.targets), task_type="CAUSAL_LM"
    )


def _methods(job: Job) -> list[Any]:
    from core.training.adaptive import Allocating

    return [Allocating()] if job.recipe.adapter == "adalora" else []


def _curves(work: Path) -> list[Any]:
    """Return what keeps the curves for TensorBoard, beside the checkpoints; left to itself it writes where the process runs."""
    if find_spec("tensorboard") is None or not processes.is_first():
        return []
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    return [TensorBoardCallback(SummaryWriter(str(work / "tensorboard")))]


def _services() -> list[str]:
    """Return where curves go beside TensorBoard: to Weights & Biases where it is installed and its own variables ask for it.

    Installed is not enough: it would send losses and the recipe to its servers unasked.
    """
    asked = any(os.environ.get(name) for name in ("WANDB_PROJECT", "WANDB_API_KEY"))
    return ["wandb"] if asked and find_spec("wandb") is not None else []


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
        report_to=_services(),
        disable_tqdm=True,
        seed=recipe.seed,
        data_seed=recipe.seed,
        # On a CPU a frozen base is bf16 throughout: autocast would turn each activation to and fro (24 s a step where this takes 13). What
        # is trained stays float32: at our learning rates most steps of AdamW are smaller than the last bit of bf16.
        bf16=recipe.precision == "bf16" and (job.device == "cuda" or recipe.adapter == "full"),
        use_cpu=job.device == "cpu",
        train_sampling_strategy="group_by_length",
        packing=recipe.packing,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        dataloader_pin_memory=job.device == "cuda",
    )


def _refuse_other_rows(job: Job) -> None:
    """Raise `TrainingError` unless every process has the same rows: each has built them by itself, and staff may approve meanwhile."""
    from accelerate.utils import gather_object

    if len(set(gather_object([f"{job.dataset_sha256} {job.recipe}"]))) > 1:
        raise TrainingError("The processes have different rows: the knowledge, or what staff approved, has just changed. Start again.")


def _first_look(job: Job, trainer: Any) -> float:
    """Return the held-out loss of the base: a new adapter changes nothing yet."""
    file = job.work / _FIRST
    is_known = file.is_file()
    trainer.accelerator.wait_for_everyone()  # all of them look, or none
    loss: float = json.loads(file.read_text(encoding="utf-8")) if is_known else trainer.evaluate()["eval_loss"]
    if processes.is_first():
        part = file.with_suffix(".part")
        part.write_text(json.dumps(loss), encoding="utf-8")
        part.replace(file)
    return loss


def _told(loss: float | None) -> str:
    return "not known" if loss is None else f"{loss:.3f}"
