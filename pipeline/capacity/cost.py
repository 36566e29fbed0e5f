"""One figure a plan is made of, and how it is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class Known(StrEnum):
    """How a figure is known, surest first."""

    MEASURED = "measured"  # by us, on the machine the source names
    GIVEN = "given"  # by whoever asks
    PUBLISHED = "published"  # by others
    SCALED = "scaled"  # worked out from another figure, not measured
    ASSUMED = "assumed"  # a guess


@dataclass(frozen=True, slots=True)
class Cost:
    """A figure with its source; the unit stands where it is kept."""

    value: float
    known: Known
    source: str

    def scaled(self, factor: float, why: str) -> Cost:
        """This times `factor`, which nobody measured."""
        return Cost(self.value * factor, Known.SCALED, f"{why} from: {self.source}")

    def times(self, factor: float) -> Cost:
        """The same knowledge of `factor` as much."""
        return replace(self, value=self.value * factor)


def by_pixels(measured: Mapping[tuple[int, int], float], width: int, height: int, source: str) -> Cost:
    """What a picture of this size costs: measured, or on the line between the two sizes next to it.

    Below and above what was measured it grows with the pixels.
    """
    pixels = width * height
    points = sorted((w * h, value) for (w, h), value in measured.items())
    if (width, height) in measured:
        return Cost(measured[width, height], Known.MEASURED, source)
    below = [point for point in points if point[0] <= pixels]
    above = [point for point in points if point[0] > pixels]
    if below and above:
        (p0, v0), (p1, v1) = below[-1], above[0]
        value = v0 + (v1 - v0) * (pixels - p0) / (p1 - p0)
        return Cost(value, Known.SCALED, f"between the two nearest sizes of: {source}")
    p0, v0 = below[-1] if below else above[0]
    return Cost(v0 * pixels / p0, Known.SCALED, f"by its pixels from: {source}")
