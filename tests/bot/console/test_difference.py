"""What changed between two texts can be read, is complete, and never takes long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.console.difference import Piece, difference


def test_changed_words_stand_beside_what_stayed() -> None:
    assert difference("A parcel takes 3 days.", "A parcel takes 4 days, abroad 9.") == (
        Piece("same", "A parcel takes "),
        Piece("gone", "3"),
        Piece("new", "4"),
        Piece("same", " days"),
        Piece("new", ", abroad 9"),
        Piece("same", "."),
    )


@given(st.text(), st.text())
def test_both_texts_can_be_put_together_again(old: str, new: str) -> None:
    pieces = difference(old, new)
    assert "".join(piece.text for piece in pieces if piece.kind != "new") == old
    assert "".join(piece.text for piece in pieces if piece.kind != "gone") == new


@pytest.mark.parametrize(
    ("old", "new"),
    [("a b " * 3000, "b a " * 3000), ("a" * 12_000, "b" * 12_000), (". , " * 900, ", . " * 900), ("x\n" * 6000, "y\n" * 6000)],
)
def test_bad_input_two_texts_of_12000_characters_are_compared_in_a_second(old: str, new: str) -> None:
    started = time.perf_counter()
    difference(old, new)
    assert time.perf_counter() - started < 1
