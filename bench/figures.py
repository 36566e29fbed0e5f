"""Arithmetic on measurements: percentiles, spread, and slopes that know how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

_Z_95 = 1.96


@dataclass(frozen=True)
class Slope:
    """Change a second, and the interval that holds the true one with 95 % if the samples' errors are independent."""

    per_s: float
    low: float
    high: float

    def is_flat(self, least: float) -> bool:
        """Not told from 0: the interval holds 0, or what it shows is less than `least` a second either way."""
        return self.low <= 0 <= self.high or abs(self.per_s) < least


def percentiles(values: Sequence[float], wanted: Sequence[int] = (50, 95, 99)) -> dict[str, float]:
    """`p50` and so on, by nearest rank; nothing where there are no values."""
    ranked = sorted(values)
    if not ranked:
        return {}
    return {f"p{q}": round(ranked[min(len(ranked) - 1, len(ranked) * q // 100)], 1) for q in wanted}


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Median, lowest and highest."""
    return {
        "median": round(median(values), digits),
        "low": round(min(values), digits),
        "high": round(max(values), digits),
    }


def slope(samples: Sequence[tuple[float, float]]) -> Slope | None:
    """Theil and Sen: the median over all pairs, for each restart is a dip and each cache a step; None below four.

    `samples` are (seconds, value). The interval is Sen's (1968), by the variance of Kendall's score.
    """
    if len(samples) < 4:
        return None
    at, held = np.array(samples, float).T
    first, second = np.triu_indices(len(at), 1)
    slopes = np.sort((held[second] - held[first]) / (at[second] - at[first]))
    reach = _Z_95 * math.sqrt(len(at) * (len(at) - 1) * (2 * len(at) + 5) / 18)
    low = max(0, math.floor((len(slopes) - reach) / 2))
    high = min(len(slopes) - 1, math.ceil((len(slopes) + reach) / 2))
    return Slope(float(np.median(slopes)), float(slopes[low]), float(slopes[high]))


def line_through(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(at 0, per unit) of the least squares line; needs two different places."""
    x, y = np.array(points, float).T
    per_unit, at_zero = np.polyfit(x, y, 1)
    return float(at_zero), float(per_unit)
