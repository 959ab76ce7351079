"""The part of the generation benchmark for a GPU: a Llama of 1.2 billion random weights under transformers' continuous batching.

The bound at batch 1 is the memory: all weights are read for a token. At batch 256 it is the arithmetic: two operations for a weight.
Both bounds are measured on the card, with a copy and a matrix product. Not run by the project itself so far: no GPU was at hand.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from core.serving.continuous import ContinuousHost
from tests.bench.generation import callers_hear

_PROMPT = 250
_VOCABULARY = 32_000


class _Tokenizer:
    """All that a host asks of a tokenizer: no token ends an answer."""

    eos_token_id = None
    pad_token_id = 0


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each concurrency, 256 included, with its share of what the card could do."""
    torch.manual_seed(arguments.seed)
    config = LlamaConfig(
        vocab_size=_VOCABULARY, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
        num_key_value_heads=8, max_position_embeddings=4096, eos_token_id=None, bos_token_id=None,
    )  # fmt: skip
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).to(torch.bfloat16).eval()
    size = sum(weight.numel() for weight in model.parameters())
    bounds = {"memory": _copied_bytes() / (2 * size), "arithmetic": _operations() / (2 * size)}
    host: Any = ContinuousHost(model, _Tokenizer())
    dice = random.Random(arguments.seed)
    rows = []
    for callers in [*arguments.concurrency, 256]:
        speeds, firsts = [], []
        for number in range(arguments.rounds + 1):
            prompts = [[dice.randrange(_VOCABULARY) for _ in range(_PROMPT)] for _ in range(2 * callers)]
            heard, seconds = asyncio.run(callers_hear(host, prompts, callers, arguments.tokens))
            if number:  # the first round warms up
                speeds.append(sum(one.tokens for one in heard) / seconds)
                firsts += [one.first * 1000 for one in heard]
        speed = statistics.median(speeds)
        bound = min(bounds["memory"] * callers, bounds["arithmetic"])
        rows.append({
            "engine": "frontdesk", "concurrency": callers, "tokens_per_s": round(speed, 1), "ttft_p50_ms": round(statistics.median(firsts)),
            "ttft_p95_ms": round(sorted(firsts)[int(0.95 * (len(firsts) - 1))]), "share_of_bound": round(speed / bound, 3),
        })  # fmt: skip
    host.close()
    return rows


def _copied_bytes() -> float:
    """Bytes a second that a copy reads and writes."""
    source = torch.empty(2**28, device="cuda")
    return 2 * source.nbytes / _seconds(source.clone)


def _operations() -> float:
    """Operations a second of a bf16 matrix product."""
    matrix = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    return 2 * 8192**3 / _seconds(lambda: matrix @ matrix)


def _seconds(work: Any) -> float:
    times = []
    for _ in range(10):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
