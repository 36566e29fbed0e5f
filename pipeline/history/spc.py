"""Control charts for counted things: p, Laney p' and u. Arithmetic alone: it knows no table, no clock and no line.

The limits are D. B. Laney's, "Improved control charts for attributes", Quality Engineering 14(4), 2002, and for p and u
the common three-sigma ones (D. C. Montgomery, Introduction to Statistical Quality Control, chapter 7).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from pipeline.history.run_rules import RECOMMENDED, Rule, Standing, Violation, violations

SIGMAS = 3.0
_D2 = 1.128  # mean range of two normal values, in standard deviations
_SAME = 1e-12  # less is what adding up in another order makes


class ChartKind(StrEnum):
    """What is plotted, and what its limits are made of."""

    P = "p"  # share of rejects, binomial
    LANEY_P = "laney_p"  # the same, as wide as the shares vary from one point to the next
    U = "u"  # defects a part, Poisson


@dataclass(frozen=True, slots=True)
class Sample:
    """What one point is made of: `count` rejects or defects in `size` parts; a size of 0 is nothing seen."""

    count: int
    size: float


@dataclass(frozen=True, slots=True)
class FrozenLimits:
    """Centre line and width that somebody decided on (phase II); the limits still vary with the size."""

    center: float
    sigma_z: float = 1.0


@dataclass(frozen=True, slots=True)
class Phase:
    """Points `start` to `stop` (left out) that have one centre line. `center` is None where nothing was seen."""

    start: int
    stop: int
    center: float | None
    sigma_z: float  # 1 but for Laney's chart
    is_frozen: bool


@dataclass(frozen=True, slots=True)
class Point:
    """A point and its own limits. `value` and limits are None where nothing was seen: its place is kept."""

    count: int
    size: float
    value: float | None
    center: float | None
    lower: float | None
    upper: float | None
    z: float | None  # standard deviations from the centre; infinite where there is none to measure by
    rules: tuple[int, ...]  # numbers of the rules that are broken with this point


@dataclass(frozen=True, slots=True)
class ControlChart:
    """Points in the order they were given, their phases, and which rules they break."""

    kind: ChartKind
    points: tuple[Point, ...]
    phases: tuple[Phase, ...]
    violations: tuple[Violation, ...]


def control_chart(
    kind: ChartKind,
    samples: Sequence[Sample],
    *,
    phases: Sequence[slice] | None = None,
    frozen: FrozenLimits | None = None,
    hold_for: Sequence[bool] | None = None,
    rules: Sequence[Rule] = RECOMMENDED,
) -> ControlChart:
    """The chart of these samples. Each phase has its own centre line and width, unless they are frozen.

    `phases` are slices one behind the other that cover all samples; None is one phase. `hold_for`: of each of them,
    whether the frozen limits hold; None is all. Rules look at one phase at a time and pass over points of nothing.
    Raises ValueError for counts that cannot be.
    """
    _check(kind, samples, frozen)
    whole = [slice(0, len(samples))] if phases is None else list(phases)
    held = [frozen if holds else None for holds in ([True] * len(whole) if hold_for is None else hold_for)]
    made = [
        _phase(kind, samples, start, stop, its)
        for (start, stop), its in zip(_bounds(whole, len(samples)), held, strict=True)
        if stop > start
    ]
    bare = [_point(kind, sample, phase) for phase in made for sample in samples[phase.start : phase.stop]]
    broken = [found for phase in made for found in violations(_standings(kind, bare, phase), rules)]
    return ControlChart(kind, tuple(_marked(bare, broken)), tuple(made), tuple(broken))


def sigma_z(kind: ChartKind, samples: Sequence[Sample], center: float) -> float:
    """How much more the points vary than their distribution says: the mean moving range of the z values over 1.128.

    1 where there are fewer than two points or nothing varies at all: there is nothing to tell it by.
    """
    spreads = [(sample, spread(kind, center, sample.size)) for sample in samples if sample.size > 0]
    scores = [(sample.count / sample.size - center) / sd for sample, sd in spreads if sd > 0]
    if len(scores) < 2:
        return 1.0
    ranges = [abs(after - before) for before, after in pairwise(scores)]
    mean = sum(ranges) / len(ranges)
    return 1.0 if mean < _SAME else mean / _D2


def spread(kind: ChartKind, center: float, size: float) -> float:
    """Standard deviation of a point of this size by its distribution: binomial for shares, Poisson for defects."""
    variance = center if kind is ChartKind.U else center * (1 - center)
    return math.sqrt(max(variance, 0.0) / size)


def limits(kind: ChartKind, center: float, width: float, size: float) -> tuple[float, float]:
    """Lower and upper limit of a point of this size; a share stays in 0 to 1, defects stay above 0."""
    reach = SIGMAS * width * spread(kind, center, size)
    upper = center + reach
    return max(0.0, center - reach), upper if kind is ChartKind.U else min(1.0, upper)


def _phase(kind: ChartKind, samples: Sequence[Sample], start: int, stop: int, frozen: FrozenLimits | None) -> Phase:
    if frozen is not None:
        return Phase(start, stop, frozen.center, _width(kind, frozen.sigma_z), is_frozen=True)
    seen = samples[start:stop]
    parts = sum(sample.size for sample in seen)
    if parts == 0:
        return Phase(start, stop, None, 1.0, is_frozen=False)
    center = sum(sample.count for sample in seen) / parts
    return Phase(start, stop, center, _width(kind, sigma_z(kind, seen, center)), is_frozen=False)


def _width(kind: ChartKind, measured: float) -> float:
    return measured if kind is ChartKind.LANEY_P else 1.0


def _point(kind: ChartKind, sample: Sample, phase: Phase) -> Point:
    if sample.size == 0 or phase.center is None:
        return Point(sample.count, sample.size, None, phase.center, None, None, None, ())
    value = sample.count / sample.size
    lower, upper = limits(kind, phase.center, phase.sigma_z, sample.size)
    z = _z(value - phase.center, phase.sigma_z * spread(kind, phase.center, sample.size))
    return Point(sample.count, sample.size, value, phase.center, lower, upper, z, ())


def _z(distance: float, deviation: float) -> float:
    if abs(distance) < _SAME:
        return 0.0
    return distance / deviation if deviation > 0 else math.copysign(math.inf, distance)


def _standings(kind: ChartKind, points: Sequence[Point], phase: Phase) -> list[Standing]:
    """The points of a phase as the rules see them: those where nothing was seen are passed over."""
    center = phase.center
    return [
        Standing(index, point.value, point.z, _is_near_normal(kind, center, point.size))
        for index, point in enumerate(points[phase.start : phase.stop], phase.start)
        if center is not None and point.value is not None and point.z is not None
    ]


def _is_near_normal(kind: ChartKind, center: float, size: float) -> bool:
    """Five of each expected: below that a count has too few values for zones to hold what they hold of normal ones."""
    return size * center >= 5 and (kind is ChartKind.U or size * (1 - center) >= 5)


def _marked(points: Sequence[Point], broken: Sequence[Violation]) -> list[Point]:
    numbers: dict[int, list[int]] = {}
    for found in broken:
        numbers.setdefault(found.at, []).append(found.rule.number)
    return [replace(point, rules=tuple(sorted(numbers.get(at, ())))) for at, point in enumerate(points)]


def _bounds(phases: Sequence[slice], length: int) -> list[tuple[int, int]]:
    bounds = [part.indices(length)[:2] for part in phases]
    edges = [0, *(stop for _, stop in bounds)]
    if any(start != edge for (start, _), edge in zip(bounds, edges, strict=False)) or edges[-1] != length:
        raise ValueError(f"phases {bounds} do not cover {length} points one behind the other")
    return bounds


def _check(kind: ChartKind, samples: Sequence[Sample], frozen: FrozenLimits | None) -> None:
    for index, sample in enumerate(samples):
        if sample.count < 0 or sample.size < 0 or (sample.size == 0 and sample.count):
            raise ValueError(f"point {index} cannot be: {sample.count} of {sample.size}")
        if kind is not ChartKind.U and sample.count > sample.size:
            raise ValueError(f"point {index} has more rejects than parts: {sample.count} of {sample.size}")
    if frozen is None:
        return
    if frozen.center < 0 or frozen.sigma_z < 0 or (kind is not ChartKind.U and frozen.center > 1):
        raise ValueError(f"limits cannot be frozen at a centre of {frozen.center:g} and a width of {frozen.sigma_z:g}")
