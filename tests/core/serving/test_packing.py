"""Packed layers compute what the layers they were made of compute, and four bits are taken only where they lose nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from core.serving import bases
from core.serving.packing import PackedLinear, pack
from core.serving.weights import resolve
from tests.core.serving import tiny


class Model(nn.Module):
    def __init__(self, weight: torch.Tensor, bias: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
        with torch.no_grad():
            self.layer.weight.copy_(weight)


def four_bit_weights() -> torch.Tensor:
    """Weights as a Q4_1 file holds them: 16 levels in each group of 32, the lowest and the highest used."""
    levels = torch.randint(0, 16, (64, 3, 32)).float()
    levels[..., 0], levels[..., 1] = 0, 15
    return (levels * torch.rand(64, 3, 1) - torch.rand(64, 3, 1)).flatten(1)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("weight", "is_four_bits"), [(four_bit_weights(), True), (torch.randn(64, 96), False)])
@pytest.mark.parametrize("tokens", [1, 6, 16, 40])
@torch.inference_mode()
def test_packed_layers_compute_the_same(weight: torch.Tensor, is_four_bits: bool, bias: bool, tokens: int) -> None:
    torch.manual_seed(1)
    model = Model(weight, bias)
    states = torch.randn(2, tokens, weight.shape[1])
    exact = model.layer(states)
    pack(model)
    assert isinstance(model.layer, PackedLinear) and model.layer._is_four_bits == is_four_bits
    assert (model.layer(states.bfloat16()).float() - exact).abs().max() < 0.02 * exact.abs().max()


@torch.inference_mode()
def test_a_layer_that_does_not_fit_the_kernels_is_left_alone() -> None:
    model = Model(torch.randn(5, 7), True)
    pack(model)
    assert type(model.layer) is nn.Linear and model.layer(torch.randn(2, 7).bfloat16()).shape == (2, 5)


async def test_the_precision_is_what_was_asked_for(tmp_path: Path) -> None:
    found = resolve(str(tiny.save(tmp_path / "tiny")), tmp_path)
    model, _ = bases.load(found, "cpu", "packed")
    assert model.dtype == torch.bfloat16
    assert bases.load(found, "cpu", "float32")[0].dtype == torch.float32
