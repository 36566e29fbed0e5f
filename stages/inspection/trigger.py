"""The belt's way across the picture and the line on it; everything in fractions of the picture."""

from __future__ import annotations

from typing import NamedTuple

from stages.inspection.settings import InspectionSettings, Point

Box = tuple[float, float, float, float]  # x1 y1 x2 y2, fractions of the picture

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)  # all of the picture

SPAN_SLACK = 0.02  # how far past the line's ends a part may pass, fraction of the line


class Extent(NamedTuple):
    """A box's size as the belt sees it."""

    along: float
    across: float


def center(box: Box) -> Point:
    """Middle of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def moved(box: Box, by: Point) -> Box:
    """The box, elsewhere."""
    return box[0] + by[0], box[1] + by[1], box[2] + by[0], box[3] + by[1]


def is_within(box: Box, view: Box) -> bool:
    """True where the box touches no edge of the view."""
    return box[0] > view[0] and box[1] > view[1] and box[2] < view[2] and box[3] < view[3]


def between(first: Box, last: Box, share: float) -> Box:
    """The box that share of the way from first to last."""
    a, b, c, d = (p + (q - p) * share for p, q in zip(first, last, strict=True))
    return a, b, c, d


class Way:
    """Directions of one belt: along it, and across it."""

    def __init__(self, step: Point) -> None:
        self.step = step

    def along(self, point: Point) -> float:
        """How far down the belt a point lies."""
        return point[0] * self.step[0] + point[1] * self.step[1]

    def across(self, point: Point) -> float:
        """How far to the belt's side a point lies."""
        return point[1] * self.step[0] - point[0] * self.step[1]

    def extent(self, box: Box) -> Extent:
        """Length and breadth of a box, measured along and across the belt."""
        width, height = box[2] - box[0], box[3] - box[1]
        x, y = abs(self.step[0]), abs(self.step[1])
        return Extent(width * x + height * y, width * y + height * x)

    def carried(self, box: Box, travel: float) -> Box:
        """Where the belt's travel brings a box."""
        return moved(box, (self.step[0] * travel, self.step[1] * travel))


class Trigger:
    """The line a part is judged on."""

    def __init__(self, settings: InspectionSettings) -> None:
        self._start, end = settings.trigger
        self._line = (end[0] - self._start[0], end[1] - self._start[1])
        self._step = settings.vector
        self._slope = self._line[1] * self._step[0] - self._line[0] * self._step[1]  # never 0, settings see to that

    def passed(self, point: Point) -> float:
        """Travel since the line: negative before it, positive behind it."""
        x, y = point[0] - self._start[0], point[1] - self._start[1]
        return (x * self._line[1] - y * self._line[0]) / self._slope

    def spans(self, point: Point) -> bool:
        """True where a part on this lane crosses the line itself, not what lies beyond its ends."""
        travel = self.passed(point)
        x = point[0] - travel * self._step[0] - self._start[0]
        y = point[1] - travel * self._step[1] - self._start[1]
        share = (x * self._line[0] + y * self._line[1]) / (self._line[0] ** 2 + self._line[1] ** 2)
        return -SPAN_SLACK <= share <= 1 + SPAN_SLACK

    def crossing(self, before: Point, after: Point) -> float | None:
        """Share of the way from before to after at which the line is crossed forwards, 0 < share <= 1, or None."""
        first, last = self.passed(before), self.passed(after)
        if not first < 0 <= last:
            return None
        share = -first / (last - first)
        where = before[0] + (after[0] - before[0]) * share, before[1] + (after[1] - before[1]) * share
        return share if self.spans(where) else None
