"""How the bot does over a period: volume, resolution, abstention, satisfaction, latency and tokens, by channel and by model."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import Response

from bot.console import charts, labels
from bot.console.auth import at_least, console_of
from bot.console.charts import Chart
from bot.console.filters import day_of
from bot.console.pages import page
from bot.console.parts import Console
from core import plots
from core.domain import utc_now
from core.figures import Figures, Overview, Period
from core.members import Member, Role

PERIODS = (7, 30, 90, 365)
_MOST_BARS = 100  # a longer period is drawn by weeks, which begin on Monday
_LONGEST = 3 * 366  # days: a bar of less than a pixel says nothing
_MOST_ROWS = 50
Reading = Annotated[Member, Depends(at_least(Role.VIEWER))]


class _Drawn(NamedTuple):
    """A chart with its words, its legend and the table behind it."""

    name: str
    title: str
    about: str
    legend: tuple[str, ...]
    chart: Chart
    rows: list[tuple[date, tuple[str, ...]]]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the page."""

    @router.get("/overview")
    async def overview(request: Request, member: Reading) -> Response:
        period, days = _period(request)
        platform, price = request.query_params.get("platform", "")[:20], _price(request)
        found = await console_of(request).figures.overview(member.scope, period, platform or None)
        choices = await console_of(request).reading.choices(member)
        return page(
            request,
            "overview.html",
            period=period,
            days=days,
            periods=PERIODS,
            platform=platform,
            platforms=sorted({name for name, _ in choices.workspaces}),
            price=request.query_params.get("price", "")[:20],
            tiles=_tiles(found.total, price),
            charts=_charts(found, period),
            tables=_tables(found, price),
            until=found.until,
            width=plots.WIDTH,
            height=plots.HEIGHT,
        )


def _period(request: Request) -> tuple[Period, int | None]:
    """The days that were asked for, and how many when it was the last ones. Raises 422 for days that cannot be."""
    asked = [day_of(request.query_params.get(name, "").strip(), name) for name in ("since", "until")]
    today = utc_now().date()
    if any(asked):
        last = asked[1] or today
        first = asked[0] or last - timedelta(days=29)
        if not 0 <= (last - first).days < _LONGEST:
            raise HTTPException(422, "Please choose a first day before the last one, at most three years apart.")
        return Period(first, last), None
    given = request.query_params.get("days", "30")
    days = int(given) if given in map(str, PERIODS) else 30
    return Period(today - timedelta(days=days - 1), today), days


def _price(request: Request) -> float | None:
    """What a million tokens cost, where somebody has filled it in. Raises 422 for no number."""
    given = request.query_params.get("price", "").strip().replace(",", ".")
    try:
        price = float(given) if given else None
    except ValueError:
        raise HTTPException(422, "Please check: price. A price looks like 0.15.") from None
    if price is not None and not 0 <= price < 1_000_000:
        raise HTTPException(422, "Please check: price.")
    return price


def _tiles(total: Figures, price: float | None) -> list[tuple[str, str, str]]:
    """Name, number and what it means."""
    tokens = total.prompt_tokens + total.completion_tokens
    return [
        ("Turns", labels.count(total.turns), "questions that the bot said something to"),
        ("Resolved", labels.percent(total.resolution), "answered, and nobody called it unhelpful"),
        ("Abstained", labels.percent(total.abstention), "the bot knew no answer"),
        ("Satisfied", labels.percent(total.satisfaction), f"of {labels.count(total.helpful + total.unhelpful)} who judged"),
        ("Latency p50", labels.duration(total.latency_ms(0.5)), f"95 % within {labels.duration(total.latency_ms(0.95))}"),
        ("Tokens", labels.count(tokens), _cost(tokens, price) or "read and written by models"),
    ]


def _cost(tokens: int, price: float | None) -> str:
    return f"cost {tokens / 1_000_000 * price:,.2f}" if price is not None else ""


def _charts(found: Overview, period: Period) -> list[_Drawn]:
    days = [period.first + timedelta(days=number) for number in range((period.last - period.first).days + 1)]
    by_week = len(days) > _MOST_BARS
    parts: defaultdict[date, Figures] = defaultdict(Figures)
    for day in days:
        parts[day - timedelta(days=day.weekday()) if by_week else day] += found.by_day.get(day, Figures())
    starts, figures = list(parts), list(parts.values())
    return [_volume(starts, figures, "week" if by_week else "day"), _quality(starts, figures), _latency(starts, figures)]


def _volume(days: list[date], by_day: list[Figures], each: str) -> _Drawn:
    answered = [one.turns - one.clarified - one.handed_over for one in by_day]
    series = (answered, [one.clarified for one in by_day], [one.handed_over for one in by_day])
    rows = [(day, tuple(labels.count(values[index]) for values in series)) for index, day in enumerate(days)]
    legend = ("Answered", "Asked back", "Handed over")
    return _Drawn("volume", f"Turns a {each}", "What the bot did with questions.", legend, charts.stacked(days, series), rows)


def _quality(days: list[date], by_day: list[Figures]) -> _Drawn:
    series = [[getattr(one, name) for one in by_day] for name in ("resolution", "satisfaction", "abstention")]
    rows = [(day, tuple(labels.percent(values[index]) for values in series)) for index, day in enumerate(days)]
    chart = charts.lines(days, series, "{:.0%}", top=1.0)
    about = "Share of turns resolved and abstained, and of judgements that were good."
    return _Drawn("quality", "Quality", about, ("Resolved", "Satisfied", "Abstained"), chart, rows)


def _latency(days: list[date], by_day: list[Figures]) -> _Drawn:
    measured = [[one.latency_ms(share) for one in by_day] for share in (0.5, 0.95)]
    rows = [(day, tuple(labels.duration(values[index]) for values in measured)) for index, day in enumerate(days)]
    seconds = [[None if value is None else value / 1000 for value in values] for values in measured]
    chart = charts.lines(days, seconds, "{:.3g} s")
    return _Drawn(
        "latency", "Time to the reply", "Half of the replies, and 95 of 100, were ready within this.", ("p50", "p95"), chart, rows
    )


def _tables(found: Overview, price: float | None) -> list[tuple[str, str, list[dict[str, Any]]]]:
    places = [(" · ".join(place), figures) for place, figures in found.by_workspace.items()]
    models = [(labels.model(name), figures) for name, figures in found.by_model.items()]
    return [("By channel", "Platform and workspace", _rows(places, price)), ("By model", "Model version", _rows(models, price))]


def _rows(parts: list[tuple[str, Figures]], price: float | None) -> list[dict[str, Any]]:
    most_first = sorted(parts, key=lambda one: -one[1].turns)[:_MOST_ROWS]
    return [{"name": name, **_cells(figures, price)} for name, figures in most_first]


def _cells(one: Figures, price: float | None) -> dict[str, str]:
    tokens = one.prompt_tokens + one.completion_tokens
    return {
        "turns": labels.count(one.turns),
        "resolved": labels.percent(one.resolution),
        "abstained": labels.percent(one.abstention),
        "satisfied": labels.percent(one.satisfaction),
        "p50": labels.duration(one.latency_ms(0.5)),
        "p95": labels.duration(one.latency_ms(0.95)),
        "tokens": labels.count(tokens),
        "cost": _cost(tokens, price).removeprefix("cost "),
    }
