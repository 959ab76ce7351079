"""The search for a recipe is the same each time, begins with the recipe as it is, and outlives trials that fail."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import TrainingError
from core.training.recipe import Recipe, read, toml
from core.training.search import Trial, best, trials

RECIPE = Recipe(rank=6, alpha=12, epochs=2.0, looks=6)


def loss(number: int, recipe: Recipe) -> float:
    """Best at a rate of 1e-3, without dropout."""
    return 0.1 + abs(math.log(recipe.learning_rate / 1e-3)) + recipe.dropout


def told(_trial: Trial) -> None:
    """Tell nobody."""


def test_the_first_trial_is_the_recipe_as_it_is_and_the_best_is_trained_as_long() -> None:
    heard: list[Trial] = []
    found = trials(RECIPE, 12, loss, heard.append)
    assert list(found) == heard and [trial.number for trial in found] == list(range(1, 13))
    first = found[0].recipe
    assert (first.learning_rate, first.rank, first.alpha, first.dropout) == (RECIPE.learning_rate, 6, 12, RECIPE.dropout)
    assert first.epochs == RECIPE.epochs / 4
    assert all(trial.recipe.alpha == 2 * trial.recipe.rank for trial in found)
    won = best(RECIPE, found)
    assert loss(0, won) == min(trial.held_out or 0 for trial in found) < loss(0, RECIPE)
    assert (won.epochs, won.looks) == (RECIPE.epochs, RECIPE.looks)


def test_the_same_recipe_is_searched_the_same_way() -> None:
    assert trials(RECIPE, 8, loss, told) == trials(RECIPE, 8, loss, told) != trials(replace(RECIPE, seed=8), 8, loss, told)


def test_of_a_whole_model_only_the_learning_rate_is_searched() -> None:
    found = trials(replace(RECIPE, adapter="full"), 4, loss, told)
    assert {(trial.recipe.rank, trial.recipe.dropout) for trial in found} == {(RECIPE.rank, RECIPE.dropout)}
    assert len({trial.recipe.learning_rate for trial in found}) == 4


def test_bad_input_trials_that_fail_count_for_nothing_and_all_of_them_are_an_error() -> None:
    def often(number: int, recipe: Recipe) -> float:
        if number % 2:
            raise TrainingError("Nothing was learnt.")
        return loss(number, recipe)

    found = trials(RECIPE, 6, often, told)
    assert [trial.held_out is None for trial in found] == [True, False] * 3
    assert best(RECIPE, found).learning_rate in {trial.recipe.learning_rate for trial in found[1::2]}
    with pytest.raises(TrainingError, match=r"None of 3 trials has learnt anything. The last said: Nothing was learnt\."):
        trials(RECIPE, 3, lambda number, recipe: often(1, recipe), told)


def test_a_recipe_that_was_written_reads_the_same(tmp_path: Path) -> None:
    for recipe in (Recipe(), best(RECIPE, trials(RECIPE, 4, loss, told)), Recipe(packing=True, adapter="full", learning_rate=1e-7)):
        (tmp_path / "recipe.toml").write_text(toml(recipe), encoding="utf-8")
        assert read(tmp_path / "recipe.toml") == recipe
