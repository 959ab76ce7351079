"""Self-play: a model learns to tell the answers of staff from its own, and to write what staff would (Chen et al. 2024, "SPIN").

Each iteration the model as it is then writes an answer to every question; DPO's loss makes the right answers likelier and its own less
so, with that model as the reference. It ends when both are the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.domain import Limits
from core.errors import NothingLearntError, TrainingError
from core.training import fitting, preferences, workplace
from core.training.encoding import Encoded, EncodedPair
from core.training.fitting import CONFIG, Job, Outcome
from core.training.parts import FEWEST
from core.training.progress import Progress, Watch
from core.training.result import WEIGHTS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_PAIRS = "pairs.json"
_OUTCOME = "outcome.json"

Load = Callable[[], tuple["PreTrainedModel", "PreTrainedTokenizerBase"]]


def fit(job: Job, load: Load, free_bytes: Callable[[], int], watch: Watch) -> Outcome:
    """Play the iterations of a job whose rows are `Encoded`, and write the last adapter to `job.out`; a kill loses no iteration. Blocks.

    `load` opens the base anew. An iteration that learns nothing more is the end, and not a failure where one before it did learn.
    Raises `TrainingError`.
    """
    workplace.claim(job.work, job.run)
    outcome, adapter = None, job.start
    for number in range(1, job.recipe.iterations + 1):
        try:
            outcome = _iteration(replace(job, out=job.work / f"iteration-{number}", start=adapter), load, free_bytes, watch)
        except NothingLearntError:
            if outcome is None:
                raise
            break
        adapter = job.work / f"iteration-{number}"
    if outcome is None or adapter is None:
        raise TrainingError("Self-play needs one iteration at least.")
    _publish(adapter, job)
    return outcome


def own_answers(model: Any, tokenizer: Any, prompts: Sequence[list[int]], at_once: int, watch: Watch) -> list[list[int]]:
    """Return what a model writes to each prompt as in serving: greedily, up to the same limit, the token that ends it included."""
    import torch

    model.eval()
    written: list[list[int]] = []
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))  # of like length: less padding
    for start in range(0, len(order), at_once):
        batch = [prompts[place] for place in order[start : start + at_once]]
        padded = tokenizer.pad({"input_ids": batch}, padding_side="left", return_tensors="pt").to(model.device)
        with torch.inference_mode():
            grown = model.generate(
                **padded, max_new_tokens=Limits().max_tokens, do_sample=False, num_beams=1, repetition_penalty=1.0,
                temperature=None, top_p=None, top_k=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
        written += [_up_to(tokenizer.eos_token_id, row) for row in grown[:, padded["input_ids"].shape[1] :].tolist()]
        watch(Progress(len(written), len(prompts), what="Writing"))
    return [answer for _, answer in sorted(zip(order, written, strict=True))]


def _iteration(job: Job, load: Load, free_bytes: Callable[[], int], watch: Watch) -> Outcome:
    done = job.out / _OUTCOME
    if done.is_file():
        return Outcome(**json.loads(done.read_text(encoding="utf-8")))
    model, tokenizer = load()
    policy = fitting.prepared(job, model)
    train, held_out = _pairs(job, policy, tokenizer, watch)
    if len(train) < FEWEST or not held_out:
        raise NothingLearntError(
            f"Of {len(job.train)} answers to learn from and {len(job.held_out)} to judge by the model writes all but {len(train)} and "
            f"{len(held_out)} as they should be, word for word: self-play has nothing left to teach it."
        )
    outcome = preferences.fit(replace(job, train=train, held_out=held_out), policy, tokenizer, free_bytes(), watch)
    _keep(done, outcome._asdict())
    return outcome


def _pairs(job: Job, policy: Any, tokenizer: Any, watch: Watch) -> tuple[list[EncodedPair], list[EncodedPair]]:
    """Return the rows with what the model writes itself; it is written once, so that a run that goes on learns from the same."""
    rows: list[Any] = [*job.train, *job.held_out]
    file = job.work / _PAIRS
    if not file.is_file():
        job.work.mkdir(parents=True, exist_ok=True)
        at_once = job.recipe.batch * job.recipe.accumulation
        _keep(file, own_answers(policy, tokenizer, [row.prompt for row in rows], at_once, watch))
    written: list[list[int]] = json.loads(file.read_text(encoding="utf-8"))
    both = [_pair(row, own) for row, own in zip(rows, written, strict=True)]
    parts = both[: len(job.train)], both[len(job.train) :]
    return _that_differ(parts[0], job.recipe.max_length), _that_differ(parts[1], job.recipe.max_length)


def _pair(row: Encoded, own: list[int]) -> EncodedPair:
    return EncodedPair(row.prompt, row.answer, own)


def _that_differ(found: list[EncodedPair], max_length: int) -> list[EncodedPair]:
    return [one for one in found if one.chosen != one.rejected and len(one.prompt) + len(one.rejected) <= max_length]


def _up_to(end: int, tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens


def _publish(adapter: Path, job: Job) -> None:
    job.out.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, WEIGHTS):
        staged = job.work / name
        shutil.copyfile(adapter / name, staged)
        staged.replace(job.out / name)


def _keep(file: Path, told: Any) -> None:
    part = file.with_suffix(".part")
    part.write_text(json.dumps(told), encoding="utf-8")
    part.replace(file)
