"""Whether memory will do, before a minute is spent: what a step of training takes, from the shape of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.errors import TrainingError
from core.training.recipe import Recipe

# Kept for the way back, for each token and layer, in multiples of the width of the model: what attention and the feed-forward part
# read and wrote (Korthikanti et al. 2022, "Reducing activation recomputation", count 34 bytes at 2 bytes a number), with LoRA's beside.
_KEPT_WIDTHS = 40
_WORK_BYTES = 512 << 20  # libraries, the held-out look, what the allocator does not give back
_TRAINED_BYTES = 16  # of a trained number: itself, its gradient and AdamW's two, 4 bytes each


def require(config: Any, recipe: Recipe, lengths: Sequence[int], free: int) -> None:
    """Raise `TrainingError` unless a step fits into `free` bytes besides the weights, with the recipe that would fit."""
    needed = _step_bytes(config, recipe.batch, recipe, max(lengths, default=0))
    if needed <= free:
        return
    told = f"A step of training needs {needed / 2**30:.1f} GiB besides the model, {free / 2**30:.1f} GiB are free."
    for batch in range(recipe.batch - 1, 0, -1):
        if _step_bytes(config, batch, recipe, max(lengths)) <= free:
            accumulation = -(-recipe.batch * recipe.accumulation // batch)
            raise TrainingError(f"{told} This recipe learns the same and fits: batch = {batch}, accumulation = {accumulation}")
    if recipe.adapter == "full" and _step_bytes(config, 1, replace(recipe, adapter="lora"), max(lengths)) <= free:
        raise TrainingError(f'{told} An adapter fits: adapter = "lora", batch = 1')
    raise TrainingError(f"{told} Free some, set a smaller max_length (now {recipe.max_length}), or train a smaller model: --base MODEL")


def checkpoint_bytes(config: Any, recipe: Recipe) -> int:
    """Return about how many bytes a checkpoint takes: the trained numbers and AdamW's two for each."""
    return _trained(config, recipe) * 12 + (16 << 20)


def _step_bytes(config: Any, batch: int, recipe: Recipe, length: int) -> int:
    size = 2 if recipe.precision == "bf16" else 4
    kept = config.num_hidden_layers * batch * length * config.hidden_size * _KEPT_WIDTHS * size // 2
    return int(kept + _trained(config, recipe) * _TRAINED_BYTES + _WORK_BYTES)


def _trained(config: Any, recipe: Recipe) -> int:
    """Return how many numbers learn at most: all of a model, a prefix, or two matrices beside each target, the widest taken for all."""
    if recipe.adapter == "full":
        return _all(config)
    if recipe.adapter == "prefix":
        return int(config.num_hidden_layers * 2 * config.hidden_size * recipe.virtual_tokens)
    wide = config.hidden_size + max(config.hidden_size, _inner(config))
    return int(config.num_hidden_layers * len(recipe.targets) * recipe.first_rank * wide)


def _all(config: Any) -> int:
    """Return about how many numbers a model has: attention and the feed-forward part of each layer, and both embeddings of its words."""
    layer = 4 * config.hidden_size**2 + 3 * config.hidden_size * _inner(config)
    words = config.vocab_size * config.hidden_size * (1 if getattr(config, "tie_word_embeddings", False) else 2)
    return int(config.num_hidden_layers * layer + words)


def _inner(config: Any) -> int:
    return int(getattr(config, "intermediate_size", None) or 4 * config.hidden_size)
