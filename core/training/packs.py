"""Short rows behind one another in one, so that no step is spent on filling up; each sees only itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import TrainingError
from core.training.encoding import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_FEW = 8  # tokens of a trial
_SAME = 1e-3  # of the largest logit; what is masked counts nothing at all, in any precision


class Packed(NamedTuple):
    """Several rows as one, and how long each of them is."""

    input_ids: list[int]
    labels: list[int]
    seq_lengths: list[int]

    @property
    def length(self) -> int:
        """How many tokens a step takes for it."""
        return len(self.input_ids)


def packed(rows: Sequence[Any], max_length: int) -> list[Packed]:
    """Return rows of at most `max_length` tokens, each of several of `rows` (best fit, longest first)."""
    from datasets import Dataset
    from trl import pack_dataset

    found = pack_dataset(Dataset.from_list([columns(one) for one in rows]), max_length, "bfd", {"keep_in_memory": True})
    return [Packed(**row) for row in found]


def columns(row: Any) -> dict[str, list[int]]:
    """Return a row, packed or not, as trl reads it."""
    if isinstance(row, Packed):
        return row._asdict()
    one: Encoded = row
    return {"input_ids": one.input_ids, "labels": one.labels}


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
