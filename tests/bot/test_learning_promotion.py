"""A version that has passed takes the place of the one it was compared with, and of no other; one that was not judged yet will be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bot.bootstrap import frontdesk
from bot.bootstrap_learning import learnt_before, promoted, run_book_of
from bot.bootstrap_training import origin_of, trained_from
from bot.settings import read
from core.domain import utc_now
from core.errors import TrainingError
from core.learning import LearningRun, State
from core.registry import Alias, Kind, ModelVersion, Step
from core.training.recipe import Recipe
from tests.bot.test_cli import run

RUN = LearningRun("run-7", Kind.GENERATOR, "schedule", State.RUNNING, utc_now(), None, "new@3", "old@1", "It is better.")


async def test_what_somebody_else_promoted_while_a_run_went_on_is_not_replaced() -> None:
    async with frontdesk(read(), lambda line: None) as graph:
        for model_id in ("old@1", "other@2", "new@3"):
            await graph.model_registry.register(ModelVersion(model_id, Kind.GENERATOR, model_id))
        for model_id in ("old@1", "other@2"):
            await graph.model_registry.assign(Kind.GENERATOR, Alias.CHAMPION, model_id, Step.PROMOTE, "cli:eve")
        ended = await promoted(graph, RUN)
        assert ended.state is State.CHALLENGER
        assert ended.reason.startswith("It is better. But it was not promoted: other@2 serves since ")
        current = await graph.model_registry.current(Kind.GENERATOR, Alias.CHAMPION)
        assert current is not None and current.model_id == "other@2"


async def test_a_version_whose_run_was_stopped_before_it_was_judged_is_no_reason_to_learn_nothing() -> None:
    recipe = Recipe()
    async with frontdesk(read(), lambda line: None) as graph:
        made = ModelVersion("new@3", Kind.GENERATOR, "artifact:new@3", "org/base", recipe=f"{recipe} code=1", dataset_sha256="7" * 64)
        await graph.model_registry.register(made)
        assert await learnt_before(graph, "7" * 64, recipe, "org/base", "old@1") == ""
        await run_book_of(graph).begin(RUN)
        await run_book_of(graph).end(replace(RUN, state=State.CHALLENGER))
        assert await learnt_before(graph, "7" * 64, recipe, "org/base", "old@1") == "new@3"


async def test_a_whole_model_goes_back_to_the_beginning_of_all_that_it_was_trained_from() -> None:
    async with frontdesk(read(), lambda line: None) as graph:
        for model_id, base in (("first@1", "org/base"), ("second@2", "first@1"), ("ring@3", "ring@3"), ("away@4", "")):
            made = ModelVersion(model_id, Kind.GENERATOR, f"artifact:{model_id}")
            await graph.model_registry.register(made)
            if base:
                (graph.settings.artifacts / model_id).mkdir(parents=True)
                (graph.settings.artifacts / model_id / "frontdesk-run.json").write_text(json.dumps({"base": base}), encoding="utf-8")
        found = [await origin_of(graph, one) for one in sorted(await graph.model_registry.versions(), key=lambda one: one.model_id[-1])]
        assert found == ["org/base", "org/base", "ring@3", ""]
        adapter = ModelVersion("adapter@5", Kind.GENERATOR, "artifact:adapter@5", "artifact:second@2")
        assert trained_from(graph, adapter) == "artifact:second@2"


def test_bad_input_a_recipe_of_preferences_is_refused_with_the_command_that_takes_it() -> None:
    Path("recipe.toml").write_text('method = "dpo"', encoding="utf-8")
    with pytest.raises(TrainingError, match=r"method is 'dpo', not sft\. Run: frontdesk train preferences"):
        run("learn", "--recipe", "recipe.toml")


def test_bad_input_several_processes_do_not_begin_a_run_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="without accelerate launch"):
        run("learn")
