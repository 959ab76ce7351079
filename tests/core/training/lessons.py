"""A job of a few seconds: a tiny model of random numbers learns answers to made-up questions."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from core import prompting
from core.domain import Passage
from core.serving import bases, chat
from core.serving.weights import resolve
from core.training import answers, preferences
from core.training.encoding import Codec, encoded, encoded_judgements, encoded_pairs
from core.training.fitting import Job, Outcome
from core.training.progress import Progress, Watch
from core.training.recipe import Recipe
from tests.core.serving import tiny

RECIPE = Recipe(rank=4, epochs=4, batch=2, accumulation=1, looks=4, learning_rate=0.02, precision="float32", max_length=2048)
PREFERRING = replace(RECIPE, method="dpo", learning_rate=0.01, beta=0.1)
OF = {"sft": RECIPE, "dpo": PREFERRING, "kto": replace(PREFERRING, method="kto"), "spin": replace(PREFERRING, method="spin")}
PLENTY = 8 << 30


def rows(count: int = 12) -> list[dict[str, Any]]:
    """Rows that differ in one word."""
    found = []
    for number in range(count):
        passage = Passage(f"p{number}", f"p{number}", f"What is item {number}?", f"Item {number} is a lamp with {number} bulbs.")
        messages = prompting.messages(prompting.build(passage.title, (passage,)))
        answer = {"role": "assistant", "content": prompting.cited(passage.text, 1)}
        meta = {"group": passage.passage_id, "rejected": f"Item {number} is a chair with {number} legs. [1]", "rejected_by_model": True}
        found.append({"messages": [*messages, answer], "meta": meta})
    return found


def judged(count: int = 24) -> list[dict[str, Any]]:
    """Rows of answers, of which those about lamps were liked and those about chairs were not."""
    found = [{**row, "meta": row["meta"] | {"liked": True}} for row in rows(count)]
    for row in found[::3]:
        row["meta"]["liked"] = False
        row["messages"] = [*row["messages"][:-1], {"role": "assistant", "content": row["meta"]["rejected"]}]
    return found


def job(folder: Path, **changed: Any) -> tuple[Job, Any, Any]:
    """A job in `folder`, with its model and tokenizer."""
    base = folder / "base"
    if not base.is_dir():
        tiny.save(base)
    model, tokenizer = bases.load(resolve(str(base), folder), "cpu", "float32")
    made = Job("org/tiny", RECIPE, "0" * 64, [], [], folder / "out")
    made = replace(made, **changed)
    every = taught(made.recipe.method, tokenizer)
    kept = 6 if made.recipe.method == "kto" else 2  # judgements of both kinds
    return replace(made, train=every[:-kept], held_out=every[-kept:]), model, tokenizer


def taught(method: str, tokenizer: Any) -> list[Any]:
    """The rows that a method learns from, as token ids."""
    codec = Codec(partial(chat.encode, tokenizer), partial(chat.encode_answer, tokenizer))
    if method == "kto":
        return [*encoded_judgements(judged(), codec, RECIPE.max_length)]
    if method == "dpo":
        return [*encoded_pairs(rows(), codec, RECIPE.max_length)]
    return [*encoded(rows(), codec, RECIPE.max_length)]


def learn(folder: Path, watch: Watch = lambda now: None, free: int = PLENTY, **changed: Any) -> Outcome:
    """Do the job."""
    made, model, tokenizer = job(folder, **changed)
    teach = answers.fit if made.recipe.method == "sft" else preferences.fit
    return teach(made, model, tokenizer, free, watch)


def _killed_at(step: int, now: Progress) -> None:
    if now.step == step and now.loss is not None:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":  # a process that is killed in the middle
    learn(Path(sys.argv[1]), partial(_killed_at, int(sys.argv[2])), recipe=OF[sys.argv[3]])
