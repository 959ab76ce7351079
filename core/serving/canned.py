"""Scripted answers: a generator for tests, fed with what it shall say."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator

from core.domain import Generation, Limits, Prompt, Usage
from core.registry import Load


class CannedGenerator:
    """`Generator` that says the enqueued texts in turn, or raises an enqueued exception; it remembers the prompts it got."""

    version = "canned"
    is_open = True
    load = Load()

    def __init__(self, *script: str | Exception) -> None:
        self.prompts: list[Prompt] = []
        self._script = deque(script)

    def enqueue(self, *script: str | Exception) -> None:
        """Add to what will be said."""
        self._script.extend(script)

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        """See `Generator.stream`; one piece per word."""
        self.prompts.append(prompt)
        said = self._script.popleft()
        if isinstance(said, Exception):
            raise said
        for word in said.split(" "):
            yield word + " "
        yield Generation(said, self.version, usage=Usage(len(prompt.question.split()), len(said.split())))

    async def open(self) -> None:
        """See `Generator.open`."""

    async def aclose(self) -> None:
        """See `Generator.aclose`."""
