"""A cross-encoder that judges whether a text follows; a tiny one with random weights, so what is tested is how it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

from core.errors import ModelError
from core.serving import entailment
from core.serving.weights import resolve
from tests.core.serving import tiny

LABELS = ("contradiction", "entailment", "neutral")


def saved(folder: Path, labels: tuple[str, ...] = LABELS) -> Path:
    """Write a classifier of a few thousand random numbers."""
    tokenizer = tiny.byte_tokenizer(None, pad=True)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=1024, pad_token_id=tokenizer.pad_token_id, bos_token_id=None, initializer_range=0.7,
        id2label=dict(enumerate(labels)), label2id={label: number for number, label in enumerate(labels)},
    )  # fmt: skip
    LlamaForSequenceClassification(config).save_pretrained(folder)
    return folder


def chances(folder: Path, pairs: list[tuple[str, str]]) -> list[float]:
    return entailment.chances(resolve(str(folder), folder), "cpu", pairs)


def test_a_chance_belongs_to_its_pair_whoever_else_is_asked(tmp_path: Path) -> None:
    pairs = [(f"It takes {number} days. " * (number % 3 * 20 + 1), "It takes days.") for number in range(20)]
    found = chances(saved(tmp_path), pairs)
    assert len(found) == 20 and all(0 < chance < 1 for chance in found)
    assert chances(tmp_path, pairs[7:8]) == pytest.approx(found[7:8], abs=1e-5)
    others = chances(saved(tmp_path, ("entailment", "neutral", "contradiction")), pairs)
    assert others[0] != pytest.approx(found[0]), "which label is meant is read from the model"


@pytest.mark.parametrize(("spoil", "said"), [
    (lambda folder: saved(folder, ("LABEL_0", "LABEL_1", "LABEL_2")), "is no entailment model: its labels are label_0, label_1, label_2"),
    (lambda folder: (saved(folder) / "model.safetensors").write_bytes(b"cut"), "cannot be opened"),
    (lambda folder: folder.mkdir(exist_ok=True), "holds no .safetensors file"),
])  # fmt: skip
def test_bad_input_what_is_no_entailment_model_is_refused(tmp_path: Path, spoil: object, said: str) -> None:
    spoil(tmp_path)  # type: ignore[operator]
    with pytest.raises(ModelError, match=said):
        chances(tmp_path, [("a", "b")])
