"""Ranges of time by the plant's clock, on the days on which it is changed too."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipeline.history.charts import line_chart
from pipeline.history.line_figures import figures
from pipeline.history.plant import PlantSettings, Shift
from pipeline.history.ranges import MINUTE_MS, RangeError, TimeRange, day, days, last, parse_range, shift
from pipeline.history.spc import ChartKind
from tests.unit.history.minutes import ms, span
from tests.unit.history.parts import history

BERLIN = PlantSettings(
    time_zone="Europe/Berlin",
    shifts=(
        Shift(name="early", start="06:00", end="14:00"),
        Shift(name="late", start="14:00", end="22:00"),
        Shift(name="night", start="22:00", end="06:00"),
    ),
)
HOUR_MS = 60 * MINUTE_MS
NOON = ms("2025-06-11T12:00:30+02:00")  # a Wednesday


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        pytest.param("hour", "2025-06-11T12:00+02:00", "2025-06-11T13:00+02:00", id="the hour that it is"),
        pytest.param("day", "2025-06-11T00:00+02:00", "2025-06-12T00:00+02:00", id="today"),
        pytest.param("day:2025-01-31", "2025-01-31T00:00+01:00", "2025-02-01T00:00+01:00", id="a day"),
        pytest.param("week", "2025-06-09T00:00+02:00", "2025-06-16T00:00+02:00", id="from Monday"),
        pytest.param("month", "2025-06-01T00:00+02:00", "2025-07-01T00:00+02:00", id="the month"),
        pytest.param("shift", "2025-06-11T06:00+02:00", "2025-06-11T14:00+02:00", id="the shift that it is"),
        pytest.param("shift:late", "2025-06-10T14:00+02:00", "2025-06-10T22:00+02:00", id="the newest late shift"),
        pytest.param("shift:night@2025-06-10", "2025-06-10T22:00+02:00", "2025-06-11T06:00+02:00", id="of its evening"),
        pytest.param("last:90m", "2025-06-11T10:31+02:00", "2025-06-11T12:01+02:00", id="up to this minute's end"),
        pytest.param("last:2d", "2025-06-09T12:01+02:00", "2025-06-11T12:01+02:00", id="days as 24 hours"),
        pytest.param(
            "custom:2025-06-01T06:00:20/2025-06-02T07:00:20",
            "2025-06-01T06:00+02:00",
            "2025-06-02T07:01+02:00",
            id="two times by the plant's clock, whole minutes",
        ),
        pytest.param(
            "custom:2025-06-01T06:00Z/2025-06-02T07:00+01:00",
            "2025-06-01T06:00+00:00",
            "2025-06-02T06:00+00:00",
            id="times with an offset",
        ),
    ],
)
def test_ranges_as_they_are_written(text: str, since: str, until: str) -> None:
    found = parse_range(text, BERLIN, NOON)
    assert (found.since_ms, found.until_ms) == (ms(since), ms(until))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("yesterday", "is no range of time: write hour, day, shift", id="a word"),
        pytest.param("last:8", "is no range of time", id="no unit"),
        pytest.param("last:0h", "1 minute to 732 days", id="none"),
        pytest.param("last:9999d", "1 minute to 732 days", id="too many"),
        pytest.param("day:31.1.2025", "write it as 2025-03-30", id="a day in other words"),
        pytest.param("day:9999-12-31", "nothing was made in the year 9999", id="a day that has no next"),
        pytest.param("shift:evening", "there are early, late, night", id="a shift there is not"),
        pytest.param("custom:2025-06-01T06:00", "is no time", id="one time"),
        pytest.param("custom:2025-06-01/2025-06-01", "ends after it begins", id="no time between"),
        pytest.param("custom:2020-01-01/2025-06-01", "1 minute to 732 days", id="years"),
    ],
)
def test_what_is_no_range_is_refused_in_words(text: str, told: str) -> None:
    with pytest.raises(RangeError, match=told):
        parse_range(text, BERLIN, NOON)


def test_a_plant_without_shifts_has_none() -> None:
    with pytest.raises(RangeError, match="plant has no `shifts`"):
        parse_range("shift", PlantSettings(), NOON)


@pytest.mark.parametrize(
    ("on", "hours"),
    [
        pytest.param(date(2025, 3, 30), 23, id="the clock goes forward"),
        pytest.param(date(2025, 6, 11), 24, id="a day like others"),
        pytest.param(date(2025, 10, 26), 25, id="the clock goes back"),
    ],
)
def test_a_day_is_as_long_as_its_clock_says(on: date, hours: int) -> None:
    assert day(BERLIN, NOON, on).duration_ms == hours * HOUR_MS


@pytest.mark.parametrize(
    ("evening", "hours"),
    [
        pytest.param(date(2025, 3, 29), 7, id="the clock goes forward at night"),
        pytest.param(date(2025, 10, 25), 9, id="the clock goes back at night"),
    ],
)
def test_a_night_shift_works_the_hours_that_its_night_has(evening: date, hours: int) -> None:
    found = shift(BERLIN, NOON, "night", evening)
    assert (found.name, found.duration_ms) == ("night", hours * HOUR_MS)


@pytest.mark.parametrize(("start", "end"), [("02:00", "03:00"), ("02:30", "03:00")])
def test_a_shift_in_the_hour_that_the_clock_leaves_out_is_not_worked_that_day(start: str, end: str) -> None:
    plant = PlantSettings(
        time_zone="Europe/Berlin",
        shifts=(Shift(name="cleaning", start=start, end=end), Shift(name="day", start="06:00", end="18:00")),
    )
    changed, morning, noon = date(2025, 3, 30), ms("2025-03-30T04:00+02:00"), ms("2025-03-30T12:00+02:00")
    with pytest.raises(RangeError, match="no shift 'cleaning' on 2025-03-30: the clock is set forward over it"):
        shift(plant, noon, "cleaning", changed)
    assert shift(plant, noon, on=changed).name == "day"
    assert shift(plant, noon).since_ms == ms("2025-03-30T06:00+02:00")
    assert shift(plant, morning).since_ms == ms("2025-03-29T06:00+01:00")
    assert shift(plant, noon, "cleaning").until_ms == ms("2025-03-29T03:00+01:00"), "the newest there was"


def test_a_shift_around_the_hour_that_the_clock_leaves_out_has_figures(tmp_path: Path) -> None:
    plant = PlantSettings(time_zone="Europe/Berlin", shifts=(Shift(name="dawn", start="01:59", end="03:01"),))
    found = shift(plant, NOON, "dawn", date(2025, 3, 30))
    assert found.duration_ms == 2 * MINUTE_MS
    with history(tmp_path) as database, database.read() as connection:
        told = figures(connection, "l1", found, now_ms=NOON, plant=plant, bucket_min=1)
        chart = line_chart(connection, "l1", found, ChartKind.P, now_ms=NOON, plant=plant, bucket_min=1)
    assert [one.per_hour for one in told.throughput] == [0, 0]
    assert (told.per_hour, told.uninspected_share, len(chart.pieces)) == (0, 0, 2)


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    first, second = ms("2025-10-26T02:30+02:00"), ms("2025-10-26T02:30+01:00")
    assert parse_range("hour", BERLIN, second).since_ms - parse_range("hour", BERLIN, first).since_ms == HOUR_MS


@pytest.mark.parametrize(
    ("now", "name"),
    [
        pytest.param("2025-06-11T05:59+02:00", "night", id="after midnight it is still the night shift"),
        pytest.param("2025-06-11T06:00+02:00", "early", id="a shift begins with its first moment"),
        pytest.param("2025-06-11T23:00+02:00", "night", id="before midnight"),
    ],
)
def test_the_shift_that_it_is(now: str, name: str) -> None:
    found = shift(BERLIN, ms(now))
    assert found.name == name
    assert found.since_ms <= ms(now) < found.until_ms


def test_between_shifts_it_is_the_one_before() -> None:
    plant = PlantSettings(time_zone="UTC", shifts=(Shift(name="only", start="08:00", end="16:00"),))
    assert shift(plant, ms("2025-06-11T20:00+00:00")).until_ms == ms("2025-06-11T16:00+00:00")


def test_a_range_that_is_not_over_goes_up_to_now() -> None:
    whole = day(BERLIN, NOON)
    assert whole.up_to(NOON) == TimeRange(whole.since_ms, NOON)
    assert whole.up_to(whole.until_ms + 1) is whole
    assert last(60, NOON).until_ms - NOON <= MINUTE_MS


def test_the_days_of_a_range_touch() -> None:
    found = list(days(span("2025-03-29T12:00+01:00", "2025-03-31T00:00+02:00"), BERLIN))
    assert [one.duration_ms // HOUR_MS for one in found] == [24, 23]
    assert found[0].until_ms == found[1].since_ms
