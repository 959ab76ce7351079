"""Prefix tuning: keys and values in front of the first token of every layer learn, and nothing else does (Li & Liang 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core import prompting
from core.errors import TrainingError
from core.training import processes
from core.training.recipe import Recipe

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def put_before(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, recipe: Recipe) -> Any:
    """Return `model` behind a new prefix. Raises `TrainingError` where its processes hold a part of it each.

    The prefix begins as what the model keeps of the instructions in each prompt: from random numbers, few rows lead nowhere (section 7.4
    of the paper).
    """
    from peft import PrefixTuningConfig, get_peft_model, initialize_kv_prefix_from_text

    if processes.shard():
        raise TrainingError('A prefix is not learnt where each process holds a part of the model. Train with adapter = "lora".')
    adapted = get_peft_model(model, PrefixTuningConfig(num_virtual_tokens=recipe.virtual_tokens, task_type="CAUSAL_LM"))
    text = " ".join([prompting.SYSTEM] * recipe.virtual_tokens)  # enough, however long its tokens are; the rest is cut off
    initialize_kv_prefix_from_text(adapted, tokenizer, text=text, use_chat_template=False, max_length=recipe.virtual_tokens)
    return adapted
