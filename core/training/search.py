"""A small search for the recipe: learning rate, rank and dropout, judged by the held-out loss of short runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from core.errors import TrainingError
from core.training.recipe import Recipe

if TYPE_CHECKING:
    from optuna.trial import Trial as Asked

_SHORT = 0.25  # of the epochs, for a trial
_LOOKS = 2
_SPREAD = 5.0  # times the learning rate of the recipe, up and down
_RANKS = (4, 8, 16, 32)
_MOST_DROPOUT = 0.2
_AT_RANDOM = 5  # trials, before those that went well say where to look


class Trial(NamedTuple):
    """One short run."""

    number: int
    recipe: Recipe
    held_out: float | None  # nats per answer token, None where nothing came of it
    problem: str = ""


Try = Callable[[int, Recipe], float]  # trains by a recipe for a short time and returns the held-out loss; raises `TrainingError`


def trials(recipe: Recipe, count: int, attempt: Try, tell: Callable[[Trial], None]) -> tuple[Trial, ...]:
    """Return `count` trials, each told to `tell` as well; the first is the recipe as it is. Blocks.

    Values come from optuna's tree-structured Parzen estimator, seeded by the recipe. What fails counts for nothing. Raises `TrainingError`
    when all of them did.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=recipe.seed, n_startup_trials=_AT_RANDOM)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    study.enqueue_trial({"learning_rate": recipe.learning_rate, "rank": recipe.rank, "dropout": recipe.dropout})
    made = []
    for number in range(1, count + 1):
        asked = study.ask()
        trial = _tried(number, _varied(recipe, asked), attempt)
        study.tell(asked, trial.held_out, optuna.trial.TrialState.FAIL if trial.held_out is None else None)
        tell(trial)
        made.append(trial)
    if all(trial.held_out is None for trial in made):
        raise TrainingError(f"None of {count} trials has learnt anything. The last said: {made[-1].problem}")
    return tuple(made)


def best(recipe: Recipe, found: tuple[Trial, ...]) -> Recipe:
    """Return `recipe` with what was best in the trials, for a whole run."""
    won = min((trial for trial in found if trial.held_out is not None), key=lambda trial: trial.held_out or 0.0).recipe
    return replace(won, epochs=recipe.epochs, looks=recipe.looks)


def _tried(number: int, recipe: Recipe, attempt: Try) -> Trial:
    try:
        return Trial(number, recipe, attempt(number, recipe))
    except TrainingError as error:
        return Trial(number, recipe, None, str(error))


def _varied(recipe: Recipe, asked: Asked) -> Recipe:
    """Return a short run of `recipe` with other values, as many digits of them as a person would write."""
    low, high = max(recipe.learning_rate / _SPREAD, 1e-8), min(recipe.learning_rate * _SPREAD, 0.1)
    rate = float(f"{asked.suggest_float('learning_rate', low, high, log=True):.3g}")
    short = replace(recipe, learning_rate=rate, epochs=max(recipe.epochs * _SHORT, 0.01), looks=_LOOKS)
    if recipe.adapter in ("full", "prefix"):  # nothing is put beside its layers
        return short
    rank = asked.suggest_categorical("rank", sorted({*_RANKS, recipe.rank}))
    dropout = round(asked.suggest_float("dropout", 0.0, max(_MOST_DROPOUT, recipe.dropout)), 2)
    alpha = min(max(recipe.alpha * rank // recipe.rank, 1), 1024)  # what is learnt is scaled by alpha / rank
    return replace(short, rank=rank, alpha=alpha, dropout=dropout)
