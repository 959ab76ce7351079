"""What looks over a trainer's shoulder: stops it when the loss is no number any more, and tells how far it is."""

from __future__ import annotations

import math
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from core.errors import TrainingError
from core.training import processes
from core.training.progress import Progress, Watch

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments


class Careful(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Stops before a step that would spoil the weights: a gradient that is no number spreads over all of them."""

    def on_pre_optimizer_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kept: Any) -> None:
        """See `TrainerCallback`."""
        import torch

        gradients = [one.grad for one in kept["model"].parameters() if one.grad is not None]
        if not all(bool(torch.isfinite(one).all()) for one in gradients):
            raise _diverged(state, str(args.output_dir))

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any], **kept: Any) -> None:
        """See `TrainerCallback`."""
        if not all(math.isfinite(logs[name]) for name in ("loss", "eval_loss") if name in logs):
            raise _diverged(state, str(args.output_dir))


class Told(TrainerCallback):  # type: ignore[misc]
    """Tells each step and each look."""

    def __init__(self, watch: Watch, steps: int, held_out: str = "eval_loss") -> None:
        """`held_out` names what is looked at."""
        self._watch = watch
        self._steps = steps
        self._looked_at = held_out
        self._held_out: float | None = None

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, Any], **kept: Any) -> None:
        """See `TrainerCallback`."""
        self._held_out = logs.get(self._looked_at, self._held_out)
        self._watch(Progress(state.global_step, self._steps, logs.get("loss"), self._held_out))


def curves(work: Path) -> list[Any]:
    """Return what keeps the curves for TensorBoard, beside the checkpoints; left to itself it writes where the process runs."""
    if find_spec("tensorboard") is None or not processes.is_first():
        return []
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    return [TensorBoardCallback(SummaryWriter(str(work / "tensorboard")))]


def services() -> list[str]:
    """Return where curves go beside TensorBoard: to Weights & Biases where it is installed and a project of it is named.

    Installed is not enough, nor is a key that is there for something else: losses and the recipe would go to its servers unasked.
    """
    return ["wandb"] if os.environ.get("WANDB_PROJECT") and find_spec("wandb") is not None else []


def _diverged(state: TrainerState, work: str) -> TrainingError:
    best = state.best_model_checkpoint
    kept = f"the best until then is kept: {best}" if best else f"nothing was learnt before the first look ({work})"
    return TrainingError(
        f"The loss is no number any more at step {state.global_step + 1} of {state.max_steps}; {kept}. Try a smaller learning_rate."
    )
