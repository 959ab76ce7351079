"""In a batch every other answer is wrong: each topic once, none that answers the same, half of it hard."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from core.training.seating import batches


@given(st.lists(st.integers(0, 9), max_size=80), st.lists(st.sampled_from("abcdefgh"), min_size=10, max_size=10), st.integers(2, 12))
def test_no_batch_holds_two_that_answer_the_same_and_none_is_there_twice(topics: list[int], alike: list[str], size: int) -> None:
    found = batches(topics, alike, [[other for other in range(10) if other != topic] for topic in range(10)], size, 7)
    for batch in found:
        labels = [alike[topics[position]] for position in batch]
        assert 2 <= len(batch) <= size
        assert len(set(labels)) == len(labels)
    assert max(Counter(position for batch in found for position in batch).values(), default=1) == 1


def test_nearly_every_pair_is_learnt_though_some_topics_have_five_times_as_many() -> None:
    topics = [topic for topic in range(60) for _ in range(20 + 80 * (topic % 4 == 0))]
    found = batches(topics, [str(topic) for topic in range(60)], [[] for _ in range(60)], 16, 7)
    assert sum(map(len, found)) > 0.95 * len(topics)


def test_topics_that_are_easily_confused_meet() -> None:
    topics, near = [topic for topic in range(100) for _ in range(10)], [[topic ^ 1] for topic in range(100)]
    found = batches(topics, [str(topic) for topic in range(100)], near, 10, 7)
    together = sum((topics[position] ^ 1) in {topics[other] for other in batch} for batch in found for position in batch)
    apart = batches(topics, [str(topic) for topic in range(100)], [[] for _ in near], 10, 7)
    by_chance = sum((topics[position] ^ 1) in {topics[other] for other in batch} for batch in apart for position in batch)
    assert together > 2 * by_chance


def test_the_same_seed_seats_the_same() -> None:
    topics, alike = [0, 1, 2] * 20, ["a", "b", "c"]
    assert batches(topics, alike, [[], [], []], 3, 1) == batches(topics, alike, [[], [], []], 3, 1)
    assert batches(topics, alike, [[], [], []], 3, 1) != batches(topics, alike, [[], [], []], 3, 2)


def test_one_topic_alone_is_told_from_nothing() -> None:
    assert batches([0] * 20, ["a"], [[]], 8, 7) == []
