"""Prefix tuning: learnt keys and values that stand in front of the first token, in every layer (Li & Liang 2021).

peft keeps them as one matrix of shape (virtual tokens, layers * 2 * heads * width), layer by layer, keys before values: as `Slots` keeps
tokens that were read. So a row of the batch begins with them as if they had been read before the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import ModelError
from core.serving.inspection import ADAPTER_CONFIG, settings
from core.serving.tensors import Tensor

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

TYPE = "PREFIX_TUNING"
MAX_TOKENS = 512
_WEIGHTS = "adapter_model.safetensors"
_MATRIX = "prompt_embeddings"
# Settings that say what is in the matrix. What is in no list must be empty: a later PEFT may give it a meaning.
_HARMLESS = {
    "base_model_name_or_path", "revision", "task_type", "peft_version", "peft_type", "inference_mode", "num_virtual_tokens", "token_dim",
    "num_transformer_submodules", "num_attention_heads", "num_layers", "encoder_hidden_size", "init_weights",
}  # fmt: skip


class Shape(NamedTuple):
    """What each layer of a model keeps of a token: keys and values of so many heads, each so wide."""

    layers: int
    heads: int
    width: int

    @property
    def numbers(self) -> int:
        """How many numbers that are, in all layers."""
        return self.layers * 2 * self.heads * self.width


def shape_of(config: Mapping[str, Any]) -> Shape:
    """Return what a model with these settings keeps. Raises `ModelError` where they do not say it."""
    config = config.get("text_config") or config  # of one that reads pictures too
    try:
        heads = config["num_attention_heads"]
        width = config.get("head_dim") or config["hidden_size"] // heads
        found = Shape(config["num_hidden_layers"], config.get("num_key_value_heads") or heads, width)
    except (KeyError, TypeError, ZeroDivisionError):
        found = Shape(0, 0, 0)
    if not all(type(one) is int and one > 0 for one in found):
        raise ModelError("Its base does not say how many numbers it keeps of a token, so it takes no prefix. Train a LoRA.")
    return found


def is_one(folder: Path) -> bool:
    """Tell whether an adapter is a prefix."""
    return (folder / ADAPTER_CONFIG).is_file() and bool(settings(folder, ADAPTER_CONFIG).get("peft_type") == TYPE)


def check(told: Mapping[str, Any], found: Mapping[str, Tensor], base: Mapping[str, Any]) -> None:
    """Raise `ModelError` unless an adapter with these settings and tensors is a prefix for a base with the settings `base`."""
    if odd := [name for name, value in told.items() if value and name not in _HARMLESS]:
        raise ModelError(f"{ADAPTER_CONFIG!r}: {odd[0]!r} is set, and no prefix with it is taken. Train without it.")
    count = told.get("num_virtual_tokens")
    if type(count) is not int or not 1 <= count <= MAX_TOKENS:
        raise ModelError(f"{ADAPTER_CONFIG!r}: 'num_virtual_tokens' is {count!r}; it must be between 1 and {MAX_TOKENS}.")
    if set(found) != {_MATRIX} or not found[_MATRIX].is_float:
        raise ModelError(f"{_WEIGHTS!r}: a prefix is one matrix of numbers, {_MATRIX!r}; here are {', '.join(map(repr, sorted(found)))}.")
    wanted = (count, shape_of(base).numbers)
    if found[_MATRIX].shape != wanted:
        raise ModelError(f"{_WEIGHTS!r}: the prefix has the shape {list(found[_MATRIX].shape)}, and its base takes {list(wanted)}.")


def read(folder: Path, model: PreTrainedModel) -> torch.Tensor:
    """Return a prefix as `Slots.write` takes it, shape (virtual tokens, everything). Raises `ModelError` when it is for another base."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        matrix = load_file(folder / _WEIGHTS).get(_MATRIX)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The prefix in {folder} cannot be read: {error}") from error
    wanted = shape_of(model.config.get_text_config().to_dict()).numbers
    if matrix is None or matrix.shape[1:] != (wanted,):
        raise ModelError(f"The prefix in {folder} cannot be put in front of its base, which keeps {wanted} numbers of a token.")
    if len({one.device for one in model.parameters()}) > 1:
        raise ModelError("A model that is spread over several GPUs takes no prefix here: train a LoRA, or serve it on one.")
    return matrix.to(model.device, model.dtype)


def cache(matrix: torch.Tensor, model: PreTrainedModel) -> Any:
    """Return a prefix as the cache of transformers in which a single row begins."""
    from transformers import DynamicCache

    layers, heads, width = shape_of(model.config.get_text_config().to_dict())
    kept = DynamicCache()
    for number, (keys, values) in enumerate(matrix.view(len(matrix), layers, 2, heads, width).permute(1, 2, 3, 0, 4)):
        kept.update(keys[None], values[None], number)
    return kept
