"""Models whose every word names the version that wrote it, a loader of them, and all that a process needs to follow a registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from core.domain import Generation, Limits, Prompt
from core.errors import ModelError
from core.ports import Generator
from core.registry import Alias, Kind, Load, ModelRegistry, ModelVersion, Step
from core.serving.canary import Canary
from core.serving.follower import Follower
from core.serving.switch import ModelSwitch
from core.storage.memory_models import MemoryHostBoard, MemoryModelRegistry

PROMPT = Prompt("system", (), (), "How do I pay?", "v1", "slack/T/C/1")


@dataclass(eq=False)
class Versioned:
    """A generator that says its version three times; with a `gate` it waits before the second."""

    version: str
    gate: asyncio.Event | None = None
    refusal: Exception | None = None  # raised when it is opened
    failure: Exception | None = None  # raised instead of the first piece
    load: Load = Load(1, 2, 30.0)
    is_open: bool = False
    opened: int = 0
    closed: int = 0
    prompts: list[Prompt] = field(default_factory=list)

    async def open(self) -> None:
        self.opened += 1
        if self.refusal:
            raise self.refusal
        self.is_open = True

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        assert not self.closed, f"{self.version} was closed and is asked"
        self.prompts.append(prompt)
        if self.failure:
            raise self.failure
        for number in range(3):
            if number == 1 and self.gate is not None:
                await self.gate.wait()
            assert not self.closed, f"{self.version} was closed while it wrote"
            yield f"{self.version} "
        yield Generation(" ".join([self.version] * 3), self.version)

    async def aclose(self) -> None:
        self.closed += 1
        self.is_open = False


@dataclass
class Shelf:
    """`ModelLoader` of what a test puts in; every load makes a new generator, `loaded` has them all."""

    made: dict[str, Versioned] = field(default_factory=dict)
    loaded: list[Versioned] = field(default_factory=list)

    async def load(self, version: ModelVersion, *, anew: bool = False) -> Generator:
        like = self.made.get(version.model_id, Versioned(version.model_id))
        self.loaded.append(Versioned(like.version, like.gate, like.refusal, like.failure))
        return self.loaded[-1]

    def of(self, model_id: str) -> list[Versioned]:
        return [one for one in self.loaded if one.version == model_id]


@dataclass
class Host:
    """A process that follows a registry; `refused` are versions that fail their probe here."""

    registry: ModelRegistry = field(default_factory=MemoryModelRegistry)
    board: MemoryHostBoard = field(default_factory=MemoryHostBoard)
    name: str = "host-1"
    shelf: Shelf = field(default_factory=Shelf)
    refused: dict[str, str] = field(default_factory=dict)
    news: list[tuple[str, str]] = field(default_factory=list)
    shadows: list[tuple[str, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.switches = {alias: ModelSwitch(alias) for alias in Alias}
        self.canary = Canary(self.switches[Alias.CHAMPION], self.switches[Alias.CHALLENGER], self._shadowed, self._failure)
        self.follower = Follower(self.name, self.registry, self.board, self.shelf, self.switches, self.canary, self._probe, self._announce)

    @property
    def champion(self) -> str:
        return self.switches[Alias.CHAMPION].serves

    async def promote(self, model_id: str, alias: Alias = Alias.CHAMPION, step: Step = Step.PROMOTE, share: int = 0) -> int:
        await self.registry.register(ModelVersion(model_id, Kind.GENERATOR, model_id))
        return await self.registry.assign(Kind.GENERATOR, alias, model_id, step, "ada", share=share) or 0

    async def _shadowed(self, generation: Generation, prompt: Prompt, seconds: float) -> None:
        self.shadows.append((generation.model_version, seconds))

    async def _failure(self, version: str, seconds: float) -> None:
        self.failures.append(version)

    async def _probe(self, generator: Generator) -> str:
        if why := self.refused.get(generator.version):
            raise ModelError(why)
        return "probe 1 of 1"

    async def _announce(self, text: str, key: str) -> None:
        self.news.append((text, key))


async def written(generator: Generator, prompt: Prompt = PROMPT) -> Generation:
    """The end of an answer, left there as the engine leaves it; every piece before it names the same version, or this fails."""
    pieces: list[str] = []
    async with aclosing(generator.stream(prompt, Limits())) as stream:
        async for piece in stream:
            if isinstance(piece, Generation):
                assert {one.strip() for one in pieces} == {piece.model_version}
                return piece
            pieces.append(piece)
    raise AssertionError("it ended without a result")
