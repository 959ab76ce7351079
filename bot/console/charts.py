"""Geometry of charts over days: numbers to rectangles and lines of an SVG, pure; templates draw them and put a table beside each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from core.plots import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, Tick

_TICKS = 4
_MOST_LABELS = 6


class Bar(NamedTuple):
    """A rectangle of a stacked bar; `series` counts from 0."""

    x: float
    y: float
    width: float
    height: float
    series: int


class Chart(NamedTuple):
    """What a template draws."""

    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    across: tuple[Tick, ...]
    below: tuple[Tick, ...]


def stacked(days: Sequence[date], series: Sequence[Sequence[float]], text: str = "{:,.0f}") -> Chart:
    """Return bars, one for each day, the series on top of one another."""
    top = _round(max((sum(values) for values in zip(*series, strict=True)), default=0))
    step = (WIDTH - LEFT - RIGHT) / max(len(days), 1)
    width = max(step * 0.76, 0.8)
    bars = []
    for index in range(len(days)):
        y = float(HEIGHT - BOTTOM)
        for number, values in enumerate(series):
            height = values[index] / top * _INNER if top else 0
            y -= height
            if height:
                bars.append(Bar(round(LEFT + index * step + (step - width) / 2, 2), round(y, 2), round(width, 2), round(height, 2), number))
    return Chart(tuple(bars), (), _across(top, text), _below(days, step))


def lines(days: Sequence[date], series: Sequence[Sequence[float | None]], text: str, top: float | None = None) -> Chart:
    """Return one line for each series."""
    highest = top or _round(max((value for values in series for value in values if value is not None), default=0))
    step = (WIDTH - LEFT - RIGHT) / max(len(days), 1)
    drawn = tuple(_line(values, highest, step, number) for number, values in enumerate(series))
    return Chart((), drawn, _across(highest, text), _below(days, step))


_INNER = HEIGHT - TOP - BOTTOM


def _line(values: Sequence[float | None], top: float, step: float, number: int) -> Line:
    runs: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            y = HEIGHT - BOTTOM - (min(value / top, 1) if top else 0) * _INNER
            runs[-1].append((round(LEFT + (index + 0.5) * step, 2), round(y, 2)))
    joined = tuple(" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1)
    return Line(joined, tuple(run[0] for run in runs if len(run) == 1), number)


def _across(top: float, text: str) -> tuple[Tick, ...]:
    steps = range(_TICKS + 1) if top else range(1)
    return tuple(Tick(round(HEIGHT - BOTTOM - number / _TICKS * _INNER, 2), text.format(top * number / _TICKS)) for number in steps)


def _below(days: Sequence[date], step: float) -> tuple[Tick, ...]:
    every = -(-len(days) // _MOST_LABELS) or 1
    return tuple(Tick(round(LEFT + (index + 0.5) * step, 2), f"{day.day} {day:%b}") for index, day in enumerate(days) if index % every == 0)


def _round(highest: float) -> float:
    """The next number that is easy to read as the end of an axis, and as quarters of it."""
    if highest <= 0:
        return 0
    power = 1.0
    while power * 10 <= highest:
        power *= 10
    while power > highest:
        power /= 10
    return next(power * step for step in (1, 2, 4, 8, 10) if power * step >= highest)
