"""Short rows behind one another in one, so that no step is spent on filling up; each sees only itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import TrainingError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

_FEW = 8  # tokens of a trial
_SAME = 1e-3  # of the largest logit; what is masked counts nothing at all, in any precision


def packed(rows: Dataset, max_length: int) -> Dataset:
    """Return rows of at most `max_length` tokens, each of several of `rows` (best fit, longest first), and how long these are."""
    from trl import pack_dataset

    return pack_dataset(rows, max_length, "bfd", {"keep_in_memory": True})


def refuse_mixing(model: PreTrainedModel) -> None:
    """Raise `TrainingError` when a row sees the one before it: positions that begin anew must be all a model needs to keep them apart.

    transformers makes a mask of them for its own attention, on CPUs too, and hands them to flash attention. A model that computes
    attention in another way, or passes a state from token to token, may look past them.
    """
    import torch

    tokens = torch.arange(_FEW, device=model.device) + 1
    places = torch.arange(_FEW, device=model.device).repeat(2)[None]
    was_training = model.training
    with torch.no_grad():
        one, other = (
            model.eval()(input_ids=torch.cat([first, tokens])[None], position_ids=places, use_cache=False).logits[0, _FEW:].float()
            for first in (tokens, tokens.flip(0))
        )
    model.train(was_training)
    if float((one - other).abs().max()) > _SAME * float(one.abs().max()):
        raise TrainingError(
            "The recipe says packing = true, but with this model and its attention a row would see the one before it. Set packing = false."
        )
