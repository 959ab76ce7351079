"""Business hours are read as people write them, and say when somebody is back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.hours import Hours, away, hours_of


def at(written: str) -> datetime:
    return datetime.fromisoformat(written).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "now", "back"),
    [
        ("Mon-Fri 09:00-17:00 Europe/Berlin", "2026-11-27T10:00", ""),
        ("Mon-Fri 09:00-17:00 Europe/Berlin", "2026-11-27T16:00", "Monday 30 November, 09:00 (Europe/Berlin)"),  # a Friday, 17:00 there
        ("Mon-Fri 09:00-17:00 Europe/Berlin", "2026-11-27T07:59", "Friday 27 November, 09:00 (Europe/Berlin)"),
        ("mon-thu 9:00-17:00, fri 9:00-14:00 Europe/Berlin", "2026-11-27T13:30", "Monday 30 November, 09:00 (Europe/Berlin)"),
        ("Sat-Sun 22:00-06:00 UTC", "2026-11-30T05:59", ""),  # the night from Sunday to Monday
        ("Sat-Sun 22:00-06:00 UTC", "2026-11-30T06:00", "Saturday 5 December, 22:00 (UTC)"),
        ("Mon-Sun 00:00-24:00 UTC", "2026-11-30T23:59", ""),
        ("Fri-Mon 09:00-10:00 UTC", "2026-11-30T09:30", ""),
        ("", "2026-11-29T03:00", ""),
    ],
)
def test_it_is_told_when_somebody_is_back(hours: str, now: str, back: str) -> None:
    assert hours_of(hours).told(at(now)) == back


def test_nine_o_clock_is_nine_o_clock_on_both_sides_of_a_change_to_summer_time() -> None:
    hours = hours_of("Sun-Mon 09:00-17:00 Europe/Berlin")
    assert hours.opens_at(at("2026-03-28T20:00")) == at("2026-03-29T07:00")  # the clocks go forward that night
    assert hours.opens_at(at("2026-10-25T20:00")) == at("2026-10-26T08:00")


def test_whoever_comes_in_the_night_waits_from_the_morning_on() -> None:
    assert hours_of("Mon-Fri 09:00-17:00 UTC").open_since(at("2026-11-27T09:10")) == at("2026-11-27T09:00")
    assert Hours().open_since(at("2026-11-27T09:10")) == datetime.min.replace(tzinfo=UTC)
    assert "our team is back on Friday" in away(hours_of("Fri 09:00-17:00 UTC"), at("2026-11-27T08:00"))


@pytest.mark.parametrize(
    "written", ["always", "Mon-Fri 9-17 UTC", "Mon 09:00-25:00 UTC", "Xyz 09:00-17:00 UTC", "Mon 09:00-17:00 Mars/X", "UTC"]
)
def test_hours_that_cannot_be_read_are_refused_with_an_example(written: str) -> None:
    with pytest.raises(ValueError, match="Mon-Fri 09:00-17:00 Europe/Berlin"):
        hours_of(written)
