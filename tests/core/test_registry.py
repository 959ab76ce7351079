"""The history of a champion is read as a stack: promotions push, rollbacks and reverts pop."""

from __future__ import annotations

import pytest

from core.domain import utc_now
from core.registry import Alias, Assignment, Kind, Step, served_before

PROMOTE, ROLLBACK, REVERT, RELOAD, CLEAR = Step.PROMOTE, Step.ROLLBACK, Step.REVERT, Step.RELOAD, Step.CLEAR


def history(*moves: tuple[Step, str]) -> tuple[Assignment, ...]:
    """Moves told oldest first, as the registry gives them: newest first."""
    rows = [Assignment(n, Kind.GENERATOR, Alias.CHAMPION, model, step, 0, "ann", "", utc_now()) for n, (step, model) in enumerate(moves, 1)]
    return tuple(reversed(rows))


@pytest.mark.parametrize(
    ("moves", "before"),
    [
        ([], None),
        ([(PROMOTE, "a")], None),
        ([(PROMOTE, "a"), (PROMOTE, "b")], "a"),
        ([(PROMOTE, "a"), (PROMOTE, "b"), (PROMOTE, "c")], "b"),
        ([(PROMOTE, "a"), (PROMOTE, "b"), (RELOAD, "b")], "a"),
        ([(PROMOTE, "a"), (PROMOTE, "b"), (PROMOTE, "b")], "a"),
    ],
)
def test_the_version_before_is_the_one_promoted_before(moves: list[tuple[Step, str]], before: str | None) -> None:
    assert served_before(history(*moves)) == before


def test_two_rollbacks_in_a_row_go_back_two_versions_not_to_and_fro() -> None:
    moves = [(PROMOTE, "a"), (PROMOTE, "b"), (PROMOTE, "c"), (ROLLBACK, "b")]
    assert served_before(history(*moves)) == "a"
    assert served_before(history(*moves, (ROLLBACK, "a"))) is None


def test_a_revert_counts_as_if_the_promotion_had_not_been() -> None:
    assert served_before(history((PROMOTE, "a"), (PROMOTE, "b"), (PROMOTE, "broken"), (REVERT, "b"))) == "a"


def test_what_is_promoted_after_a_rollback_leads_back_to_what_served_meanwhile() -> None:
    assert served_before(history((PROMOTE, "a"), (PROMOTE, "b"), (ROLLBACK, "a"), (PROMOTE, "c"))) == "a"


def test_a_rollback_of_nothing_changes_nothing() -> None:
    assert served_before(history((ROLLBACK, "a"), (PROMOTE, "a"), (PROMOTE, "b"))) == "a"
    assert served_before(history((PROMOTE, "a"), (CLEAR, ""), (PROMOTE, "b"))) is None  # a could not be served
