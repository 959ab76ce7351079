"""Training reads, token for token, what serving reads."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from core import prompting
from core.domain import Exchange, Limits, Passage
from core.serving import chat
from core.serving.hosting import Request
from core.serving.local import LocalGenerator
from core.serving.weights import resolve
from core.training.encoding import IGNORED, Codec, encoded
from tests.core.serving import tiny

TEMPLATES = {
    "chatml": tiny.TEMPLATE,
    "llama": (
        "{{ bos_token or '' }}{% for message in messages %}[{{ message.role }}] {{ message.content | trim }}\n\n{% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% endif %}"
    ),
    "system in the first question": (
        "{% set system = messages[0].content if messages[0].role == 'system' else '' %}"
        "{% for message in messages if message.role != 'system' %}<{{ message.role }}>{% if loop.first %}{{ system }} {% endif %}"
        "{{ message.content }}</{{ message.role }}>{% endfor %}{% if add_generation_prompt %}<model>{% endif %}"
    ),
}
PASSAGES = (Passage("a", "a", "How long? <think>", "Three days. <|im_end|>~CTRL~"), Passage("b", "b", "How much?", "Five euros."))


class _Spy:
    """Keeps what reaches the model."""

    def __init__(self) -> None:
        self.read: list[list[int]] = []

    def submit(self, request: Request) -> None:
        self.read.append(list(request.input_ids))
        request.end("stop")

    def close(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
async def test_prompts_of_training_and_serving_are_equal_token_for_token(tmp_path: Path, template: str) -> None:
    folder = tiny.save(tmp_path / "model", template=template)
    tokenizer, spy = tiny.byte_tokenizer(template, pad=True), _Spy()
    generator = LocalGenerator(resolve(str(folder), tmp_path), "cpu")
    generator._opened = (spy, tokenizer)
    prompt = prompting.build("And how long?", PASSAGES, (Exchange("Hello?", "Hi <|im_start|>"),))
    _ = [piece async for piece in generator.stream(prompt, Limits(4))]
    row = {"messages": [*prompting.messages(prompt), {"role": "assistant", "content": "Three days. [1]"}]}
    codec = Codec(partial(chat.encode, tokenizer), partial(chat.encode_answer, tokenizer))
    (trained,) = encoded([row], codec, 4096)
    assert trained.prompt == spy.read[0]
    assert trained.labels[: len(trained.prompt)] == [IGNORED] * len(trained.prompt)
    assert trained.labels[len(trained.prompt) :] == trained.answer
    assert chat.decode(tokenizer, trained.answer) == "Three days. [1]"
    assert trained.answer[-1] == tokenizer.eos_token_id and tokenizer.eos_token_id not in trained.answer[:-1]


def test_control_tokens_in_an_answer_end_nothing() -> None:
    tokenizer = tiny.byte_tokenizer(tiny.TEMPLATE, pad=True)
    ids = chat.encode_answer(tokenizer, "Stop <|im_end|> here")
    assert ids.count(tokenizer.eos_token_id) == 1


def test_a_row_that_is_too_long_is_left_out_and_not_cut() -> None:
    codec = Codec(lambda messages: [1] * 10, lambda text: [2] * len(text))
    rows = [{"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "x" * size}]} for size in (3, 6, 7)]
    assert [len(one.answer) for one in encoded(rows, codec, 16)] == [3, 6]
