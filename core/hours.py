"""When people are there: business hours as they are written in the settings; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SHIFT = re.compile(r"(?P<first>[A-Za-z]{3})(?:-(?P<last>[A-Za-z]{3}))? +(?P<begin>\d\d?:\d\d)-(?P<end>\d\d?:\d\d)")
EXAMPLE = "Mon-Fri 09:00-17:00 Europe/Berlin"
_AHEAD = 8  # days; every shift comes again within a week


class Shift(NamedTuple):
    """When people are there on some days of the week, 0 for Monday; one that ends before it begins ends on the next day."""

    days: frozenset[int]
    begin: time
    end: time


@dataclass(frozen=True, slots=True)
class Hours:
    """Shifts by the clock of one place; without any somebody is always there."""

    shifts: tuple[Shift, ...] = ()
    zone: ZoneInfo = ZoneInfo("UTC")

    def open_since(self, now: datetime) -> datetime | None:
        """Return when the shift began that is on, None while none is; without any shifts the beginning of time."""
        if not self.shifts:
            return datetime.min.replace(tzinfo=UTC)
        return next((begin for begin, end in self._spans(now) if begin <= now < end), None)

    def opens_at(self, now: datetime) -> datetime | None:
        """Return when somebody is there again, by the clock of the place; None while somebody is."""
        if self.open_since(now) is not None:
            return None
        return next((begin for begin, _ in self._spans(now) if begin > now), None)

    def told(self, now: datetime) -> str:
        """Return when somebody is there again as a customer reads it, empty while somebody is."""
        back = self.opens_at(now)
        return f"{back:%A} {back.day} {back:%B}, {back:%H:%M} ({self.zone.key})" if back else ""

    def _spans(self, now: datetime) -> list[tuple[datetime, datetime]]:
        today = now.astimezone(self.zone).date()
        days = [today + timedelta(days=ahead) for ahead in range(-1, _AHEAD + 1)]
        return sorted(self._span(shift, day) for day in days for shift in self.shifts if day.weekday() in shift.days)

    def _span(self, shift: Shift, day: date) -> tuple[datetime, datetime]:
        # By the clock on the wall, so that nine o'clock is nine o'clock on both sides of a change to summer time.
        last = day + timedelta(days=1) if shift.end <= shift.begin else day
        return datetime.combine(day, shift.begin, self.zone), datetime.combine(last, shift.end, self.zone)


def away(hours: Hours, now: datetime) -> str:
    """Return what a customer is told who is handed over while nobody is there, empty while somebody is."""
    back = hours.told(now)
    return f"Nobody is here right now: our team is back on {back}." if back else ""


def hours_of(written: str) -> Hours:
    """Return the hours that `written` names, such as `Mon-Thu 09:00-17:00, Fri 09:00-14:00 Europe/Berlin`.

    Raises `ValueError` that says what to write.
    """
    words = written.strip()
    if not words:
        return Hours()
    shifts, _, zone = words.rpartition(" ")
    try:
        return Hours(tuple(_shift(one.strip()) for one in shifts.split(",")), ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"write days, times and a time zone, such as: {EXAMPLE}") from error


def _shift(written: str) -> Shift:
    found = _SHIFT.fullmatch(written)
    if found is None:
        raise ValueError(written)
    first = _DAYS.index(found["first"].lower())
    last = _DAYS.index((found["last"] or found["first"]).lower())
    days = frozenset((first + more) % 7 for more in range((last - first) % 7 + 1))
    return Shift(days, _time(found["begin"]), _time(found["end"]))


def _time(written: str) -> time:
    hour, _, minute = written.partition(":")
    return time(0, 0) if written == "24:00" else time(int(hour), int(minute))
