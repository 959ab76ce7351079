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
from core.training.answers import Job, Outcome, fit
from core.training.encoding import Codec, encoded
from core.training.progress import Progress, Watch
from core.training.recipe import Recipe
from tests.core.serving import tiny

RECIPE = Recipe(rank=4, epochs=4, batch=2, accumulation=1, looks=4, learning_rate=0.02, precision="float32", max_length=2048)
PLENTY = 8 << 30


def rows(count: int = 12) -> list[dict[str, Any]]:
    """Rows that differ in one word."""
    found = []
    for number in range(count):
        passage = Passage(f"p{number}", f"p{number}", f"What is item {number}?", f"Item {number} is a lamp with {number} bulbs.")
        messages = prompting.messages(prompting.build(passage.title, (passage,)))
        answer = {"role": "assistant", "content": prompting.cited(passage.text, 1)}
        found.append({"messages": [*messages, answer], "meta": {"group": passage.passage_id}})
    return found


def job(folder: Path, **changed: Any) -> tuple[Job, Any, Any]:
    """A job in `folder`, with its model and tokenizer."""
    base = folder / "base"
    if not base.is_dir():
        tiny.save(base)
    model, tokenizer = bases.load(resolve(str(base), folder), "cpu", "float32")
    codec = Codec(partial(chat.encode, tokenizer), partial(chat.encode_answer, tokenizer))
    every = encoded(rows(), codec, RECIPE.max_length)
    made = Job("org/tiny", RECIPE, "0" * 64, every[:10], every[10:], folder / "out")
    return replace(made, **changed), model, tokenizer


def learn(folder: Path, watch: Watch = lambda now: None, free: int = PLENTY, **changed: Any) -> Outcome:
    """Do the job."""
    made, model, tokenizer = job(folder, **changed)
    return fit(made, model, tokenizer, free, watch)


def _killed_at(step: int, now: Progress) -> None:
    if now.step == step and now.loss is not None:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":  # a process that is killed in the middle
    learn(Path(sys.argv[1]), partial(_killed_at, int(sys.argv[2])))
