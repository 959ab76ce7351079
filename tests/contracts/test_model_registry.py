"""Versions never change, aliases move one at a time, and what was moved is kept, in memory and on every database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import ModelError
from core.registry import Alias, Kind, ModelFile, ModelRegistry, ModelVersion, Step
from core.storage.database import Database
from core.storage.memory_models import MemoryModelRegistry
from core.storage.model_registry import SqlModelRegistry

NOON = datetime(2026, 11, 27, 12, 0, 0, 123456, UTC)
FIRST = ModelVersion(
    "support@1a2b3c4d5e6f", Kind.GENERATOR, "artifact:support@1a2b3c4d5e6f", "org/base",
    (ModelFile("adapter_model.safetensors", 2**40, "a" * 64),),
    "lora-16", "b" * 64, {"rouge_l": 0.1 + 0.2, "n": 500}, "Apache-2.0", "ann", NOON,
)  # fmt: skip
SECOND = replace(FIRST, model_id="support@222222222222", created_at=NOON + timedelta(seconds=1))
EMBEDDER = ModelVersion("mini@333333333333", Kind.EMBEDDER, "org/mini", created_at=NOON - timedelta(days=1))
CHAMPION = (Kind.GENERATOR, Alias.CHAMPION)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def registry(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> ModelRegistry:
    found = MemoryModelRegistry() if request.param == "memory" else SqlModelRegistry(await open_database(request.param))
    for version in (FIRST, SECOND, EMBEDDER):
        await found.register(version)
    return found


async def test_a_version_comes_back_as_it_was_registered(registry: ModelRegistry) -> None:
    assert await registry.version(FIRST.model_id) == FIRST


async def test_versions_are_listed_newest_first_and_by_kind(registry: ModelRegistry) -> None:
    assert await registry.versions() == (SECOND, FIRST, EMBEDDER)
    assert await registry.versions(Kind.EMBEDDER) == (EMBEDDER,)
    assert await registry.versions(Kind.CLASSIFIER) == ()


async def test_the_same_version_twice_is_one_and_the_first_stays(registry: ModelRegistry) -> None:
    await registry.register(replace(FIRST, created_by="bob", created_at=NOON + timedelta(days=1), scores={"rouge_l": 0.9}))
    assert await registry.version(FIRST.model_id) == FIRST


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (replace(FIRST, files=()), "another files"),
        (replace(FIRST, base="org/other", licence="MIT"), "another base and licence"),
        (replace(FIRST, kind=Kind.CLASSIFIER), "another kind"),
    ],
)
async def test_an_id_is_never_registered_with_other_content(other: ModelVersion, named: str, registry: ModelRegistry) -> None:
    with pytest.raises(ModelError, match=f"'support@1a2b3c4d5e6f' is registered with {named}"):
        await registry.register(other)
    assert await registry.version(FIRST.model_id) == FIRST


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (replace(FIRST, model_id=""), "1 to 200 characters, not 0"),
        (replace(FIRST, model_id="x" * 201), "not 201"),
        (replace(FIRST, model_id="new", scores={"loss": float("nan")}), "'loss' of 'new' is no finite number"),
    ],
)
async def test_what_no_database_keeps_is_refused(given: ModelVersion, told: str, registry: ModelRegistry) -> None:
    with pytest.raises(ModelError, match=told):
        await registry.register(given)
    assert len(await registry.versions()) == 3


async def test_texts_that_postgresql_refuses_are_cleaned(registry: ModelRegistry) -> None:
    await registry.register(replace(FIRST, model_id="odd\x00@1", licence="MIT\ud800", scores={"n\x00": 1}))
    kept = await registry.version("odd@1")
    assert (kept.licence, kept.scores) == ("MIT", {"n": 1.0})


async def test_an_unknown_version_is_refused_with_the_nearest_known_one(registry: ModelRegistry) -> None:
    with pytest.raises(ModelError, match=r"No model 'support@1a2b3c4d5e6' is registered. Did you mean 'support@1a2b3c4d5e6f'"):
        await registry.version("support@1a2b3c4d5e6")
    with pytest.raises(ModelError, match="See: frontdesk models list"):
        await registry.version("zzz")


@pytest.mark.parametrize("forged", ["", "a\x00b", "\ud800", "' OR 1=1 --", "x" * 500])
async def test_a_forged_id_is_a_version_that_does_not_exist(forged: str, registry: ModelRegistry) -> None:
    with pytest.raises(ModelError, match="is registered"):
        await registry.version(forged)


async def test_an_alias_that_was_never_moved_is_under_nothing(registry: ModelRegistry) -> None:
    assert await registry.current(*CHAMPION) is None
    assert await registry.history(*CHAMPION) == ()
    assert await registry.newest_move() == 0


async def test_the_newest_move_of_an_alias_counts_and_all_are_kept(registry: ModelRegistry) -> None:
    first = await registry.assign(*CHAMPION, FIRST.model_id, Step.PROMOTE, "ann")
    await registry.assign(Kind.GENERATOR, Alias.CHALLENGER, SECOND.model_id, Step.PROMOTE, "bob", share=10, reason="looks better")
    second = await registry.assign(*CHAMPION, SECOND.model_id, Step.PROMOTE, "bob")
    cleared = await registry.assign(*CHAMPION, "", Step.CLEAR, "ann")
    moves = await registry.history(*CHAMPION)
    assert [(move.assignment_id, move.model_id, move.step, move.actor) for move in moves] == [
        (cleared, "", Step.CLEAR, "ann"),
        (second, SECOND.model_id, Step.PROMOTE, "bob"),
        (first, FIRST.model_id, Step.PROMOTE, "ann"),
    ]
    assert await registry.current(*CHAMPION) == moves[0]
    assert await registry.history(*CHAMPION, limit=2) == moves[:2]
    challenger = await registry.current(Kind.GENERATOR, Alias.CHALLENGER)
    assert challenger is not None
    assert (challenger.share, challenger.reason, challenger.assigned_at.tzinfo is None) == (10, "looks better", False)
    assert await registry.newest_move() == cleared


async def test_only_a_known_version_of_the_right_kind_gets_an_alias(registry: ModelRegistry) -> None:
    with pytest.raises(ModelError, match=r"No model 'suport@1a2b3c4d5e6f' is registered. Did you mean 'support@1a2b3c4d5e6f'"):
        await registry.assign(*CHAMPION, "suport@1a2b3c4d5e6f", Step.PROMOTE, "ann")
    with pytest.raises(ModelError, match="'mini@333333333333' is registered as embedder, not as generator"):
        await registry.assign(*CHAMPION, EMBEDDER.model_id, Step.PROMOTE, "ann")
    assert await registry.newest_move() == 0


async def test_a_move_after_another_one_than_expected_is_not_made(registry: ModelRegistry) -> None:
    assert await registry.assign(*CHAMPION, FIRST.model_id, Step.PROMOTE, "ann", after=7) is None
    first = await registry.assign(*CHAMPION, FIRST.model_id, Step.PROMOTE, "ann", after=0)
    assert first is not None
    await registry.assign(Kind.EMBEDDER, Alias.CHAMPION, EMBEDDER.model_id, Step.PROMOTE, "ann", after=0)
    assert await registry.assign(*CHAMPION, SECOND.model_id, Step.PROMOTE, "bob", after=0) is None
    assert await registry.assign(*CHAMPION, SECOND.model_id, Step.PROMOTE, "bob", after=first) is not None
    assert len(await registry.history(*CHAMPION)) == 2


async def test_bad_input_65_of_movers_at_once_exactly_one_wins_each_round(registry: ModelRegistry) -> None:
    newest = 0
    for _ in range(5):
        race = (registry.assign(*CHAMPION, FIRST.model_id, Step.RELOAD, f"mover {number}", after=newest) for number in range(8))
        (newest,) = [won for won in await asyncio.gather(*race) if won is not None]
    moves = await registry.history(*CHAMPION)
    assert (moves[0].assignment_id, len(moves)) == (newest, 5)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_bad_input_65_of_movers_in_two_processes_exactly_one_wins(
    kind: str, open_database: Callable[[str], Awaitable[Database]]
) -> None:
    mine = await open_database(kind)
    theirs = Database(mine.engine.url.render_as_string(hide_password=False))
    pair = (SqlModelRegistry(mine), SqlModelRegistry(theirs))
    await pair[0].register(FIRST)
    newest = 0
    for _ in range(10):
        won = await asyncio.gather(*(one.assign(*CHAMPION, FIRST.model_id, Step.RELOAD, "a", after=newest) for one in pair))
        (newest,) = [move for move in won if move is not None]
    await theirs.close()


@pytest.mark.parametrize("kind", ["postgresql"])
async def test_moves_are_committed_in_the_order_of_their_ids(kind: str, open_database: Callable[[str], Awaitable[Database]]) -> None:
    """Who follows the newest move must not miss one with a smaller id that is committed later."""
    database = await open_database(kind)
    registry = SqlModelRegistry(database)
    await registry.register(FIRST)
    async with database.write() as connection:
        await registry._queue_up(connection)  # somebody is between their id and their commit
        other = asyncio.create_task(registry.assign(*CHAMPION, FIRST.model_id, Step.PROMOTE, "bob"))
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'model_moves'::regclass"
        while not (await connection.exec_driver_sql(waits)).scalar():
            assert not other.done()
        assert await registry.newest_move() == 0
    assert await other == await registry.newest_move()
