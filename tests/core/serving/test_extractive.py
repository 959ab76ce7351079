"""A quote is whole sentences of the best passage, never half of one when there is a whole one."""

from __future__ import annotations

import pytest

from core.serving.extractive import quote


def sentences(count: int, words: int, end: str = ".") -> str:
    return " ".join(f"{'word ' * (words - 1)}s{number}{end}" for number in range(count))


def test_a_short_passage_is_quoted_whole_with_its_lines() -> None:
    assert quote("  One.\n\n- two\n- three ") == "One.\n\n- two\n- three"


def test_a_passage_of_just_the_limit_is_quoted_whole() -> None:
    assert quote(sentences(4, 30)) == sentences(4, 30)


@pytest.mark.parametrize("end", [".", "!", "?", "。"])
def test_a_long_passage_is_cut_behind_its_last_sentence_that_fits(end: str) -> None:
    assert quote(sentences(7, 50, end)) == sentences(2, 50, end) + " …"


def test_paragraphs_without_full_stops_are_cut_between_paragraphs() -> None:
    assert quote("\n\n".join(["word " * 79 + "end"] * 3)).split() == [*["word"] * 79, "end", "…"]


def test_a_first_sentence_that_is_too_long_is_cut_behind_a_word() -> None:
    assert quote("word " * 500).split() == ["word"] * 120 + ["…"]


def test_an_empty_passage_is_an_empty_quote() -> None:
    assert quote("") == ""
