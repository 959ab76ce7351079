"""Examples from the FAQ itself, for a knowledge base that nobody has corrected yet."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from core import prompting
from core.domain import Passage
from core.examples import Example
from core.training.chance import draw

SOURCE = "faq"
UNANSWERABLE = 0.1  # share of wordings that are asked without the passage that answers them: a model that never saw this answers everything
_STEPS = 1000
_CUT = re.compile(r"^.*[.!?。！？](?=\s)", re.DOTALL)
_FEWEST_WORDS = 3  # an answer of one word teaches nothing, and no guard can tell whether a passage backs it


class FaqExamples:
    """`ExampleSource` of the wordings of each FAQ row; the right answer is what the row says, or to abstain where the row is withheld."""

    def __init__(self, passages: Callable[[], Awaitable[tuple[Passage, ...]]], unanswerable: float = UNANSWERABLE) -> None:
        self._passages = passages
        self._unanswerable = unanswerable

    async def examples(self) -> tuple[Example, ...]:
        """See `ExampleSource.examples`."""
        return tuple(example for passage in await self._passages() if passage.curated for example in self._of(passage))

    def _of(self, passage: Passage) -> list[Example]:
        answer = _whole_sentences(prompting.shown(passage), is_cut=len(passage.text.split()) > prompting.MAX_PASSAGE_WORDS)
        if len(answer.split()) < _FEWEST_WORDS:
            return []
        wordings = dict.fromkeys((passage.title, *passage.alternatives))
        return [self._example(passage.passage_id, number, wording, answer) for number, wording in enumerate(wordings) if wording]

    def _example(self, passage_id: str, number: int, wording: str, answer: str) -> Example:
        example_id = f"{SOURCE}-{passage_id}-{number}"
        if draw(f"withheld {example_id}", _STEPS) < self._unanswerable * _STEPS:
            return Example(example_id, wording, "", SOURCE, "knowledge", own_words=False, withheld=passage_id)
        return Example(example_id, wording, answer, SOURCE, "knowledge", own_words=False, passage_id=passage_id)


def _whole_sentences(text: str, *, is_cut: bool) -> str:
    """Return what a model can copy of a passage that the prompt cuts: up to its last whole sentence there."""
    whole = _CUT.match(text) if is_cut else None
    return whole.group() if whole else text
