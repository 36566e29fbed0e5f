"""Pieces of a range: they touch, they begin where a clock on the wall shows round times, and units add up to them."""

from __future__ import annotations

import pytest

from pipeline.history.buckets import bucket_for, buckets
from pipeline.history.plant import PlantSettings
from pipeline.history.ranges import RangeError, TimeRange
from tests.unit.history.minutes import minute, span

BERLIN = PlantSettings(time_zone="Europe/Berlin")
JUNE = span("2025-06-01T00:00+02:00", "2025-07-01T00:00+02:00")
FORWARD = span("2025-03-30T00:00+01:00", "2025-03-31T00:00+02:00")
BACK = span("2025-10-26T00:00+02:00", "2025-10-27T00:00+01:00")


@pytest.mark.parametrize(
    ("of", "bucket_min", "pieces"),
    [
        pytest.param(JUNE, 1440, 30, id="a month in days"),
        pytest.param(JUNE, 60, 720, id="a month in hours"),
        pytest.param(JUNE, 7 * 1440, 5, id="a month in weeks, the last one cut"),
        pytest.param(FORWARD, 60, 23, id="23 hours"),
        pytest.param(BACK, 60, 25, id="25 hours"),
        pytest.param(FORWARD, 240, 6, id="four hours each, the last of three"),
        pytest.param(span("2025-06-01T06:10+02:00", "2025-06-01T07:20+02:00"), 15, 6, id="both ends within one"),
        pytest.param(span("2025-06-01T06:10+02:00", "2025-06-01T06:11+02:00"), 60, 1, id="within one"),
    ],
)
def test_pieces_cover_the_range_once(of: TimeRange, bucket_min: int, pieces: int) -> None:
    found = buckets(of, bucket_min, BERLIN)
    assert len(found) == pieces
    assert (found.edges[0], found.edges[-1]) == (of.since_minute, of.until_minute)
    for each in range(of.since_minute, of.until_minute):
        assert found.of_unit((each - found.origin) // found.unit_min) == found.at(each)


def test_they_begin_at_round_times() -> None:
    found = buckets(span("2025-06-01T06:10+02:00", "2025-06-01T07:20+02:00"), 15, BERLIN)
    round_times = ("06:15", "06:30", "06:45", "07:00", "07:15")
    assert found.edges[1:-1] == tuple(minute(f"2025-06-01T{at}+02:00") for at in round_times)


def test_days_over_a_change_of_the_clock_begin_at_midnight() -> None:
    found = buckets(span("2025-03-29T00:00+01:00", "2025-04-01T00:00+02:00"), 1440, BERLIN)
    assert [after - before for before, after in zip(found.edges, found.edges[1:], strict=False)] == [1440, 1380, 1440]


def test_too_many_points_are_refused() -> None:
    with pytest.raises(RangeError, match="2000 at most"):
        buckets(JUNE, 1, BERLIN)


@pytest.mark.parametrize(
    ("of", "bucket_min"),
    [
        pytest.param(span("2025-06-01T06:00+02:00", "2025-06-01T07:00+02:00"), 1, id="an hour in minutes"),
        pytest.param(span("2025-06-01T06:00+02:00", "2025-06-01T14:00+02:00"), 15, id="a shift in quarters of an hour"),
        pytest.param(BACK, 60, id="a day in hours"),
        pytest.param(JUNE, 1440, id="a month in days"),
        pytest.param(span("2024-06-01T00:00+02:00", "2026-06-01T00:00+02:00"), 7 * 1440, id="years in weeks"),
    ],
)
def test_pieces_suit_the_range(of: TimeRange, bucket_min: int) -> None:
    assert bucket_for(of) == bucket_min
