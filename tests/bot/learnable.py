"""A FAQ that a model of a few thousand numbers learns in seconds, and a champion that it must beat."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bot.bootstrap import frontdesk
from bot.settings import read
from core import prompting
from core.domain import Passage
from core.registry import Alias, Kind, Step
from tests.bot.test_cli import document, run, write
from tests.core.serving import tiny

ANSWERS = ("Please ask the help desk today.", "Please ask the help desk tomorrow.")
RECIPE = """
rank = 8
dropout = 0.05
epochs = 6
batch = 4
accumulation = 1
looks = 4
learning_rate = 0.02
max_length = 4096
precision = "float32"
unanswerable = 0.0
held_out = {share}
"""
GOLDEN = {"question": "Whom do I ask?", "passage": ANSWERS[0], "says": ["Please"]}  # how it goes on differs between processors
SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstv" for vowel in "aeiou"]


def faq(count: int) -> list[dict[str, Any]]:
    """Rows whose questions share no words, each with one of two answers."""
    words = [f"{one}{other}{third}" for one in SYLLABLES for other in SYLLABLES[::7] for third in SYLLABLES[::11]]
    step = len(words) // (count * 8)
    chosen = iter(words[:: max(step, 1)])
    return [
        {"id": f"r{number}", "question": " ".join(next(chosen) for _ in range(8)) + "?", "answer": ANSWERS[number % 2]}
        for number in range(count)
    ]


def base(folder: Path) -> Path:
    """A model of random numbers whose tokens are words of this FAQ: letter by letter it would learn for minutes."""
    passages = [Passage(row["id"], row["id"], row["question"], row["answer"]) for row in faq(20)]
    prompts = [one["content"] for passage in passages for one in prompting.messages(prompting.build(passage.title, (passage,)))]
    tokenizer = tiny.byte_tokenizer(tiny.TEMPLATE, pad=True).train_new_from_iterator([[*prompts, *ANSWERS]], 600)
    tokenizer.chat_template = tiny.TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    shape = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "initializer_range": 0.1}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=4096, eos_token_id=tokenizer.eos_token_id, **shape)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


async def _promote(model_id: str) -> None:
    async with frontdesk(read(), lambda line: None) as graph:
        await graph.model_registry.assign(Kind.GENERATOR, Alias.CHAMPION, model_id, Step.PROMOTE, "setup")


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Publish the FAQ and let a champion serve that writes nonsense; return its id."""
    torch.set_num_threads(1)
    monkeypatch.setenv("FRONTDESK_MODEL", "auto")
    monkeypatch.setenv("FRONTDESK_POLICY__DIRECT", "1")  # the model writes what else would be given word for word
    monkeypatch.setenv("FRONTDESK_GOLDEN_QUESTIONS", str(write("golden.jsonl", [GOLDEN])))
    run("knowledge", "import", str(write("faq.jsonl", faq(60))))
    run("knowledge", "publish")
    model_id: str = document("models", "import", str(base(folder / "base")))["model_id"]
    asyncio.run(_promote(model_id))
    return model_id
