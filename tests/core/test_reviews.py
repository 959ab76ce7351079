"""What people should look at is told from the reply and the words of the customer alone, the same way every time."""

from __future__ import annotations

import uuid

import pytest

from core.domain import Decision, Lineage, Reason, Reply
from core.reviews import Sign, is_sampled, signs_of
from core.search import Term, moment_of, number_at, terms_of

GOOD = Reply(Decision.DIRECT, Reason.CONFIDENT, "By card.", (), 0.95, Lineage("m", "i", "p", "e", "o"))


def test_the_worst_sign_outweighs_all_others_together() -> None:
    signs = sorted(Sign)
    assert all(worse > sum(signs[:number]) for number, worse in enumerate(signs))
    assert signs[-1] is Sign.UNHELPFUL and signs[0] is Sign.SAMPLED


def test_one_good_turn_in_about_fifty_is_sampled_and_always_the_same() -> None:
    turns = [uuid.uuid5(uuid.NAMESPACE_URL, str(number)).hex for number in range(5000)]
    sampled = [turn for turn in turns if is_sampled(turn)]
    assert 60 < len(sampled) < 140
    assert signs_of(sampled[0], "How do I pay?", GOOD) is Sign.SAMPLED
    assert not is_sampled("turn-1") and not is_sampled("")


@pytest.mark.parametrize(("text", "sign"), [("This is useless", Sign.UNHAPPY), ("How do I pay?", Sign(0))])
def test_who_sounds_angry_is_looked_at(text: str, sign: Sign) -> None:
    assert signs_of("1", text, GOOD) is sign


def test_numbers_sort_by_time_to_the_millisecond() -> None:
    assert moment_of(number_at(moment_of(1_900_000_000_000_000_000))) == moment_of(1_900_000_000_000_000_000)
    assert number_at(moment_of(0)) == 0


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ('reset "my password" conf*', (Term(("reset",)), Term(("my", "password")), Term(("conf",), True))),
        ('un"closed', (Term(("un", "closed")),)),
        ("a-b_c!", (Term(("a", "b", "c")),)),
        ("*** !!! _", ()),
        ("x " * 100, (Term(("x",)),) * 16),
    ],
)
def test_what_is_typed_is_words_phrases_and_beginnings(text: str, terms: tuple[Term, ...]) -> None:
    assert terms_of(text) == terms
