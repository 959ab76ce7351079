"""What a look at one part of the installation found: a row of `frontdesk doctor`."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import NamedTuple


class Check(NamedTuple):
    """One thing that was looked at. `warns`: it works, and somebody should look all the same."""

    name: str
    ok: bool
    detail: str
    warns: bool = False


def seconds_ahead(date: str, before: float, after: float) -> float:
    """Return how far this host's clock is surely ahead of a server's, negative: behind. Raises `ValueError` when `date` is none.

    `date` is the header of an answer, `before` and `after` this host's times around the question, in seconds.
    """
    second = parsedate_to_datetime(date).timestamp()  # it may be up to a second later than that
    return max(before - (second + 1), 0.0) - max(second - after, 0.0)
