"""Which wordings are learnt, which judge what was learnt, and which may be neither."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from core.domain import Passage
from core.errors import TrainingError
from core.examples import Example
from core.training.dataset import NO_LONGER_KEPT, NOT_ALLOWED
from core.training.wordings import AMBIGUOUS, Topic, Wordings, answers_alike, refuse_useless, split, topics

PAY = Passage("pay", "pay", "How can I pay?", "By card.", ("Do you take cards?", "payment methods"))
SHIP = Passage("ship", "ship", "How long does shipping take?", "Three days.", ("when will it arrive",))
SECTION = Passage("manual#1", "manual", "Manual > Bills", "Bills come monthly.", curated=False)
NOBODY = frozenset[str]()


def example(question: str, passage_id: str, *, own_words: bool = False, answer: str = "By card.") -> Example:
    return Example("e", question, answer, "correction", "slack", own_words, passage_id)


def test_what_staff_approved_asks_for_its_passage_too() -> None:
    found, left_out = topics([PAY, SHIP, SECTION], [example("is  cash ok?", "pay"), example("gone", "none")], {}, NOBODY)
    assert [topic.name for topic in found] == ["pay", "ship"]
    assert found[0] == Topic("pay", "By card.", ("How can I pay?", "Do you take cards?", "payment methods", "is cash ok?"))
    assert left_out == Counter({NO_LONGER_KEPT: 1})


def test_a_section_is_a_topic_where_staff_said_that_it_answers_or_was_found_in_place_of_what_does() -> None:
    found, _ = topics([PAY, SECTION], [example("when is the bill sent", "manual#1")], {}, NOBODY)
    assert found[1] == Topic("manual#1", "Manual > Bills Bills come monthly.", ("Manual > Bills", "when is the bill sent"))
    found, _ = topics([PAY, SECTION], [], {"pay": frozenset({"manual#1", "pay"})}, NOBODY)
    assert [topic.confused for topic in found] == [frozenset({"manual#1"}), NOBODY]


def test_customers_own_words_are_used_where_the_operator_allows_it_and_nowhere_else_not_even_as_a_faq_row() -> None:
    said = example("payment methods", "pay", own_words=True)
    found, left_out = topics([PAY], [said], {}, NOBODY)
    assert (found[0].questions, left_out) == (("How can I pay?", "Do you take cards?"), Counter({NOT_ALLOWED: 1}))
    found, left_out = topics([PAY], [said], {}, frozenset({"slack"}))
    assert ("payment methods" in found[0].questions, sum(left_out.values())) == (True, 0)


def test_personal_data_in_a_question_is_masked() -> None:
    found, _ = topics([PAY], [example("bill to jo@example.org please", "pay")], {}, NOBODY)
    assert found[0].questions[-1] == "bill to [email] please"


def many(count: int = 40, alternatives: int = 5) -> list[Topic]:
    return [
        Topic(f"t{n}", f"answer {n} says thing{n}", tuple(f"q{n}w{k}a q{n}w{k}b" for k in range(alternatives + 1))) for n in range(count)
    ]


def test_about_the_asked_share_of_alternatives_is_held_out_and_titles_never_are() -> None:
    found = split(many(), Counter(), 0.2)
    assert 20 <= len(found.held_out) <= 60
    assert len(found.held_out) + found.count == 240
    titles = {topic.questions[0] for topic in many()}
    assert titles.isdisjoint(asked.question for asked in found.held_out)
    assert set(found.held_out) == set(split(list(reversed(many())), Counter(), 0.2).held_out)


def test_what_stays_when_rows_are_added_stays_on_its_side() -> None:
    fewer, more = split(many(30), Counter(), 0.2), split(many(40), Counter(), 0.2)
    assert set(fewer.held_out) <= set(more.held_out)


def test_nearly_the_same_words_are_on_one_side() -> None:
    twins = [Topic("a", "A.", ("one two three four five", *(f"one two three four five six{n}" for n in range(30)))), *many(2)]
    assert not [asked for asked in split(twins, Counter(), 0.5).held_out if asked.topic == "a"]


def test_a_question_that_leads_to_two_passages_is_left_out_of_both() -> None:
    found = split([Topic("a", "A.", ("same", "one")), Topic("b", "B.", ("Same", "two"))], Counter(), 0.01)
    assert [topic.questions for topic in found.topics] == [("one",), ("two",)]
    assert found.left_out == Counter({AMBIGUOUS: 2})


def test_a_pair_says_it_differently_and_passes_differ() -> None:
    found = split(many(), Counter(), 0.1)
    pairs = found.pairs(1)
    assert len(pairs) == found.count
    for pair in pairs:
        topic = found.topics[pair.topic]
        assert pair.anchor != pair.positive and pair.positive in (*topic.questions, topic.answer)
    assert pairs == found.pairs(1) != found.pairs(2)
    alone = split([Topic("a", "A.", ("one two three", "one two three!")), *many(1)], Counter(), 0.01)
    assert {pair.positive for pair in alone.pairs(1) if pair.topic == 0} == {"A."}


def test_passages_that_answer_the_same_are_known() -> None:
    assert answers_alike([Topic("a", "By card.", ()), Topic("b", "by card", ()), Topic("c", "By post.", ())]) == ["a", "a", "c"]


def test_the_hash_is_of_every_text_and_its_part() -> None:
    found = split(many(), Counter(), 0.2)
    assert found.sha256 == split(many(), Counter(), 0.2).sha256
    others = [split(many(), Counter(), 0.3), replace(found, topics=found.topics[1:]), replace(found, held_out=found.held_out[1:])]
    assert found.sha256 not in {other.sha256 for other in others}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "0 wordings to learn from and 0 to judge by"),
        (many(3, 0), "3 wordings to learn from and 0 to judge by; 8 and 1 are the fewest .* more alternatives"),
        (many(1, 40), "lead to the same answer"),
        ([replace(topic, answer="The same.") for topic in many(10)], "lead to the same answer"),
    ],
)
def test_bad_input_too_few_wordings_or_one_answer_are_refused(rows: list[Topic], told: str) -> None:
    found: Wordings = split(rows, Counter(), 0.3)
    with pytest.raises(TrainingError, match=told):
        refuse_useless(found)
