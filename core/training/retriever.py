"""Contrastive tuning of an embedding model on the wordings of each passage, with sentence-transformers; the best of several looks."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import NothingLearntError, TrainingError
from core.training import result, seating, workplace
from core.training.finding import FOUND_FIRST, JUDGED, Found, found, judge
from core.training.progress import Watch
from core.training.retriever_recipe import RetrieverRecipe
from core.training.wordings import Pair, Topic, Wordings, answers_alike

_FIRST = "first.json"  # how the base finds what is held out, taken once
_OF_A_TOPIC = 8  # texts whose mean tells where a topic lies
_TRAINED_BYTES = 20  # of a number: itself, as it was, its gradient and AdamW's two, 4 bytes each
_KEPT_BYTES = 160  # for each token, layer and number of its width: what the way back needs, in float32 (40 numbers)
_WORK_BYTES = 512 << 20


@dataclass(frozen=True)
class Job:
    """What is tuned, on what, and where."""

    base: str  # the version that is tuned
    recipe: RetrieverRecipe
    wordings: Wordings
    out: Path  # the folder of the model
    device: str = "cpu"
    bf16: bool = False  # for the arithmetic, where the processor is made for it: 1.9 s a step of banking77, not 3.2; weights are float32

    @property
    def work(self) -> Path:
        """The folder of checkpoints and logs."""
        return self.out.with_name(self.out.name + ".work")

    @cached_property
    def dataset_sha256(self) -> str:
        """The hash of what is learnt and judged by."""
        return self.wordings.sha256


class Outcome(NamedTuple):
    """How held-out wordings were found before and after, and after how many steps."""

    before: Found
    after: Found
    step: int


class _Plan(NamedTuple):
    """All pairs of a run, and which of them go together, step by step."""

    pairs: list[Pair]
    batches: list[list[int]]


def fit(job: Job, folder: Path, free_bytes: int, watch: Watch) -> Outcome:
    """Tune the model in `folder` and write it to `job.out`; called again after a kill, go on from the last look. Blocks.

    Raises `TrainingError` when memory or disk will not do, when the loss is no number any more, or when nothing was gained; what was
    learnt until then stays in `job.work`.
    """
    from transformers import set_seed

    set_seed(job.recipe.seed)
    model = _opened(folder, job)
    plan = _plan(job, model)
    _require_memory(model, plan, job.recipe, free_bytes)
    workplace.require_room(job.work, _numbers(model) * 12 * 3)
    workplace.claim(job.work, {"base": job.base, "recipe": str(job.recipe), "dataset": job.dataset_sha256})
    with result.kept(job.work):
        return _fitted(job, model, plan, watch)


def _opened(folder: Path, job: Job) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        model = SentenceTransformer(str(folder), device=job.device, local_files_only=True)
    except (OSError, ValueError) as error:
        raise TrainingError(f"The embedder in {folder} cannot be opened: {error}") from error
    if model.transformers_model is None:
        raise TrainingError(f"{job.base} is no transformer, so it cannot be tuned here. Set another embedder: FRONTDESK_EMBEDDER=ORG/NAME")
    if too_long := [size for size in job.recipe.matryoshka if size > model.get_embedding_dimension()]:
        raise TrainingError(f"The recipe's matryoshka names {too_long[0]}; a vector of {job.base} has {model.get_embedding_dimension()}.")
    return model


def _fitted(job: Job, model: Any, plan: _Plan, watch: Watch) -> Outcome:
    reads, model.max_seq_length = model.max_seq_length, min(job.recipe.max_length, model.max_seq_length or job.recipe.max_length)
    trainer = _trainer(job, model, plan, watch)
    before = _first_look(job, trainer)
    if before.mrr_at_10 == 1:
        raise NothingLearntError("There is nothing to gain: every held-out wording finds its passage first already.")
    base = {name: weight.clone() for name, weight in model.state_dict().items()}
    checkpoint = workplace.newest_checkpoint(job.work)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    _mix(model, base, job.recipe.mix)
    after = found(trainer.evaluate())
    if after.mrr_at_10 <= before.mrr_at_10:
        raise NothingLearntError(
            f"Nothing was gained: held-out wordings have an MRR@10 of {after.mrr_at_10:.3f}, it was {before.mrr_at_10:.3f}. "
            "Try a smaller learning_rate, or give the FAQ rows more alternatives."
        )
    model.max_seq_length = reads
    _write(job, model)
    return Outcome(before, after, trainer.state.best_global_step or len(plan.batches))


def _mix(model: Any, base: Mapping[str, Any], share: float) -> None:
    """Average the weights with the base's, `share` of what was tuned (Xiao et al. 2023, "LM-Cocktail"; Wortsman et al. 2022, "WiSE-FT")."""
    for name, weight in model.state_dict().items():
        if weight.is_floating_point():
            weight.lerp_(base[name], 1 - share)


def _plan(job: Job, model: Any) -> _Plan:
    """Return the pairs and batches of every pass; in each pass a wording has another partner."""
    near, alike = _neighbours(job.wordings.topics, model, job.recipe.batch), answers_alike(job.wordings.topics)
    pairs: list[Pair] = []
    batches: list[list[int]] = []
    for number in range(math.ceil(job.recipe.epochs)):
        these = job.wordings.pairs(job.recipe.seed + number)
        seated = seating.batches([pair.topic for pair in these], alike, near, job.recipe.batch, job.recipe.seed + number)
        share = min(1.0, job.recipe.epochs - number)
        batches += [[len(pairs) + position for position in batch] for batch in seated[: math.ceil(share * len(seated))]]
        pairs += these
    if not batches:
        raise TrainingError("No two wordings lead to different answers, so there is nothing to tell apart. Import more FAQ rows.")
    return _Plan(pairs, batches)


def _neighbours(topics: Sequence[Topic], model: Any, count: int) -> list[list[int]]:
    """Return for each topic those that the model confuses with it most easily: what staff said it did, then the nearest."""
    import numpy as np
    from sentence_transformers.util import semantic_search

    said = [[*topic.questions, topic.answer][:_OF_A_TOPIC] for topic in topics]
    vectors = model.encode([text for texts in said for text in texts], normalize_embeddings=True, show_progress_bar=False)
    starts = np.cumsum([0, *map(len, said)])[:-1]
    nearest = semantic_search(*[np.add.reduceat(vectors, starts).astype(np.float32)] * 2, top_k=count + 1)
    numbers = {topic.name: number for number, topic in enumerate(topics)}
    confused = [[numbers[name] for name in sorted(topic.confused) if name in numbers] for topic in topics]
    near = [[int(hit["corpus_id"]) for hit in hits] for hits in nearest]
    return [
        list(dict.fromkeys(one for one in [*first, *others] if one != number))
        for number, (first, others) in enumerate(zip(confused, near, strict=True))
    ]


def _trainer(job: Job, model: Any, plan: _Plan, watch: Watch) -> Any:
    from datasets import Dataset
    from transformers import EarlyStoppingCallback, PrinterCallback

    from core.training.callbacks import Careful, Told, curves
    from core.training.contrast import SeatedTrainer

    columns = {"anchor": [pair.anchor for pair in plan.pairs], "positive": [pair.positive for pair in plan.pairs]}
    told = Told(watch, len(plan.batches), FOUND_FIRST)
    trainer = SeatedTrainer(
        plan.batches,
        model=model,
        args=_arguments(job, len(plan.batches)),
        train_dataset=Dataset.from_dict(columns),
        loss=_loss(job, model),
        evaluator=judge(job.wordings),
        callbacks=[Careful(), EarlyStoppingCallback(job.recipe.patience), told, *curves(job.work)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _loss(job: Job, model: Any) -> Any:
    """Every text of a batch is told from all others but its partner, both ways (Li et al. 2023, "GTE", eq. 3)."""
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss

    from core.training.contrast import PackedRankingLoss

    directions = ("query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc")
    loss = PackedRankingLoss(model, scale=job.recipe.scale, directions=directions)
    return MatryoshkaLoss(model, loss, list(job.recipe.matryoshka)) if job.recipe.matryoshka else loss


def _arguments(job: Job, steps: int) -> Any:
    from sentence_transformers import SentenceTransformerTrainingArguments

    from core.training.callbacks import services

    recipe, every = job.recipe, max(1, steps // job.recipe.looks)
    return SentenceTransformerTrainingArguments(
        output_dir=str(job.work),
        per_device_train_batch_size=recipe.batch,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        lr_scheduler_type="cosine",
        warmup_steps=int(recipe.warmup * steps),
        max_steps=steps,
        eval_strategy="steps",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model=JUDGED,
        greater_is_better=True,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to=services(),
        disable_tqdm=True,
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=job.device == "cpu",
        bf16=job.bf16,
        dataloader_pin_memory=job.device == "cuda",
    )


def _first_look(job: Job, trainer: Any) -> Found:
    """Return how the base finds what is held out."""
    file = job.work / _FIRST
    if not file.is_file():
        part = file.with_suffix(".part")
        part.write_text(json.dumps(found(trainer.evaluate())), encoding="utf-8")
        part.replace(file)
    return Found(*json.loads(file.read_text(encoding="utf-8")))


def _write(job: Job, model: Any) -> None:
    """Write the model, file by file as a whole."""
    staging = job.work / "model"
    shutil.rmtree(staging, ignore_errors=True)
    model.save_pretrained(str(staging), create_model_card=False)
    for path in sorted(path for path in staging.rglob("*") if path.is_file()):
        target = job.out / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


def _numbers(model: Any) -> int:
    return sum(weight.numel() for weight in model.parameters())


def _require_memory(model: Any, plan: _Plan, recipe: RetrieverRecipe, free: int) -> None:
    """Raise `TrainingError` unless the largest step fits into `free` bytes besides the weights, with the batch that would fit."""
    config = model.transformers_model.config
    each = config.num_hidden_layers * config.hidden_size * _KEPT_BYTES
    fixed = _numbers(model) * _TRAINED_BYTES + _WORK_BYTES
    tokens = max(sum(_tokens(plan.pairs[position], recipe.max_length) for position in batch) for batch in plan.batches)
    if fixed + tokens * each <= free:
        return
    told = f"A step of training needs {(fixed + tokens * each) / 2**30:.1f} GiB besides the model, {free / 2**30:.1f} GiB are free."
    batch = int(recipe.batch * (free - fixed) / (tokens * each))
    raise TrainingError(f"{told} {f'This fits: batch = {batch}' if batch >= 2 else 'Free some, or tune a smaller model.'}")


def _tokens(pair: Pair, most: int) -> int:
    """About how many tokens a pair has: four letters are one, as in English."""
    return sum(min(most, len(text) // 4 + 2) for text in (pair.anchor, pair.positive))
