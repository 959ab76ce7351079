"""A model that says whether one text follows from another: a cross-encoder for natural-language inference, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from core.errors import ModelError
from core.serving import headroom
from core.serving.weights import Weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LABEL = "entailment"
_BATCH = 16
_MAX_TOKENS = 512  # such models were trained on; a longer passage is cut at its end


def chances(
    weights: Weights, device: str, pairs: Sequence[tuple[str, str]], done: Callable[[int], None] = lambda count: None
) -> list[float]:
    """Return for each (premise, hypothesis) the chance that the hypothesis follows. Blocks. Raises `ModelError`."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    weights.verify()
    headroom.require(weights.folder, device, 4)
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(weights.folder, **options)
        model = AutoModelForSequenceClassification.from_pretrained(weights.folder, dtype=torch.float32, use_safetensors=True, **options)
    except Exception as error:  # the libraries raise anything: a Rust error for cut-off weights, an import error for a tokenizer
        raise ModelError(f"The entailment model in {weights.folder} cannot be opened: {error}") from error
    label = _label(model, weights)
    model = model.to(device).eval()
    found: list[float] = []
    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        premises, hypotheses = ([pair[side] for pair in batch] for side in (0, 1))
        encoded = tokenizer(premises, hypotheses, padding=True, truncation="only_first", max_length=_MAX_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            logits = model(**encoded.to(device)).logits.float()
        found += logits.softmax(-1)[:, label].tolist()
        done(len(batch))
    return found


def _label(model: PreTrainedModel, weights: Weights) -> int:
    labels = {str(name).lower(): int(number) for number, name in model.config.id2label.items()}
    if _LABEL not in labels:
        raise ModelError(f"{weights.version} is no entailment model: its labels are {', '.join(labels)}, none is {_LABEL}.")
    return labels[_LABEL]
