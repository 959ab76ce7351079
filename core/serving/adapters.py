"""Whether an adapter is one, and of its base: what its settings say, and the shape of every matrix."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from core.errors import ModelError
from core.serving import prefix_tuning
from core.serving.inspection import ADAPTER_CONFIG, CONFIG, settings, tensors_of
from core.serving.tensors import Tensor

MAX_RANK = 256
_WEIGHTS = "adapter_model.safetensors"
_MATRIX = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
# Settings that change numbers, not what is loaded or run. What is in no list here must be empty: a later PEFT may give it a meaning.
_HARMLESS = {
    "base_model_name_or_path", "revision", "task_type", "peft_version", "peft_type", "inference_mode", "r", "lora_alpha", "lora_dropout",
    "fan_in_fan_out", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules", "layers_to_transform", "layers_pattern",
    "megatron_core", "qalora_group_size", "bias", "init_lora_weights",
}  # fmt: skip


class Base(NamedTuple):
    """The model that an adapter was trained on."""

    folder: Path
    names: Collection[str]  # what its adapters may call it; the first is shown


def check_adapter(folder: Path, base: Base) -> None:
    """Raise `ModelError` unless the folder holds an adapter of `base`, a LoRA or a prefix, and nothing else; it was inspected before."""
    if prefix_tuning.is_one(folder):
        _check_prefix(folder, base)
    else:
        _check_lora(folder, base)


def _check_prefix(folder: Path, base: Base) -> None:
    told = settings(folder, ADAPTER_CONFIG)
    _check_base(told, base)
    _refuse_other_weights(folder)
    prefix_tuning.check(told, tensors_of(folder), settings(base.folder, CONFIG))


def _check_lora(folder: Path, base: Base) -> None:
    told = _checked_settings(folder, base)
    _refuse_other_weights(folder)
    layers = {name.removesuffix(".weight"): tensor for name, tensor in tensors_of(base.folder).items() if name.endswith(".weight")}
    _check_targets(told["target_modules"], layers, next(iter(base.names)))
    _check_matrices(told, tensors_of(folder), layers)


def check_adapter_of_server(folder: Path, name: str) -> None:
    """Raise `ModelError` unless the folder holds a LoRA adapter of the model that servers call `name`; its shapes are for the server."""
    _checked_settings(folder, Base(folder, (name,)))
    _refuse_other_weights(folder)


def _refuse_other_weights(folder: Path) -> None:
    weights = sorted(path.name for path in folder.rglob("*.safetensors"))
    if weights != [_WEIGHTS]:
        raise ModelError(f"An adapter has one file of weights, {_WEIGHTS!r}; here are {', '.join(map(repr, weights))}.")


def _checked_settings(folder: Path, base: Base) -> Mapping[str, Any]:
    told = settings(folder, ADAPTER_CONFIG)
    _check_settings(told)
    _check_base(told, base)
    return told


def _check_settings(told: Mapping[str, Any]) -> None:
    if told.get("peft_type") != "LORA":
        taken = f"what is taken is 'LORA', and in this process {prefix_tuning.TYPE!r}"
        raise ModelError(f"{ADAPTER_CONFIG!r}: its kind is {told.get('peft_type')!r}; {taken}.")
    if told.get("modules_to_save"):
        raise ModelError(
            f"{ADAPTER_CONFIG!r}: 'modules_to_save' replaces whole parts of the base ({told['modules_to_save']!r}). Train without it."
        )
    if told.get("bias", "none") != "none":
        raise ModelError(f"{ADAPTER_CONFIG!r}: 'bias' is {told['bias']!r}; only 'none' is taken.")
    if told.get("init_lora_weights", True) not in (True, False, "gaussian"):
        raise ModelError(
            f"{ADAPTER_CONFIG!r}: 'init_lora_weights' {told['init_lora_weights']!r} would change the base. Convert the adapter."
        )
    if told.get("task_type") not in (None, "CAUSAL_LM", "FEATURE_EXTRACTION", "SEQ_CLS"):
        raise ModelError(f"{ADAPTER_CONFIG!r}: the task {told['task_type']!r} is none of ours.")
    if odd := [name for name, value in told.items() if value and name not in _HARMLESS]:
        raise ModelError(f"{ADAPTER_CONFIG!r}: {odd[0]!r} is set, and no adapter with it is taken. Train without it.")
    for rank in _ranks(told):
        if type(rank) is not int or not 1 <= rank <= MAX_RANK:
            raise ModelError(f"{ADAPTER_CONFIG!r}: a rank of {rank!r} is not between 1 and {MAX_RANK}. Train with a smaller one.")
    targets = told.get("target_modules")
    if not isinstance(targets, list) or not targets or not all(isinstance(target, str) and target for target in targets):
        raise ModelError(f"{ADAPTER_CONFIG!r}: 'target_modules' must be a list of names, not {targets!r}.")


def _ranks(told: Mapping[str, Any]) -> list[Any]:
    pattern = told.get("rank_pattern") or {}
    return [told.get("r"), *(pattern.values() if isinstance(pattern, dict) else [pattern])]


def _check_base(told: Mapping[str, Any], base: Base) -> None:
    named = told.get("base_model_name_or_path")
    # A folder whose name ends in the digits of its content is the same one wherever it lies: training may have run elsewhere.
    same_folder = isinstance(named, str) and "@" in named and PurePosixPath(named).name == base.folder.name
    if named not in base.names and not same_folder:
        raise ModelError(
            f"{ADAPTER_CONFIG!r} says that it belongs to {named!r}, not to {next(iter(base.names))!r}. Give its own model: --base ID"
        )


def _check_targets(targets: list[str], layers: Mapping[str, Tensor], base: str) -> None:
    for target in targets:
        if not any(layer == target or layer.endswith(f".{target}") for layer in layers):
            raise ModelError(f"{ADAPTER_CONFIG!r}: {base!r} has no module {target!r}. Give its own model: --base ID")


def _check_matrices(told: Mapping[str, Any], matrices: Mapping[str, Tensor], layers: Mapping[str, Tensor]) -> None:
    sides: dict[str, dict[str, Tensor]] = {}
    for name, tensor in matrices.items():
        found = _MATRIX.fullmatch(name)
        if found is None or not tensor.is_float:
            raise ModelError(f"{_WEIGHTS!r}: {name!r} is no matrix of a LoRA adapter.")
        sides.setdefault(found["module"], {})[found["side"]] = tensor
    for module, pair in sides.items():
        if not any(module == target or module.endswith(f".{target}") for target in told["target_modules"]):
            raise ModelError(f"{_WEIGHTS!r} changes {module!r}, which 'target_modules' of {ADAPTER_CONFIG!r} does not name.")
        _check_pair(module, pair, layers.get(module), told)


def _check_pair(module: str, pair: Mapping[str, Tensor], layer: Tensor | None, told: Mapping[str, Any]) -> None:
    if layer is None or len(layer.shape) != 2:
        raise ModelError(f"{_WEIGHTS!r} changes {module!r}, which is no matrix of its base.")
    if set(pair) != {"A", "B"}:
        raise ModelError(f"{_WEIGHTS!r}: {module!r} has one matrix of two.")
    out, into = reversed(layer.shape) if told.get("fan_in_fan_out") else layer.shape
    rank = pair["A"].shape[0] if pair["A"].shape else 0
    if (pair["A"].shape, pair["B"].shape) != ((rank, into), (out, rank)) or rank not in _ranks(told):
        raise ModelError(
            f"{_WEIGHTS!r}: the matrices of {module!r} have the shapes {list(pair['A'].shape)} and {list(pair['B'].shape)}, "
            f"which do not fit a base of {list(layer.shape)} with rank {told.get('r')}."
        )


def recorded_names(folder: Path) -> tuple[str, ...]:
    """Return what the settings of a base call it."""
    named = settings(folder, CONFIG).get("_name_or_path")
    return (named,) if isinstance(named, str) and named else ()
