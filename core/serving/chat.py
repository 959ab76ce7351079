"""Chats to token ids and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.prompting import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLE: list[Message] = [{"role": role, "content": "x"} for role in ("system", "user", "assistant", "user")]
UNFINISHED = "\ufffd"  # what a tokenizer shows for half a character


def encode(tokenizer: PreTrainedTokenizerBase, chat: list[Message]) -> list[int]:
    """Return the token ids of a chat; the tokenizer's own control tokens inside a message are broken into plain text."""
    plain = [{**message, "content": _without_control(tokenizer, message["content"])} for message in chat]
    encoded: Any = tokenizer.apply_chat_template(plain, add_generation_prompt=True, tokenize=True, return_dict=True)
    return list(encoded["input_ids"])


def encode_answer(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Return the token ids of an answer as a model is to write it, up to the token that ends its message."""
    ids: list[int] = tokenizer(_without_control(tokenizer, text), add_special_tokens=False)["input_ids"]
    return [*ids, tokenizer.eos_token_id]


def decode(tokenizer: PreTrainedTokenizerBase, tokens: list[int]) -> str:
    """Return the text of an answer."""
    return str(tokenizer.decode(tokens, skip_special_tokens=True))


def _without_control(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    # Added tokens count too: <think> and <tool_call> of Qwen steer the model although they are not "special".
    for token in {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}:
        if len(token.strip()) > 1:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text
