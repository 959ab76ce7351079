"""AdaLoRA: ranks go to the layers that need them while a model learns, and what is left at the end is an ordinary LoRA.

Zhang et al. 2023, "Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning": an adapter is B diag(E) A, and entries of E of little
importance become zero until the budget is kept.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from core.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from peft import AdaLoraConfig
    from transformers import TrainerControl, TrainerState, TrainingArguments

_SMALLEST = 1e-5  # what peft adds to the rank by which it divides
_MATRIX = re.compile(r"(?P<module>.+)\.lora_(?P<side>[ABE])")


def settings(recipe: Recipe, steps: int) -> AdaLoraConfig:
    """Return what peft needs to know: a tenth of the steps with all ranks, the last third with those that are left."""
    from peft import AdaLoraConfig

    return AdaLoraConfig(
        target_r=recipe.rank,
        init_r=recipe.first_rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(recipe.targets),
        task_type="CAUSAL_LM",
        total_step=steps,
        tinit=steps // 10,
        tfinal=steps // 3,
        deltaT=max(1, steps // 100),
    )


class Allocating(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Takes ranks away after each step, and keeps A and B near to orthogonal, which makes E say how much each of them matters.

    What is left is not kept in peft's configuration: a checkpoint would be cut to it and not fit the moments of AdamW, nor a checkpoint of
    another step. How important the ranks were is counted anew after a kill; it fades within ten steps anyway.
    """

    def __init__(self) -> None:
        self._left: dict[str, list[bool]] | None = None

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kept: Any) -> None:
        """Find out what was left where a run goes on: AdamW moves the entries that are zero as soon as it makes a step."""
        self._left = self._left or _living(_peft(kept["model"]))

    def on_pre_optimizer_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kept: Any) -> None:
        """Add the gradient of the penalty: trl's loss is not the one to which peft adds it, and a held-out loss must not contain it."""
        model = _peft(kept["model"])
        (model.peft_config["default"].orth_reg_weight * _crookedness(model)).backward()

    def on_optimizer_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kept: Any) -> None:
        """See `TrainerCallback`; gradients are still there."""
        model = _peft(kept["model"])
        config = model.peft_config["default"]
        config.rank_pattern = self._left
        model.base_model.update_and_allocate(state.global_step)
        self._left, config.rank_pattern = config.rank_pattern, None


def _peft(model: Any) -> Any:
    return getattr(model, "module", model)  # as wrapped by several processes


def _living(model: Any) -> dict[str, list[bool]]:
    """Return which entries of E are not zero. In the beginning all are, but nothing is asked of them before the first are taken away."""
    return {name: (one != 0).view(-1).tolist() for name, one in model.base_model.model.named_parameters() if ".lora_E." in name}


def _crookedness(model: Any) -> torch.Tensor:
    """Return how far the rows of every A and the columns of every B are from being orthonormal (Frobenius norm, the mean of all)."""
    import torch

    found = []
    for name, matrix in model.named_parameters():
        if ".lora_A." in name or ".lora_B." in name:
            products = matrix @ matrix.T if ".lora_A." in name else matrix.T @ matrix
            found.append(torch.norm(products - torch.eye(len(products), device=products.device, dtype=products.dtype)))
    return torch.stack(found).mean()


def folded(tensors: dict[str, torch.Tensor], alpha: int) -> tuple[dict[str, torch.Tensor], int]:
    """Return the matrices of a LoRA that computes the same when its alpha is its rank, and that rank.

    E and the scale go into A; what E has made zero goes away. Layers that have less left than the widest are filled up with zeros: not
    every server knows ranks that differ by layer.
    """
    layers: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if found := _MATRIX.fullmatch(name):
            layers.setdefault(found["module"], {})[found["side"]] = tensor.detach().float()
    living = {module: sides["E"].view(-1) != 0 for module, sides in layers.items()}
    rank = max(1, *(int(one.sum()) for one in living.values()))
    made = {}
    for module, sides in layers.items():
        scale = alpha / (len(sides["E"]) + _SMALLEST)
        a, b = (sides["A"] * sides["E"] * scale)[living[module]], sides["B"][:, living[module]]
        made[f"{module}.lora_A.weight"], made[f"{module}.lora_B.weight"] = _filled(a, rank, 0), _filled(b, rank, 1)
    return made, rank


def _filled(matrix: torch.Tensor, rank: int, axis: int) -> torch.Tensor:
    """Return a matrix with zeros behind it along an axis, up to a rank."""
    import torch

    missing = [rank - size if axis == place else size for place, size in enumerate(matrix.shape)]
    return torch.cat([matrix, matrix.new_zeros(missing)], dim=axis)
