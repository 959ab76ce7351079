"""What training leaves behind: the folder of an adapter, or of a whole model, that `frontdesk models import` takes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import TrainingError
from core.training import processes
from core.training.recipe import Recipe

if TYPE_CHECKING:
    import torch

WEIGHTS = "adapter_model.safetensors"
_MODEL = "config.json"
_TAKEN = (".safetensors", ".json", ".txt", ".model", ".jinja")  # what serving takes of a model; the rest is the trainer's own
_TORCH_WRITES = "inline_container"  # the part of torch that raises where a file cannot be written


@contextmanager
def kept(work: Path) -> Iterator[None]:
    """Raise `TrainingError` that says how to go on where the disk is full, or fails. Only what Python writes itself raises `OSError`."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and _TORCH_WRITES not in str(error):
            raise
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TrainingError(
            f"Training stopped: {said}. What was learnt until the last look is in {work}; the same command goes on."
        ) from error


def write(trainer: Any, base: str, recipe: Recipe, work: Path, out: Path) -> None:
    """Write what was learnt to `out` in one go; called by every process, as each may hold a part of the weights.

    Adapters are written in bf16, which halves them and changes no answer that we could measure; a whole model in the recipe's precision.
    """
    staging = work / "result"
    if processes.is_first():
        shutil.rmtree(staging, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(staging))
    if processes.is_first():
        if recipe.adapter == "full":
            _whole(staging, recipe)
        else:
            _adapter(staging, trainer.accelerator.unwrap_model(trainer.model).peft_config["default"], base, recipe)
        out.mkdir(parents=True, exist_ok=True)
        for path in sorted(path for path in staging.iterdir() if path.suffix in _TAKEN):
            path.replace(out / path.name)
    trainer.accelerator.wait_for_everyone()


def _adapter(folder: Path, config: Any, base: str, recipe: Recipe) -> None:
    """Leave an ordinary LoRA, or a prefix, and nothing else in a folder, whatever kind of adapter was trained."""
    from peft import LoraConfig
    from safetensors.torch import load_file

    tensors = load_file(folder / WEIGHTS)
    if recipe.adapter == "adalora":
        from core.training.adaptive import folded

        tensors, rank = folded(tensors, recipe.alpha)
        config = LoraConfig(r=rank, lora_alpha=rank, lora_dropout=recipe.dropout, task_type="CAUSAL_LM")
    if recipe.adapter != "prefix":
        config.target_modules = sorted(recipe.targets)
    config.base_model_name_or_path, config.inference_mode = base, True
    shutil.rmtree(folder)  # with the trainer's own files, and the adapter that was the reference
    folder.mkdir()
    config.save_pretrained(str(folder))
    _save(folder / WEIGHTS, tensors)


def _whole(folder: Path, recipe: Recipe) -> None:
    """Bring the weights of a model to the recipe's precision; they were trained in float32."""
    from safetensors.torch import load_file

    if recipe.precision != "bf16":
        return
    for path in folder.glob("*.safetensors"):
        _save(path, load_file(path))
    settings = json.loads((folder / _MODEL).read_text(encoding="utf-8")) | {"dtype": "bfloat16"}
    (folder / _MODEL).write_text(json.dumps(settings, indent=2), encoding="utf-8")


def _save(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write tensors in bf16."""
    import torch
    from safetensors.torch import save_file

    save_file({name: tensor.to(torch.bfloat16).contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"})
