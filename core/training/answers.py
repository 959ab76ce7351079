"""Supervised fine-tuning on answers, with trl and peft: AdamW, loss on the answer only, the best of several looks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.training import fitting, packs, prefix
from core.training.fitting import Job, Outcome
from core.training.progress import Watch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def fit(job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, free_bytes: int, watch: Watch) -> Outcome:
    """Teach `model` the answers of a job whose rows are `Encoded`; see `fitting.fit`."""
    if job.recipe.packing:
        packs.refuse_mixing(model)
        job = replace(job, train=packs.packed(job.train, job.recipe.max_length))
    return fitting.fit(job, model, tokenizer, free_bytes, watch, _trainer)


def _trainer(job: Job, model: Any, tokenizer: PreTrainedTokenizerBase, callbacks: list[Any]) -> Any:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    if job.recipe.adapter == "prefix":
        model = prefix.put_before(model, tokenizer, job.recipe)
    own = {"train_sampling_strategy": "group_by_length", "dataset_kwargs": {"skip_prepare_dataset": True}, "packing": job.recipe.packing}
    return SFTTrainer(
        model=model,
        args=SFTConfig(**fitting.arguments(job), **own),
        train_dataset=Dataset.from_list([packs.columns(one) for one in job.train]),
        eval_dataset=Dataset.from_list([packs.columns(one) for one in job.held_out]),
        processing_class=tokenizer,
        peft_config=fitting.adapter_of(job),
        callbacks=callbacks,
    )
