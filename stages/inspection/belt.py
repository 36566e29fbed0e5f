"""How the belt moves and how long its parts are, learned from the parts themselves."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Iterable
from typing import Any, Literal

from stages.inspection.trigger import Extent

ToldBy = Literal["whole", "cut", "nobody"]  # parts seen whole; parts cut by the picture's edge, a rough guess; none

SETTLES_S = 0.4  # time constant of the speed: long enough to even out boxes that tremble, short enough to follow a stop
CRUISE_S = 5.0  # time constant of the speed the belt has when it runs
YOUNG_S = 2.0  # time in which a speed far below the known one speaks against that, not for a belt that stands
FIRST_S = 0.25  # time a first speed is measured over: two pictures with a wrong time stamp must not set it
LEAST_S = 0.01  # less time tells no speed: a picture dated a microsecond after another would make it thousands a second
RUNS = 0.3  # share of the cruising speed from which the belt counts as running
STANDS = 0.15  # share of the cruising speed below which it counts as standing
SIZES = 15  # parts whose size is remembered
DOUBTS = 8  # parts in a row without a clear box after which the remembered sizes are not believed any longer
CLEAR_FRAMES = 3  # clear frames after which a part's own size is believed


class Belt:
    """One belt: `travel` is its odometer and `speed` how fast it runs now, in (fractions of) the picture."""

    def __init__(self, part_length: float | None) -> None:
        self._part_length = part_length
        self.travel = 0.0
        self.at: float | None = None  # when it was last seen
        self.speed: float | None = None  # a second; negative backwards; None until seen moving
        self.cruise: float | None = None  # its usual speed, stops left out
        self._watched_s = 0.0  # how long, and ...
        self._watched_travel = 0.0  # ... how far whole parts have told how the belt moves
        self._sizes: deque[Extent] = deque(maxlen=SIZES)
        self._unclear = 0  # parts in a row that had no clear box

    @property
    def fastest(self) -> float:
        """The higher of its usual speed and the one it has now; 0 until seen moving."""
        return max(self.cruise or 0.0, self.speed or 0.0)

    @property
    def backing(self) -> float:
        """How fast it runs backwards now; 0 where it does not."""
        return max(0.0, -(self.speed or 0.0))

    @property
    def is_running(self) -> bool:
        """True where it was last seen moving."""
        return self.speed is not None and abs(self.speed) > STANDS * (self.cruise or 0.0)

    def since(self, at: float) -> float:
        """Seconds since the belt was last seen; 0 at first."""
        return 0.0 if self.at is None else max(0.0, at - self.at)

    def expected(self, at: float) -> float:
        """Travel since the belt was last seen, if it went on as it did; one that had all but stopped stands."""
        return (self.speed or 0.0) * self.since(at) if self.is_running else 0.0

    def usual(self, at: float) -> float:
        """Travel since the belt was last seen, had it run all the time."""
        return (self.cruise or 0.0) * self.since(at)

    def advance(self, at: float, travel: float, told_by: ToldBy) -> None:
        """The belt went `travel`, as these parts tell; where nobody does it was only extrapolated."""
        elapsed = self.since(at)
        self.travel += travel
        self.at = at if self.at is None else max(self.at, at)
        if elapsed <= 0:
            return
        if told_by == "whole":
            self._watched_s += elapsed
            self._watched_travel += travel
            self._learn_speed(travel / elapsed, elapsed)
        elif told_by == "cut" and elapsed >= LEAST_S:
            self.speed = travel / elapsed

    def learn_size(self, size: Extent | None) -> None:
        """A part was judged whose clear boxes had this size on average; None if it had no clear box."""
        self._unclear = 0 if size is not None else self._unclear + 1
        if size is not None:
            self._sizes.append(size)
        elif self._unclear >= DOUBTS:
            self._sizes.clear()  # what runs now is larger than what ran before; else it would be touching for ever

    def forget_sizes(self) -> None:
        """Parts from now on may be of another size."""
        self._sizes.clear()
        self._unclear = 0

    def part_size(self, others: Iterable[Extent] = ()) -> Extent | None:
        """Size of one part, the median of those known and `others`; None while nothing is known."""
        sizes = [*self._sizes, *others]
        if not sizes:
            return None if self._part_length is None else Extent(self._part_length, math.inf)
        along = statistics.median(size.along for size in sizes) if self._part_length is None else self._part_length
        return Extent(along, statistics.median(size.across for size in sizes))

    def shift(self, by_s: float) -> None:
        """Move remembered times: the camera's clock jumped."""
        if self.at is not None:
            self.at += by_s

    def checkpoint(self) -> list[Any]:
        """Plain data."""
        sizes = [value for size in self._sizes for value in size]
        watched = [self._watched_s, self._watched_travel]
        return [self.travel, self.at, self.speed, self.cruise, watched, self._unclear, sizes]

    def restore(self, data: list[Any]) -> None:
        """Take up where a checkpoint was made."""
        self.travel, self.at, self.speed, self.cruise, watched, self._unclear, sizes = data
        self._watched_s, self._watched_travel = watched
        self._sizes = deque(map(Extent, sizes[::2], sizes[1::2]), maxlen=SIZES)

    def _learn_speed(self, speed: float, elapsed: float) -> None:
        if self.cruise is None:
            if self._watched_s < LEAST_S:
                return
            self.speed = self._watched_travel / self._watched_s
            if self._watched_s >= FIRST_S and self.speed > 0:
                self.cruise = self.speed
            return
        known = speed if self.speed is None else self.speed
        self.speed = known + (speed - known) * (1 - math.exp(-elapsed / SETTLES_S))
        stands = self._watched_s > YOUNG_S and speed < RUNS * self.cruise
        if speed <= 0 or stands:
            return
        # Young knowledge gives way sooner, so that a bad start is forgotten in the time it took.
        settles_s = min(CRUISE_S, self._watched_s)
        self.cruise += (speed - self.cruise) * (1 - math.exp(-elapsed / settles_s))
