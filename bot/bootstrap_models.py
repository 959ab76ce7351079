"""The models' part of the object graph; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bot import bootstrap_shipped
from bot.bootstrap import Frontdesk
from core import prompting
from core.dialogue.grounding import ground
from core.domain import Generation, Prompt
from core.errors import ModelError, SettingsError
from core.ports import Generator
from core.registry import EXTRACTIVE, REMOTE, Alias, Kind, ModelVersion, Step, VersionRecord
from core.serving import weights
from core.serving.bases import SharedBases
from core.serving.canary import Canary
from core.serving.endpoints import EndpointPool
from core.serving.follower import Follower
from core.serving.guard import Guard
from core.serving.inspection import inspect
from core.serving.loader import Loader
from core.serving.local import LocalGenerator, best_device
from core.serving.probe import Golden, probe, read
from core.serving.remote import RemoteGenerator
from core.serving.remote_server import OpenAIServer
from core.serving.resilient import ResilientGenerator
from core.serving.switch import ModelSwitch
from core.storage.drafts import SqlDrafts

SETTINGS = "settings"  # the actor of what serves because a setting says so
AUTO = "auto"
SHIPPED = "shipped"  # the location of the adapter that comes with Frontdesk, until it is taken in
_QUOTING = ModelVersion(EXTRACTIVE, Kind.GENERATOR, EXTRACTIVE, created_by=SETTINGS)
_MOST_MOVES = 1000  # of the history; a setting that was followed longer ago is followed again


@dataclass(frozen=True)
class Models:
    """What serves models in one process; `follower` must be started before `generator` is asked."""

    generator: Generator
    follower: Follower
    guard: Guard


async def generator_of(graph: Frontdesk) -> Generator:
    """Return the model that serves, or that the settings of this process name: for one that answers a question or two and ends."""
    models = _assembled(graph)
    await models.follower.start()
    for alias, model_id in (await _named_by_settings(graph)).items():
        models.follower.switches[alias].put(await models.follower.loader.load(await graph.model_registry.version(model_id)))
    return models.generator


async def version_of(graph: Frontdesk, model_id: str | None) -> ModelVersion:
    """Return a registered version, None: the one that serves, or that the settings name. Raises `ModelError`."""
    named = (await _named_by_settings(graph)).get(Alias.CHAMPION, "")
    current = await graph.model_registry.current(Kind.GENERATOR, Alias.CHAMPION)
    return await graph.model_registry.version(model_id or named or (current.model_id if current else EXTRACTIVE))


async def models_of(graph: Frontdesk) -> Models:
    """Return what serves models, what the settings name being registered. Raises `ModelError` when that cannot be had."""
    await follow_settings(graph)
    return _assembled(graph)


async def follow_settings(graph: Frontdesk, *, only_first: bool = False) -> None:
    """Promote what settings name anew; `only_first`: where nothing was ever promoted, so that there is something to go back to."""
    for alias, model_id in (await _named_by_settings(graph)).items():
        current = await graph.model_registry.current(Kind.GENERATOR, alias)
        if current is None or not only_first:
            after = current.assignment_id if current else 0
            await graph.model_registry.assign(Kind.GENERATOR, alias, model_id, Step.PROMOTE, SETTINGS, after=after)


def _assembled(graph: Frontdesk) -> Models:
    switches = {alias: ModelSwitch(alias) for alias in Alias}
    champion = ResilientGenerator(switches[Alias.CHAMPION], switches[Alias.FALLBACK])
    canary = Canary(champion, switches[Alias.CHALLENGER], partial(_shadowed, graph), partial(_failed, graph))
    follower = Follower(
        host_id=f"{socket.gethostname()}:{os.getpid()}",
        registry=graph.model_registry,
        board=graph.host_board,
        loader=loader_of(graph),
        switches=switches,
        canary=canary,
        probe=partial(_probed, golden=_golden(graph)),
        announce=partial(announce, graph),
    )
    return Models(canary, follower, Guard(graph.model_registry, graph.version_log))


async def tried(graph: Frontdesk, model_id: str) -> str:
    """Load a version, ask it the golden questions and free it; return how it went. Raises `ModelError`."""
    generator = await loader_of(graph).load(await graph.model_registry.version(model_id))
    try:
        await generator.open()
        return await _probed(generator, _golden(graph))
    finally:
        await generator.aclose()


async def announce(graph: Frontdesk, text: str, key: str, run_id: str = "") -> None:
    """Tell the staff of every platform that has a channel for them, once for each key; news of a run carry its buttons."""
    drafts = SqlDrafts(graph.database)
    asked = {"slack": graph.settings.slack.staff_channel, "discord": graph.settings.discord.staff_channel}
    for platform in (platform for platform, channel in asked.items() if channel):
        await drafts.announce(platform, text, key, run_id)
    graph.ring()


def _golden(graph: Frontdesk) -> tuple[Golden, ...]:
    return read(Path(graph.settings.golden_questions) if graph.settings.golden_questions else None)


async def _probed(generator: Generator, golden: Sequence[Golden]) -> str:
    if generator.version == EXTRACTIVE:
        return "passages are quoted"
    return await probe(generator, golden)


async def _shadowed(graph: Frontdesk, generation: Generation, prompt: Prompt, seconds: float) -> None:
    """Keep what would have become of an answer that nobody saw, not its text."""
    abstained = prompting.abstains(generation.text)
    record = VersionRecord(seconds, abstained, quoted=not abstained and ground(generation, prompt) is None, helpful=None)
    await graph.version_log.add(generation.model_version, record)


async def _failed(graph: Frontdesk, version: str, seconds: float) -> None:
    """Count an answer that a challenger did not write: one that no passage backs, so that it is stopped like one that writes nonsense."""
    await graph.version_log.add(version, VersionRecord(seconds, abstained=False, quoted=True, helpful=None))


def loader_of(graph: Frontdesk) -> Loader:
    """What opens each version as this process is set."""
    settings = graph.settings

    bases = SharedBases()

    def local(found: weights.Weights, version: str, adapter: Path | None, anew: bool) -> Generator:
        return LocalGenerator(found, settings.device, version=version, adapter=adapter, bases=bases, anew=anew)

    return Loader(graph.artifacts, local, partial(_remote, graph))


def _remote(graph: Frontdesk, name: str, version: str, adapter: str = "") -> RemoteGenerator:
    """A generator with endpoints of its own: it closes them. Raises `SettingsError`."""
    asked = graph.settings.remote
    if not name or not asked.addresses:
        raise SettingsError(f"{REMOTE}{name} needs the name of a model after the colon, and remote.urls: http://HOST:8000/v1")
    return RemoteGenerator(EndpointPool([OpenAIServer(url, asked.api_key) for url in asked.addresses]), name, version, adapter)


async def endpoints(graph: Frontdesk) -> Mapping[str, str]:
    """What is wrong with each endpoint of the remote models that serve or are configured, empty where nothing is, by model and address."""
    found: dict[str, str] = {}
    moves = [await graph.model_registry.current(Kind.GENERATOR, alias) for alias in Alias]
    serving = [(await graph.model_registry.version(move.model_id)).location for move in moves if move and move.model_id]
    for location in dict.fromkeys([*serving, graph.settings.model, graph.settings.fallback_model]):
        if location.startswith(REMOTE):
            async with aclosing(_remote(graph, location.removeprefix(REMOTE), location)) as generator:
                found |= {f"{location} at {url}": problem for url, problem in (await generator.look()).items()}
    return found


async def _named_by_settings(graph: Frontdesk) -> dict[Alias, str]:
    """Return the versions that settings name anew: where a setting is as it was, what admins have promoted since then wins."""
    await graph.model_registry.register(_QUOTING)  # anybody may promote it: no model at all
    found: dict[Alias, str] = {}
    for alias, model in {Alias.CHAMPION: graph.settings.model, Alias.FALLBACK: graph.settings.fallback_model}.items():
        current = await graph.model_registry.current(Kind.GENERATOR, alias)
        serves = current is not None and bool(current.model_id)
        if model == AUTO and serves:
            await bootstrap_shipped.unpack(graph, current.model_id if current else "", SETTINGS)
        if not model or (model == AUTO and serves):
            continue
        location = await asyncio.to_thread(chosen_model, graph) if model == AUTO else model
        model_id = await _registered(graph, location)
        moves = await graph.model_registry.history(Kind.GENERATOR, alias, _MOST_MOVES)
        mine = next((move.model_id for move in moves if move.actor == SETTINGS), None)
        if mine != model_id or not serves:
            found[alias] = model_id
    return found


async def _registered(graph: Frontdesk, location: str) -> str:
    """Return the id of the version that a setting names, registered if it was not. Raises `ModelError` when it cannot be had."""
    if location.startswith(REMOTE):
        await _remote(graph, location.removeprefix(REMOTE), location).aclose()  # what it misses is told before anything is served
    if location == SHIPPED:
        return await bootstrap_shipped.registered(graph, SETTINGS)
    registry, is_folder = graph.model_registry, Path(location).expanduser().is_dir()
    if not is_folder:
        known = next((one.model_id for one in await registry.versions(Kind.GENERATOR) if one.location == location and not one.base), None)
        if known:
            return known  # its files are checked when it is loaded
    version = await asyncio.to_thread(as_version, graph, location, is_folder)
    with suppress(ModelError):  # not yet known
        return (await registry.version(version.model_id)).model_id
    await registry.register(version)
    return version.model_id


def as_version(graph: Frontdesk, location: str, is_folder: bool, kind: Kind = Kind.GENERATOR) -> ModelVersion:
    """Return a model of the settings as a version; a folder stays where it is, under the name that indexes and answers know it by."""
    if not is_folder:
        return graph.artifacts.take(location, kind=kind, actor=SETTINGS)
    found = weights.resolve(location, graph.settings.model_dir, graph.report)
    return ModelVersion(found.version, kind, location, files=inspect(found.folder), created_by=SETTINGS)


def chosen_model(graph: Frontdesk) -> str:
    """Return the location of the best model that is at hand without the network; `SHIPPED` stands for the adapter of the small one."""
    location = _chosen_base(graph)
    if location == EXTRACTIVE:
        graph.report("No language model is at hand: answers quote the best passage. See: frontdesk doctor")
    return SHIPPED if location == weights.SMOLLM and bootstrap_shipped.is_there() else location


def chosen_base(graph: Frontdesk) -> str:
    """Return the location of the best model at hand that has weights to train. Raises `ModelError` when there is none."""
    location = _chosen_base(graph)
    if location == EXTRACTIVE:
        raise ModelError("No language model is at hand to train. Name one: --base MODEL. See: frontdesk doctor")
    return location


def _chosen_base(graph: Frontdesk) -> str:
    model_dir = graph.settings.model_dir
    if best_device() == "cuda" and weights.available_offline(weights.QWEN, model_dir):
        return weights.QWEN
    return weights.SMOLLM if weights.available_offline(weights.SMOLLM, model_dir) else EXTRACTIVE
