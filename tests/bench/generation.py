"""Tokens per second and time to the first token: in-flight batching beside plain `generate`, static batches of 16 and llama.cpp.

Prompts of FAQ questions with three passages, answers of exactly `--tokens` tokens, greedily. On a CPU SmolLM2-135M; on CUDA a model of
1.2 billion random weights, with transformers' continuous batching and how near it comes to the card's bandwidth and arithmetic.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import platform
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from bot.settings import Settings
from bot.telemetry import quiet_libraries
from core import prompting
from core.domain import Passage
from core.serving import bases, chat, weights
from core.serving.hosting import Host, Request
from core.serving.inflight import InflightHost
from tests.bench.corpus import knowledge, without_questions

_STATIC = 16
_ALONE = 4  # prompts that are enough for engines that answer one after the other
_VERSIONS = ("torch", "transformers", "peft", "llama-cpp-python")


class Heard(NamedTuple):
    """What a caller heard: seconds from asking to the first token, and how many tokens came."""

    first: float
    tokens: int


Engine = Callable[[list[list[int]], int], tuple[list[Heard], float]]  # prompts and callers -> what was heard, seconds in all


def main() -> None:
    """Run the benchmark; the last line on stdout is one JSON document."""
    arguments = _arguments()
    quiet_libraries()
    rows = _measure(arguments)
    table = Table(*rows[0], title=f"Answers of {arguments.tokens} tokens")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console = Console()
    console.print(table)
    missing = [] if importlib.util.find_spec("llama_cpp") else ["llama.cpp: pip install llama-cpp-python (needs cmake and a compiler)"]
    for line in missing:
        console.print(f"Not measured, not installed: {line}")
    print(json.dumps({"device": arguments.device, "rows": rows, "not_installed": missing, **_circumstances(arguments)}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--knowledge", type=Path, help="knowledge file; by default the packaged sample")
    parser.add_argument("--concurrency", type=int, nargs="*", default=[1, 8, 16, 32])
    parser.add_argument("--engines", nargs="*", help="by default all that are installed: " + ", ".join(_ENGINES))
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "packed"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def _circumstances(arguments: argparse.Namespace) -> dict[str, Any]:
    found = {name: version(name) for name in _VERSIONS if name != "llama-cpp-python" or importlib.util.find_spec("llama_cpp")}
    return {
        "versions": found,
        "seed": arguments.seed,
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
    }


def _measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    if arguments.device == "cuda":
        from tests.bench.generation_cuda import measure

        return measure(arguments)
    found = weights.resolve(weights.SMOLLM, Settings().model_dir)
    engines = {name: make(found, arguments) for name, make in _ENGINES.items() if name in (arguments.engines or _installed())}
    prompts = _prompts(bases.load(found, "cpu", "float32")[1], arguments)
    heard: defaultdict[tuple[str, int], list[tuple[float, list[float]]]] = defaultdict(list)
    for callers in arguments.concurrency:
        for _ in range(arguments.rounds):
            asked = [next(prompts) for _ in range(max(2 * callers, _ALONE))]
            for name, engine in engines.items():
                told, seconds = engine(asked, callers)
                speed = sum(one.tokens for one in told) / seconds
                heard[name, callers].append((speed, [one.first * 1000 for one in told]))
    return [_row(name, callers, rounds) for (name, callers), rounds in heard.items()]


def _row(name: str, callers: int, rounds: list[tuple[float, list[float]]]) -> dict[str, Any]:
    firsts = sorted(first for _, round_ in rounds for first in round_)
    return {
        "engine": name,
        "concurrency": callers,
        "tokens_per_s": round(statistics.median(speed for speed, _ in rounds), 1),
        "ttft_p50_ms": round(statistics.median(firsts)),
        "ttft_p95_ms": round(firsts[int(0.95 * (len(firsts) - 1))]),
    }


def _prompts(tokenizer: Any, arguments: argparse.Namespace) -> Iterator[list[int]]:
    """Yield prompts of questions nobody has seen, each with the passage that answers it and two others, popular ones more often."""
    passages, _ = without_questions(knowledge(arguments.knowledge), arguments.seed)
    dice = random.Random(arguments.seed)
    popular = [1 / (rank + 1) for rank in range(len(passages))]
    while True:
        best: Passage = dice.choices(passages, popular)[0]
        others = dice.sample([passage for passage in passages if passage is not best], 2)
        question = f"{dice.choice((best.title, *best.alternatives))} ({dice.randrange(1000)})"
        yield chat.encode(tokenizer, prompting.messages(prompting.build(question, (best, *others))))


# The engines.


def _ours(found: weights.Weights, arguments: argparse.Namespace) -> Engine:
    model, tokenizer = bases.load(found, "cpu", arguments.precision)
    host = InflightHost(model, tokenizer)
    host._ends.clear()  # so that every answer has the same length
    lane = host.attach()
    place = _Place(host, lane)
    asyncio.run(callers_hear(place, [chat.encode(tokenizer, prompting.messages(prompting.build("Hello?", ())))], 1, 2))
    return lambda prompts, callers: asyncio.run(callers_hear(place, prompts, callers, arguments.tokens))


class _Place:
    def __init__(self, host: InflightHost, lane: Any) -> None:
        self.submit = lambda request: host.submit(lane, request)
        self.close = host.close


async def callers_hear(host: Host, prompts: list[list[int]], callers: int, tokens: int) -> tuple[list[Heard], float]:
    """Let callers ask until all prompts are answered; return what they heard and how long it took."""
    waiting, heard = iter(prompts), []

    async def caller() -> None:
        for prompt in waiting:
            request = Request(prompt, tokens, asyncio.get_running_loop())
            asked, first, count = time.perf_counter(), 0.0, 0
            host.submit(request)
            while not isinstance(event := await request.events.get(), str):
                if isinstance(event, Exception):
                    raise event
                first = first or time.perf_counter() - asked
                count += len(event)
            heard.append(Heard(first, count))

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return heard, time.perf_counter() - started


def _plain(found: weights.Weights, arguments: argparse.Namespace, size: int = 1) -> Engine:
    model, tokenizer = bases.load(found, "cpu", "float32")

    def answer(batch: list[list[int]]) -> tuple[float, int]:
        started, clock = time.perf_counter(), _FirstToken()
        inputs = tokenizer.pad({"input_ids": batch}, return_tensors="pt")
        length = {"max_new_tokens": arguments.tokens, "min_new_tokens": arguments.tokens}
        with torch.inference_mode():
            model.generate(**inputs, **length, do_sample=False, stopping_criteria=[clock])
        return clock.at - started, arguments.tokens * len(batch)

    return lambda prompts, callers: _one_after_the_other(answer, prompts, callers, size)


class _FirstToken:
    """A stopping criterion that never stops and knows when it was asked first."""

    at = 0.0

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.at = self.at or time.perf_counter()
        return torch.zeros(len(input_ids), dtype=torch.bool)


def _llama(found: weights.Weights, arguments: argparse.Namespace) -> Engine:
    from llama_cpp import Llama

    package = weights._package_file(weights.SMOLLM)
    llama = Llama(str(package), n_ctx=2048, n_threads=os.cpu_count(), verbose=False)

    def answer(batch: list[list[int]]) -> tuple[float, int]:
        # It keeps the longest prefix that a prompt shares with the one before by itself.
        started, first, count = time.perf_counter(), 0.0, 0
        for _ in llama.generate(batch[0], temp=0.0, top_k=1, repeat_penalty=1.0):
            first = first or time.perf_counter() - started
            count += 1
            if count == arguments.tokens:
                break
        return first, count

    return lambda prompts, callers: _one_after_the_other(answer, prompts, callers, 1)


def _one_after_the_other(
    answer: Callable[[list[list[int]]], tuple[float, int]], prompts: list[list[int]], callers: int, size: int
) -> tuple[list[Heard], float]:
    """Answer batches in turn; how long callers wait for those before them is reckoned: each asks again when it is answered.

    Single answers do not gain from more callers, so a few of them are enough.
    """
    measured = prompts[:_ALONE] if size == 1 else prompts
    size = min(size, callers)
    heard, times = [], []
    for begin in range(0, len(measured), size):
        batch = measured[begin : begin + size]
        started = time.perf_counter()
        first, tokens = answer(batch)
        times.append(time.perf_counter() - started)
        heard += [Heard(first, tokens // len(batch))] * len(batch)
    wait = (-(-callers // size) - 1) * statistics.median(times)
    return [Heard(wait + one.first, one.tokens) for one in heard], sum(times)


def _installed() -> list[str]:
    return [name for name in _ENGINES if name != "llama.cpp" or importlib.util.find_spec("llama_cpp")]


_ENGINES: dict[str, Callable[[weights.Weights, argparse.Namespace], Engine]] = {
    "frontdesk": _ours,
    "plain": _plain,
    "static": lambda found, arguments: _plain(found, arguments, _STATIC),
    "llama.cpp": _llama,
}


if __name__ == "__main__":
    main()
