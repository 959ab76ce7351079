"""A language model of a few thousand random numbers, with a real tokenizer: it writes nonsense, the same nonsense every time."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTROL = ("<|im_start|>", "<|im_end|>", "~CTRL~")


def save(folder: Path, *, template: str | None = TEMPLATE, rows: int | None = None, pad: bool = True, seed: int = 3) -> Path:
    """Write the model to `folder`; `rows` shrinks its vocabulary below that of the tokenizer."""
    tokenizer = byte_tokenizer(template, pad=pad)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=rows or len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=4096, eos_token_id=tokenizer.eos_token_id, bos_token_id=None, initializer_range=0.7,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def byte_tokenizer(template: str | None, *, pad: bool) -> PreTrainedTokenizerFast:
    """One token per byte, three control tokens, and one that is added without being special, as <think> of Qwen."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", additional_special_tokens=list(CONTROL))
    if pad:
        tokenizer.pad_token = "<|im_end|>"
    tokenizer.add_tokens(["<think>"])
    tokenizer.chat_template = template
    return tokenizer
