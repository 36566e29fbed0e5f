"""Equal pieces of a range of time, by the plant's clock: what a bar or a point of a chart is of."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from math import gcd

from pipeline.history.plant import PlantSettings
from pipeline.history.ranges import MINUTE_MS, RangeError, TimeRange, days

MOST = 2000
_DAY_MIN = 1440
_SIZES_MIN = (1, 5, 15, 60, 240, _DAY_MIN, 7 * _DAY_MIN)
_FEW = 60  # as many points as an eye takes in


@dataclass(frozen=True, slots=True)
class Buckets:
    """Pieces of a range. `edges` are Unix minutes: a piece goes from one edge until before the next.

    Every edge is a whole number of `unit_min` behind `origin`, so that a database adds up by units, and few rows come.
    """

    origin: int
    unit_min: int
    edges: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.edges) - 1

    def at(self, minute: int) -> int:
        """Which piece this minute is of."""
        return bisect_right(self.edges, minute) - 1

    def of_unit(self, unit: int) -> int:
        """Which piece the unit of this number is of; the range may begin or end within it."""
        return min(max(self.at(self.origin + unit * self.unit_min), 0), len(self) - 1)

    def spans_ms(self) -> Iterator[tuple[int, int]]:
        """From when to when each piece goes, Unix milliseconds."""
        return ((since * MINUTE_MS, until * MINUTE_MS) for since, until in pairwise(self.edges))


def bucket_for(span: TimeRange) -> int:
    """Minutes of a piece that make of this range what an eye takes in."""
    minutes = span.until_minute - span.since_minute
    return next((size for size in _SIZES_MIN if minutes <= size * _FEW), _SIZES_MIN[-1])


def buckets(span: TimeRange, bucket_min: int, plant: PlantSettings) -> Buckets:
    """The range in pieces of so many minutes, counted from the plant's midnight; whole days where it is of days.

    The first and the last may be shorter: the range may begin and end within one, and a day of 23 hours is not cut in
    equal pieces of four. Raises RangeError where there would be too many.
    """
    if bucket_min < 1 or (span.until_minute - span.since_minute) // bucket_min > MOST:
        raise RangeError(f"pieces of {bucket_min} minutes would be too many points: {MOST} at most")
    whole = list(_edges(span, bucket_min, plant))
    inside = [edge for edge in whole if span.since_minute < edge < span.until_minute]
    unit = reduce(gcd, (after - before for before, after in pairwise(whole)))
    return Buckets(whole[0], unit, (span.since_minute, *inside, span.until_minute))


def _edges(span: TimeRange, bucket_min: int, plant: PlantSettings) -> Iterator[int]:
    """Edges of whole pieces from the midnight before the range to the one behind it."""
    step, rest = divmod(bucket_min, _DAY_MIN)
    until = span.since_minute
    for number, day in enumerate(days(span, plant)):
        until = day.until_minute
        if step and not rest:
            if number % step == 0:
                yield day.since_minute
        else:
            yield from range(day.since_minute, day.until_minute, bucket_min)
    yield until
