"""Scripted answers come in turn, as any generator's would."""

from __future__ import annotations

import pytest

from core import prompting
from core.domain import Generation, Limits, Passage, Prompt, Usage
from core.errors import ModelError
from core.serving.canned import CannedGenerator


def prompt(question: str) -> Prompt:
    return prompting.build(question, (Passage("p", "d", "t", "x"),))


async def said(generator: CannedGenerator, question: str = "How?") -> list[str | Generation]:
    return [piece async for piece in generator.stream(prompt(question), Limits())]


async def test_each_question_gets_the_next_text_word_by_word() -> None:
    generator = CannedGenerator("By card.", "Yes.")
    assert await said(generator, "How do I pay?") == ["By ", "card. ", Generation("By card.", "canned", usage=Usage(4, 2))]
    assert (await said(generator))[0] == "Yes. "


async def test_more_can_be_added_and_an_exception_is_raised_in_its_turn() -> None:
    generator = CannedGenerator("Yes.")
    generator.enqueue(ModelError("gone"), "No.")
    await said(generator)
    with pytest.raises(ModelError, match="gone"):
        await said(generator)
    assert (await said(generator))[0] == "No. "


async def test_it_remembers_what_it_was_asked() -> None:
    generator = CannedGenerator("a", "b")
    await said(generator, "one")
    await said(generator, "two")
    assert [asked.question for asked in generator.prompts] == ["one", "two"]
