"""Geometry of plots: numbers to points and lines of an SVG, pure; templates draw them and put a table beside each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.learning import Interval

WIDTH, HEIGHT = 460, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 10, 26
_TICKS = 6
_ROW = 40  # of a forest plot: a name, and its interval below it, so that the plot is as wide as a phone
_SIDE = 20  # half of a number below the axis
_LOG_FROM = 10.0  # highest by lowest: a loss that falls to a tenth is a flat line for most of its way
_SLACK = 1e-9


class Tick(NamedTuple):
    """A line across at a round number, or a mark below."""

    at: float
    text: str


class Line(NamedTuple):
    """A line through points; what has no number interrupts it. `points` go into polylines, `lone` ones become dots."""

    points: tuple[str, ...]
    lone: tuple[tuple[float, float], ...]
    series: int


class Whisker(NamedTuple):
    """A difference and its interval."""

    name: str
    y: float
    at: float
    low: float
    high: float


class Forest(NamedTuple):
    """Differences below one another; what does not touch `zero` is no chance."""

    rows: tuple[Whisker, ...]
    below: tuple[Tick, ...]
    zero: float
    height: float


class Curve(NamedTuple):
    """Lines over numbers."""

    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    below: tuple[Tick, ...]
    is_log: bool


def forest(found: Sequence[tuple[str, Interval]]) -> Forest:
    """Return a row for each difference, on one axis that holds zero."""
    ends = [0.0, *(end for _, one in found for end in one)]
    low, high = min(ends), max(ends)
    if low == high:
        low, high = -1.0, 1.0
    inner = WIDTH - 2 * _SIDE

    def x(value: float) -> float:
        return round(_SIDE + (value - low) / (high - low) * inner, 2)

    rows = tuple(
        Whisker(name, _ROW * (number + 0.7), x(one.difference), x(one.low), x(one.high)) for number, (name, one) in enumerate(found)
    )
    return Forest(rows, tuple(Tick(x(mark), f"{mark:+g}" if mark else "0") for mark in _marks(low, high)), x(0), _ROW * len(found) + BOTTOM)


def curve(series: Sequence[Sequence[tuple[float, float]]]) -> Curve:
    """Return a line for each series of points (x, y) with x and y of at least 0; on a log axis where y spans more than tenfold."""
    xs, ys = ([point[axis] for points in series for point in points] for axis in (0, 1))
    if not xs:
        return Curve((), (), (), is_log=False)
    is_log = min(ys) > 0 and max(ys) / min(ys) > _LOG_FROM
    marks = _decades(min(ys), max(ys)) if is_log else _marks(0, max(ys) or 1)
    scale = math.log if is_log else float
    bottom, top = scale(min(*marks, *ys)), scale(max(*marks, *ys))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        along = (point[0] - min(xs)) / ((max(xs) - min(xs)) or 1)
        return round(LEFT + along * (WIDTH - LEFT - RIGHT), 2), round(_y(scale(point[1]), bottom, top), 2)

    drawn = tuple(_line([place(point) for point in sorted(points)], number) for number, points in enumerate(series))
    below = tuple(Tick(place((mark, max(ys)))[0], f"{mark:g}") for mark in _marks(min(xs), max(xs)))
    return Curve(drawn, tuple(Tick(round(_y(scale(mark), bottom, top), 2), f"{mark:g}") for mark in marks), below, is_log)


def _y(value: float, bottom: float, top: float) -> float:
    return HEIGHT - BOTTOM - (value - bottom) / ((top - bottom) or 1) * (HEIGHT - TOP - BOTTOM)


def _line(points: Sequence[tuple[float, float]], number: int) -> Line:
    joined = (" ".join(f"{x},{y}" for x, y in points),) if len(points) > 1 else ()
    return Line(joined, tuple(points) if len(points) == 1 else (), number)


def _marks(low: float, high: float) -> list[float]:
    """Return some round numbers between two others."""
    wide = high - low
    if not wide:
        return [low]
    power = 10.0 ** math.floor(math.log10(wide / _TICKS))
    step = next(power * times for times in (1, 2, 5, 10) if wide / (power * times) <= _TICKS + _SLACK)
    return _clean(number * step for number in range(math.ceil(low / step - _SLACK), math.floor(high / step + _SLACK) + 1))


def _decades(low: float, high: float) -> list[float]:
    """Return round numbers for a log axis that hold two others between them: 1, 2 and 5 of each power, or the powers alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = _clean(10.0**power * times for power in powers for times in (1, 2, 5))
    inside = [mark for mark in fine if low / 2.5 < mark < high * 2.5]
    return inside if len(inside) <= _TICKS + 1 else _clean(10.0**power for power in powers)


def _clean(numbers: Iterable[float]) -> list[float]:
    """0.30000000000000004 is 0.3."""
    return [float(f"{number:.12g}") for number in numbers]
