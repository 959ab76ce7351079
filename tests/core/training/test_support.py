"""How well passages support an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.training.evaluation import compared, figures
from core.training.support import entailed, similar
from tests.core.training.test_evaluation import ONE, RIGHT, WRONG
from tests.retrieval.simple import WordEmbedder

WORDS = WordEmbedder()


def follows(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """What is said word for word."""
    return [float(said.rstrip(".") in known) for known, said in pairs]


def test_an_answer_is_as_near_as_its_farthest_sentence() -> None:
    exact, half = ONE, replace(ONE, text="It takes three days. [1] Bananas are yellow fruit.")
    near, far, silent = similar([exact, half, replace(ONE, text="I don't know.")], WORDS.encode)
    assert near.similarity == pytest.approx(1.0)
    assert far.similarity is not None and far.similarity < 0.5
    assert silent.similarity is None
    assert figures([near, silent])["similarity"] == pytest.approx(1.0)
    assert similar([replace(ONE, text="…")], WORDS.encode)[0].similarity is None


@pytest.mark.parametrize(("text", "does"), [
    ("It takes three days. [1]", True), ("It takes three days.", True), ("It costs five euros. It takes three days.", True),
    ("It takes three days. [2]", False), ("It takes three days. [1] It costs nine euros.", False), ("I don't know.", None), ("[1]", None),
])  # fmt: skip
def test_every_sentence_must_follow_from_a_passage_it_names_or_from_any_where_it_names_none(text: str, does: bool | None) -> None:
    assert entailed([replace(ONE, text=text, passages=(RIGHT, WRONG))], follows)[0].entailed is does


def test_entailment_is_compared_where_it_was_judged() -> None:
    good, bad = (entailed([replace(ONE, text=text)] * 5, follows) for text in ("It takes three days.", "It takes nine days."))
    assert compared(bad, good)["entailment"].difference == 1.0
    assert (figures(good)["entailment"], figures(bad)["entailment"]) == (1.0, 0.0)
    assert "entailment" not in compared([ONE], [ONE])
