"""What became of the answers of two versions, compared: shares with confidence intervals, and whether one is worse. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, median
from typing import NamedTuple

from core.registry import VersionRecord

FIRST_LOOK = 32  # answers of the challenger; then 64, 128, ...: looking after each would find a difference where there is none
ALPHA = 0.05  # chance to stop a challenger that is as good, over all looks and measures together
_Z = NormalDist().inv_cdf(0.975)
MOST_RECORDS = 20_000  # of a version that are read to compare it: by then it is promoted or not
_SLOWER = 1.25  # a challenger that needs a quarter more time is slower, less is noise


class Share(NamedTuple):
    """How many of how many, and the 95 % confidence interval of the share (Wilson 1927)."""

    hits: int
    of: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """The share, 0 of none."""
        return self.hits / self.of if self.of else 0.0

    def __str__(self) -> str:
        return f"{self.rate:.0%} ({self.low:.0%} to {self.high:.0%})" if self.of else "none yet"


class Quality(NamedTuple):
    """What became of the answers of a version."""

    answers: int
    helpful: Share  # of those that somebody judged
    abstained: Share
    grounded: Share  # of what it wrote and did not abstain from
    p50_seconds: float
    p95_seconds: float


def share(hits: int, of: int) -> Share:
    """Return a share with its interval; without anything to count the interval is everything."""
    if not of:
        return Share(hits, of, 0.0, 1.0)
    rate, spread = hits / of, _Z**2 / of
    middle = (rate + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(rate * (1 - rate) / of + spread / (4 * of)) / (1 + spread)
    return Share(hits, of, max(0.0, middle - half), min(1.0, middle + half))


def quality(records: Sequence[VersionRecord]) -> Quality:
    """Return what became of the answers of a version."""
    judged = [one.helpful for one in records if one.helpful is not None]
    written = [one for one in records if not one.abstained]
    seconds = sorted(one.seconds for one in records)
    return Quality(
        len(records),
        share(sum(judged), len(judged)),
        share(len(records) - len(written), len(records)),
        share(sum(not one.quoted for one in written), len(written)),
        median(seconds) if seconds else 0.0,
        seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))] if seconds else 0.0,
    )


def worse(champion: Sequence[VersionRecord], challenger: Sequence[VersionRecord]) -> str:
    """Return in words why the challenger is worse, empty while that is not clear; records are oldest first.

    It is looked at after 32, 64, 128, ... of its answers, and look k spends 1/2^k of `ALPHA`, split over four measures, so that a
    challenger that is as good is stopped with a chance of at most `ALPHA`. The champion's answers are those of the same time: with
    a small share they come faster, and the first ones would be compared with another hour of the day.
    """
    if len(challenger) < FIRST_LOOK:
        return ""
    look = int(math.log2(len(challenger) / FIRST_LOOK)) + 1
    size = FIRST_LOOK * 2 ** (look - 1)
    tried = challenger[:size]
    control = [one for one in champion if one.at <= tried[-1].at]
    if len(control) < FIRST_LOOK:
        return ""
    old, new = quality(control), quality(tried)
    alpha = ALPHA / 2**look / 4
    for name, before, now in (
        ("👎", _rest(old.helpful), _rest(new.helpful)),
        ("abstentions", old.abstained, new.abstained),
        ("answers that no passage backs", _rest(old.grounded), _rest(new.grounded)),
    ):
        if before.of and now.of and now.rate > before.rate and _chance(before, now) < alpha:
            return f"more {name}: {now} against {before} of the champion, after {size} answers"
    old_seconds, new_seconds = ([one.seconds for one in records] for records in (control, tried))
    if old_seconds and new.p50_seconds > _SLOWER * old.p50_seconds and _chance_slower(old_seconds, new_seconds) < alpha:
        return f"slower: {new.p50_seconds:.1f} s against {old.p50_seconds:.1f} s of the champion, after {size} answers"
    return ""


def _rest(one: Share) -> Share:
    return share(one.of - one.hits, one.of)


def _chance(before: Share, now: Share) -> float:
    """Return the one-sided p-value of Fisher's exact test: so many or more of all are `now`'s, if both have the same rate."""
    hits = before.hits + now.hits
    ways = math.comb(before.of + now.of, hits)
    return sum(math.comb(now.of, k) * math.comb(before.of, hits - k) for k in range(now.hits, min(now.of, hits) + 1)) / ways


def _chance_slower(before: Sequence[float], now: Sequence[float]) -> float:
    """Return the one-sided p-value of the rank-sum test of Mann and Whitney (1947), in its normal form."""
    ranked = sorted([(one, 0) for one in before] + [(one, 1) for one in now])
    ranks, place = 0.0, 0
    while place < len(ranked):
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        ranks += sum(which for _, which in ranked[place:end]) * (place + end + 1) / 2  # ties share the mean of their ranks
        place = end
    above = ranks - len(now) * (len(now) + 1) / 2
    mean = len(before) * len(now) / 2
    deviation = math.sqrt(mean * (len(before) + len(now) + 1) / 6)
    return 1 - NormalDist().cdf((above - mean) / deviation)
