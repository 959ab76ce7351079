"""No language model at all: the best passage, quoted."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

from core.domain import Generation, Limits, Prompt
from core.registry import Load

_MAX_WORDS = 120
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|\n{2,}")


class ExtractiveGenerator:
    """`Generator` that quotes the beginning of the best passage, whole sentences up to 120 words, and cites it."""

    version = "extractive"
    is_open = True
    load = Load()

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        """See `Generator.stream`. The prompt must hold at least one passage."""
        text = f"{quote(prompt.passages[0].text)} [1]"
        yield text
        yield Generation(text, self.version)

    async def open(self) -> None:
        """See `Generator.open`."""

    async def aclose(self) -> None:
        """See `Generator.aclose`."""


def quote(text: str) -> str:
    """Return `text`, or its first whole sentences up to 120 words and an ellipsis when it is longer."""
    if len(text.split()) <= _MAX_WORDS:
        return text.strip()
    end = 0
    for boundary in _SENTENCE_END.finditer(text):
        if len(text[: boundary.start()].split()) > _MAX_WORDS:
            break
        end = boundary.start()
    return (text[:end] or " ".join(text.split()[:_MAX_WORDS])).strip() + " …"
