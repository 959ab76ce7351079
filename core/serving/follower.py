"""Follows the registry: what an alias names is loaded beside what serves, probed and put in its place, or all stays as it was."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from core.domain import utc_now
from core.errors import FrontdeskError, ModelError, StorageError
from core.ports import Generator
from core.registry import Alias, Assignment, HostBoard, HostReport, Kind, ModelLoader, ModelRegistry, Seat, Step
from core.serving.canary import Canary
from core.serving.switch import ModelSwitch

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # a promotion made anywhere is known here after at most this long
REPORT_SECONDS = 5.0
_KIND = Kind.GENERATOR
_HOST = "host:"  # begins the actor of what a process gives back

Probe = Callable[[Generator], Awaitable[str]]
Announce = Callable[[str, str], Awaitable[None]]  # text for staff, and a key under which it is said once


@dataclass
class _Followed:
    """How far an alias was followed."""

    move: int = 0
    problem: str = ""
    until_open: bool = False  # the problem is that it could not be opened, and is over when it is


@dataclass
class Follower:
    """Keeps the switches of one process at what the registry says. Only it puts models into them."""

    host_id: str
    registry: ModelRegistry
    board: HostBoard
    loader: ModelLoader
    switches: Mapping[Alias, ModelSwitch]
    canary: Canary
    probe: Probe
    announce: Announce
    last: str = ""
    _followed: dict[Alias, _Followed] = field(default_factory=lambda: {alias: _Followed() for alias in Alias})
    _seen: int = 0

    async def start(self) -> None:
        """Put what the registry names into the switches, not opened yet: the page is up before a model is loaded."""
        for alias, switch in self.switches.items():
            move = await self.registry.current(_KIND, alias)
            if move is None or not move.model_id:
                continue
            try:
                switch.put(await self.loader.load(await self.registry.version(move.model_id)))
            except Exception as error:  # whatever it is, the page must come up and the other aliases serve
                self._failed(alias, error, until_open=True)
            self._followed[alias].move = move.assignment_id
            self._follow_share(alias, move)

    async def open(self) -> None:
        """Open what was put in by `start`; what cannot be opened is reported, the fallback answers or passages are quoted."""
        for alias, switch in self.switches.items():
            try:
                if switch.serves:
                    await switch.open()
                    logger.info("model %r is loaded as %s", switch.version, alias)
            except Exception as error:  # a library's own too
                self._failed(alias, error, until_open=True)
        await self._report()

    async def run(self) -> None:
        """Open, then follow until cancelled."""
        try:
            await self._report()  # whoever waits for all processes must know of this one before its models are loaded
            await self.open()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look_forever())
                tasks.create_task(self._report_forever())
        finally:
            with suppress(StorageError):
                await self.board.leave(self.host_id)

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(StorageError):  # it comes back, and the models serve on meanwhile
                if await self.look():
                    await self._report()

    async def _report_forever(self) -> None:
        """Beside looking: a model that takes minutes to load must not make this process seem dead."""
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            await self._report()

    async def look(self) -> bool:
        """Follow whatever has moved; return whether anything had."""
        newest = await self.registry.newest_move()
        if newest == self._seen:
            return False
        await asyncio.gather(*(self._follow(alias) for alias in self.switches))  # a large champion keeps no challenger from being stopped
        self._seen = newest
        return True

    async def _follow(self, alias: Alias) -> None:
        """Follow one alias until what serves is what it names: it may move again while a model is loaded."""
        followed = self._followed[alias]
        while (move := await self.registry.current(_KIND, alias)) and move.assignment_id != followed.move:
            await self._obey(alias, move)
            followed.move = move.assignment_id

    async def _obey(self, alias: Alias, move: Assignment) -> None:
        switch, followed = self.switches[alias], self._followed[alias]
        before = switch.serves
        if not move.model_id:
            switch.put(None)
            followed.problem = ""
            self.last = f"{alias}: {before or 'nothing'} was taken out. {move.reason}".strip()
            await self.announce(f"No model serves as {alias} any more. {move.reason}".strip(), _key(move))
        elif move.model_id != before or move.step is Step.RELOAD or followed.until_open:
            await self._replace(alias, move, before)
        else:
            followed.problem = ""
            if alias is Alias.CHALLENGER:
                await self.announce(f"Model {move.model_id} serves as {_role(alias, move)} now ({move.actor}).", _key(move))
        self._follow_share(alias, move)

    async def _replace(self, alias: Alias, move: Assignment, before: str) -> None:
        started = time.perf_counter()
        try:
            candidate, said = await self._prepared(move.model_id, anew=move.step is Step.RELOAD)
        except FrontdeskError as error:
            await self._keep(alias, move, before, str(error))
            return
        current = await self.registry.current(_KIND, alias)
        if current is not None and current.assignment_id != move.assignment_id:
            await candidate.aclose()  # it has moved on meanwhile: what was wanted last is the one that counts
            return
        self.switches[alias].put(candidate)
        self._followed[alias].problem = ""
        took = f"{time.perf_counter() - started:.1f} s"
        self.last = f"{alias}: {before or 'nothing'} -> {move.model_id} in {took}, {said}"
        logger.info("%s", self.last)
        await self.announce(
            f"Model {move.model_id} serves as {_role(alias, move)} now (before: {before or 'none'}; {move.step} by {move.actor}; {said}).",
            _key(move),
        )

    async def _prepared(self, model_id: str, *, anew: bool) -> tuple[Generator, str]:
        """Return a generator that is loaded and has passed its probe; one that has not is closed. Raises `ModelError`."""
        candidate: Generator | None = None
        try:
            candidate = await self.loader.load(await self.registry.version(model_id), anew=anew)
            await candidate.open()
            return candidate, await self.probe(candidate)
        except Exception as error:  # a library's own too: the model that serves must not fall with the one that was to follow it
            if candidate is not None:
                await candidate.aclose()
            if isinstance(error, FrontdeskError):
                raise
            raise ModelError(f"{model_id} cannot be served: {type(error).__name__}: {error}") from error

    async def _keep(self, alias: Alias, move: Assignment, before: str, why: str) -> None:
        """Let the model serve on that served before, and see to it that all processes do: there is one clear winner."""
        self._failed(alias, ModelError(why))
        self.last = f"{alias}: kept {before or 'nothing'}, not {move.model_id}: {why}"
        said = f"Model {move.model_id} does not serve as {alias}: {why} {before or 'Nothing'} serves on."
        # What a process has given back is not given back again: two that each serve what the other cannot would never end.
        if before != move.model_id and not move.actor.startswith(_HOST):
            await self._give_back(alias, move, why)
        await self.announce(said, _key(move))

    async def _give_back(self, alias: Alias, move: Assignment, why: str) -> None:
        """Move the alias back to where it was before a move: what others serve, whether or not this process does."""
        history = await self.registry.history(_KIND, alias)
        earlier = next((one for one in history if one.assignment_id < move.assignment_id), None)
        if earlier is not None and earlier.model_id == move.model_id:
            return  # a reload, or another share: the alias was there before
        model_id, share = (earlier.model_id, earlier.share) if earlier else ("", 0)
        step = Step.CLEAR if not model_id else Step.PROMOTE if move.step is Step.ROLLBACK else Step.REVERT
        actor, after = f"{_HOST}{self.host_id}", move.assignment_id
        await self.registry.assign(_KIND, alias, model_id, step, actor, share=share, reason=why[:500], after=after)

    def _failed(self, alias: Alias, error: Exception, *, until_open: bool = False) -> None:
        self._followed[alias].problem, self._followed[alias].until_open = str(error), until_open
        logger.error("%s: %s", alias, error)

    def _follow_share(self, alias: Alias, move: Assignment) -> None:
        if alias is Alias.CHALLENGER:
            self.canary.share = move.share if move.model_id else 0

    async def _report(self) -> None:
        for alias, switch in self.switches.items():
            if self._followed[alias].until_open and switch.is_open:
                self._followed[alias].problem, self._followed[alias].until_open = "", False
        seats = tuple(
            Seat(alias, switch.serves, switch.is_open, switch.load, self._followed[alias].problem)
            for alias, switch in self.switches.items()
            if switch.serves or self._followed[alias].problem
        )
        followed = min(one.move for alias, one in self._followed.items() if alias in self.switches)
        report = HostReport(self.host_id, seats, max(self._seen, followed), self.last, utc_now())
        with suppress(StorageError):
            await self.board.report(report)


def _key(move: Assignment) -> str:
    return f"model-move-{move.assignment_id}"


def _role(alias: Alias, move: Assignment) -> str:
    if alias is not Alias.CHALLENGER:
        return alias
    return f"{alias} for {move.share} % of conversations" if move.share else f"{alias}, silently beside"
