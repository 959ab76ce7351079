"""Preference training of a LoRA adapter with trl and peft: DPO on pairs, KTO on answers that were liked or disliked.

The reference is what the model was before: the base with its adapter switched off or, where one is gone on from, a frozen copy of that
adapter. Either way there is one base in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import TrainingError
from core.training import fitting, pairs
from core.training.fitting import Job, Outcome
from core.training.progress import Watch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_FEWEST_AT_ONCE = 2  # KTO judges a batch against its own answers put to one another's questions


def fit(job: Job, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, free_bytes: int, watch: Watch) -> Outcome:
    """Teach `model` what is preferred: KTO where the recipe says so (rows `EncodedJudgement`), else DPO (rows `EncodedPair`).

    The outcome's figure `margin` says by how much, in nats, what is preferred became likelier than what is not. See `fitting.fit`.
    """
    build = _dpo
    if job.recipe.method == "kto":
        _refuse_incomparable(job)
        build = _kto
    outcome = fitting.fit(job, model, tokenizer, free_bytes, watch, build)
    rewards = (outcome.figures.get(f"rewards/{side}", 0.0) / job.recipe.beta for side in ("chosen", "rejected"))
    chosen, rejected = rewards
    return outcome._replace(figures={"margin": chosen - rejected})


def _refuse_incomparable(job: Job) -> None:
    if job.recipe.batch < _FEWEST_AT_ONCE:
        raise TrainingError("KTO compares the answers of a batch with one another. Set batch = 2 or more in the recipe.")
    for rows in _parts(job):
        if len({row.liked for row in rows}) == 1:
            side = "👍" if rows[0].liked else "👎"
            raise TrainingError(f"Of at most {job.recipe.max_length} tokens are only answers that got {side}. Set a larger max_length.")


def _dpo(job: Job, model: Any, tokenizer: PreTrainedTokenizerBase, callbacks: list[Any]) -> Any:
    """Rafailov et al. 2023, "Direct Preference Optimization", equation 7."""
    from trl import DPOConfig, DPOTrainer

    columns = [[{"prompt_ids": one.prompt, "chosen_ids": one.chosen, "rejected_ids": one.rejected} for one in part] for part in _parts(job)]
    return _trainer(DPOTrainer, DPOConfig(**fitting.arguments(job), beta=job.recipe.beta), columns, job, model, tokenizer, callbacks)


def _kto(job: Job, model: Any, tokenizer: PreTrainedTokenizerBase, callbacks: list[Any]) -> Any:
    """Ethayarajh et al. 2024, "KTO: Model Alignment as Prospect Theoretic Optimization", equations 7 and 8."""
    from trl import KTOConfig, KTOTrainer

    liked = sum(one.liked for one in _parts(job)[0])
    counts, counts_not = pairs.weights(liked, len(job.train) - liked)
    config = KTOConfig(**fitting.arguments(job), beta=job.recipe.beta, desirable_weight=counts, undesirable_weight=counts_not)
    columns = [_judged(_spread(part)) for part in _parts(job)]
    return _trainer(KTOTrainer, config, columns, job, model, tokenizer, callbacks)


def _trainer(
    kind: Any, config: Any, columns: list[list[Any]], job: Job, model: Any, tokenizer: PreTrainedTokenizerBase, callbacks: list[Any]
) -> Any:
    from datasets import Dataset

    # trl would put the text through the chat template itself; our rows are token ids already, as serving makes them.
    ready = type(kind.__name__, (kind,), {"_prepare_dataset": lambda _self, dataset, *_: dataset})
    train, held_out = map(Dataset.from_list, columns)
    return ready(
        model=model,
        args=config,
        train_dataset=train,
        eval_dataset=held_out,
        processing_class=tokenizer,
        peft_config=fitting.adapter_of(job),
        callbacks=callbacks,
    )


def _parts(job: Job) -> tuple[list[Any], list[Any]]:
    return list(job.train), list(job.held_out)


def _spread(rows: list[Any]) -> list[Any]:
    """Return the rows as they stand in batches, for trl keeps their order: both kinds evenly spread."""
    places: list[tuple[float, Any]] = []
    for side in (True, False):
        those = [row for row in rows if row.liked is side]
        places += [((number + 0.5) / len(those), row) for number, row in enumerate(those)]
    return [row for _, row in sorted(places, key=lambda pair: pair[0])]


def _judged(rows: list[Any]) -> list[dict[str, Any]]:
    """Return the columns, each row with the answer before it too: how likely answers are to other questions is what KTO judges by."""
    before = [rows[-1], *rows[:-1]]
    return [
        {"prompt_ids": row.prompt, "completion_ids": row.answer, "KL_completion_ids": other.answer, "label": row.liked}
        for row, other in zip(rows, before, strict=True)
    ]
