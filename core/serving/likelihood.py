"""How likely a model finds given answers: what perplexity is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from core.prompting import Message
from core.serving import bases, chat, prefix_tuning
from core.serving.lora import Adapters
from core.serving.weights import Weights


class Expected(NamedTuple):
    """A chat and the answer to it."""

    messages: list[Message]
    answer: str


def nats(
    weights: Weights, adapter: Path | None, device: str, expected: Sequence[Expected], done: Callable[[], None] = lambda: None
) -> float:
    """Return the negative logarithm of the likelihood of a token of the answers, in the mean over all tokens. Blocks.

    Perplexity is e to the power of it. Raises `ModelError`.
    """
    import torch

    model, tokenizer = bases.load(weights, device, "float32")
    ahead = prefix_tuning.read(adapter, model) if adapter and prefix_tuning.is_one(adapter) else None
    if adapter is not None and ahead is None:
        adapters = Adapters(model)
        adapters.use(adapters.add(adapter))
    lost, tokens = 0.0, 0
    for one in expected:
        prompt, answer = chat.encode(tokenizer, one.messages), chat.encode_answer(tokenizer, one.answer)
        ids = torch.tensor([prompt + answer], device=model.device)
        with torch.inference_mode():
            past = None if ahead is None else prefix_tuning.cache(ahead, model)
            logits = model(ids, past_key_values=past, logits_to_keep=len(answer) + 1).logits[0, :-1].float()
        lost += float(torch.nn.functional.cross_entropy(logits, ids[0, len(prompt) :], reduction="sum"))
        tokens += len(answer)
        done()
    return lost / max(tokens, 1)
