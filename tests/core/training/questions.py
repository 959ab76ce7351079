"""A job of a few seconds: a tiny embedder of random numbers learns which made-up questions ask the same."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from core.training.progress import Progress, Watch
from core.training.retriever import Job, Outcome, fit
from core.training.retriever_recipe import RetrieverRecipe
from core.training.wordings import Topic, Wordings, split

RECIPE = RetrieverRecipe(learning_rate=0.003, epochs=8, batch=8, looks=4, patience=4, held_out=0.3, max_length=32)
PLENTY = 8 << 30
_FILLING = [f"filling{number}" for number in range(40)]


def topics(count: int = 12, wordings: int = 9) -> list[Topic]:
    """Topics whose wordings share two of four words of their own, among filling that says nothing."""
    return [_topic(number, wordings) for number in range(count)]


def _topic(number: int, wordings: int) -> Topic:
    chance, own = Random(number), [f"word{number}x{letter}" for letter in "abcd"]
    questions = [" ".join([*chance.sample(own, 2), *chance.sample(_FILLING, 4)]) for _ in range(wordings)]
    return Topic(f"p{number}", f"answer {own[0]} number {number}", tuple(questions))


def wordings(found: list[Topic] | None = None) -> Wordings:
    """What is learnt and judged by."""
    return split(topics() if found is None else found, Counter(), RECIPE.held_out)


def save(folder: Path) -> Path:
    """Write a tiny embedder that knows every word of `topics`."""
    torch.manual_seed(3)
    tokenizer = _tokenizer(text for topic in topics() for text in (*topic.questions, topic.answer))
    inner = folder.with_name("bert")
    tokenizer.save_pretrained(inner)
    shape: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **shape)).save_pretrained(inner)
    SentenceTransformer(modules=[Transformer(str(inner)), Pooling(32), Normalize()], device="cpu").save_pretrained(str(folder))
    return folder


def _tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    every = ["[PAD]", "[UNK]", *dict.fromkeys(word for text in texts for word in text.split())]
    inner = Tokenizer(models.WordLevel({word: number for number, word in enumerate(every)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64)


def learn(folder: Path, watch: Watch = lambda now: None, free: int = PLENTY, **changed: Any) -> Outcome:
    """Do the job in `folder`."""
    base = folder / "base"
    if not base.is_dir():
        save(base)
    made = Job("org/tiny", RECIPE, wordings(), folder / "out")
    return fit(replace(made, **changed), base, free, watch)


def _killed_at(step: int, now: Progress) -> None:
    if now.step == step and now.loss is not None:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":  # a process that is killed in the middle
    learn(Path(sys.argv[1]), partial(_killed_at, int(sys.argv[2])))
