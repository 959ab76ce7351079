"""A challenger that is worse is found, one that is as good is left alone, and shares come with what they are worth."""

from __future__ import annotations

import random

import pytest
from scipy import stats

from core.comparison import ALPHA, FIRST_LOOK, _chance, _chance_slower, quality, share, worse
from core.registry import VersionRecord

GOOD = VersionRecord(1.0, abstained=False, quoted=False, helpful=True)


def drawn(
    count: int, seed: int, *, quoted: float = 0.3, abstained: float = 0.1, bad: float = 0.2, slow: float = 1.0
) -> list[VersionRecord]:
    rng = random.Random(seed)
    return [
        VersionRecord(
            rng.lognormvariate(0, 0.4) * slow,
            abstained=rng.random() < abstained,
            quoted=rng.random() < quoted,
            helpful=None if rng.random() < 0.7 else rng.random() >= bad,
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"quoted": 0.8}, "no passage backs"),
        ({"abstained": 0.6}, "abstentions"),
        ({"bad": 1.0}, "👎"),
        ({"slow": 2.0}, "slower: "),
    ],
)
def test_a_challenger_that_is_clearly_worse_is_found(more: dict[str, float], said: str) -> None:
    assert said in worse(drawn(512, 1), drawn(512, 2, **more))


def test_a_challenger_that_is_as_good_is_stopped_by_chance_less_often_than_alpha_whenever_one_looks() -> None:
    stopped = 0
    for seed in range(200):
        old, new = drawn(256, seed), drawn(256, 10_000 + seed)
        stopped += any(worse(old[:size], new[:size]) for size in range(FIRST_LOOK, 257, 16))
    assert stopped / 200 < ALPHA + 0.03


def test_a_better_challenger_and_a_handful_of_answers_stop_nothing() -> None:
    assert worse(drawn(512, 1, quoted=0.8, abstained=0.5), drawn(512, 2)) == ""
    assert worse(drawn(512, 1), drawn(FIRST_LOOK - 1, 2, quoted=1.0)) == ""
    assert worse([], drawn(64, 2, quoted=1.0)) == ""


def test_the_tests_are_those_of_the_textbooks() -> None:
    old, new = share(5, 40), share(14, 38)
    table = [[new.hits, new.of - new.hits], [old.hits, old.of - old.hits]]
    assert _chance(old, new) == pytest.approx(stats.fisher_exact(table, alternative="greater").pvalue)
    first, second = ([one.seconds for one in drawn(40, seed, slow=slow)] for seed, slow in ((1, 1.0), (2, 1.3)))
    expected = stats.mannwhitneyu(second, first, alternative="greater", method="asymptotic", use_continuity=False).pvalue
    assert _chance_slower(first, second) == pytest.approx(expected)


@pytest.mark.parametrize(("hits", "of"), [(0, 10), (3, 10), (10, 10), (45, 100)])
def test_an_interval_is_wilsons(hits: int, of: int) -> None:
    found, expected = share(hits, of), stats.binomtest(hits, of).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_what_nobody_judged_counts_for_nobody() -> None:
    found = quality(
        [GOOD, GOOD._replace(helpful=None, seconds=3.0), GOOD._replace(helpful=False, abstained=True), GOOD._replace(quoted=True)]
    )
    assert (found.helpful.hits, found.helpful.of) == (2, 3)
    assert (found.grounded.hits, found.grounded.of) == (2, 3)
    assert (found.abstained.rate, found.p50_seconds) == (0.25, 1.0)
    assert str(quality([]).helpful) == "none yet"
    assert (quality([]).p95_seconds, str(found.abstained)) == (0.0, "25% (5% to 70%)")
