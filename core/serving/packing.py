"""Linear layers that write a few tokens from packed weights, with torch's own kernels for 4 and 8 bits.

Writing is bound by reading the weights from memory. Prompts, where arithmetic is the bound, are read in with the bf16 weights, which are
kept beside. All layers of SmolLM2-135M on two AVX-512 cores, ms by tokens in a pass (fp32 / bf16 / 8 bits / 4 bits):
1: 44 / 25 / 10 / 5, 4: 66 / 28 / 15 / 8, 8: 70 / 32 / 32 / 15, 16: 82 / 35 / 48 / 27, 32: 118 / 47 / 87 / 53, 256: 500 / 200 / 600 / 440.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_GROUP = 32  # weights that share a scale and a minimum, as in a GGUF of type Q4_1
_FOUR_BITS_UP_TO = 16  # tokens in a pass; with more, bf16 is faster
_EIGHT_BITS_UP_TO = 6


def pack(model: PreTrainedModel) -> None:
    """Pack the linear layers of a float32 model and turn it to bf16.

    Four bits are taken only where they lose nothing: where weights come from a file of four bits. Eight bits cost no quality that we
    could measure.
    """
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    # The kernels work in blocks of 32 by 16 and crash on what is left over.
    exact = {name: module.weight.detach() for name, module in linear.items() if module.in_features % 32 == 0 == module.out_features % 16}
    packed = {name: _four_bits(weight) or _eight_bits(weight) for name, weight in exact.items()}
    model.to(torch.bfloat16)
    for name, (weight, scales, few) in packed.items():
        model.set_submodule(name, PackedLinear(model.get_submodule(name), weight, scales, few))


class PackedLinear(nn.Linear):  # type: ignore[misc]  # torch is untyped here
    """A bf16 linear layer with its weights a second time, packed."""

    def __init__(self, linear: nn.Linear, packed: torch.Tensor, scales: torch.Tensor, few: int) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=False, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.register_buffer("packed", packed, persistent=False)
        self.register_buffer("scales", scales, persistent=False)
        self._few = few
        self._is_four_bits = packed.dtype == torch.uint8

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Multiply; a few tokens by the packed weights."""
        tokens = states.reshape(-1, self.in_features)
        if len(tokens) > self._few:
            return super().forward(states)
        if self._is_four_bits:
            written = torch._weight_int4pack_mm_for_cpu(tokens, self.packed, _GROUP, self.scales)
        else:
            written = torch._weight_int8pack_mm(tokens, self.packed, self.scales)
        written = written.view(*states.shape[:-1], self.out_features)
        return written if self.bias is None else written + self.bias


def suits_this_processor() -> bool:
    """Tell whether bf16 is fast here; without instructions for it, it is slower than float32."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _four_bits(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int] | None:
    """Return the weights as 16 levels in each group, None when that would not be exactly what they are."""
    groups = weight.float().unflatten(1, (-1, _GROUP))
    lowest = groups.amin(-1, keepdim=True)
    step = ((groups.amax(-1, keepdim=True) - lowest) / 15).clamp(min=1e-12)
    levels = ((groups - lowest) / step).round()
    if not torch.allclose(levels * step + lowest, groups, rtol=0, atol=1e-3 * float(groups.abs().max())):
        return None
    scales = torch.cat([step, lowest + 8 * step], dim=-1).transpose(0, 1).contiguous().bfloat16()
    return torch._convert_weight_to_int4pack_for_cpu(levels.flatten(1).int(), 1), scales, _FOUR_BITS_UP_TO


def _eight_bits(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
    scales = (weight.float().abs().amax(1) / 127).clamp(min=1e-12)
    return (weight.float() / scales[:, None]).round().to(torch.int8), scales.bfloat16(), _EIGHT_BITS_UP_TO
