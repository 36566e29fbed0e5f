"""Run rules: patterns of points that a process in control seldom makes, though no single point may be beyond a limit.

Nelson's are of L. S. Nelson, "The Shewhart control chart: tests for special causes", Journal of Quality Technology
16(4), 1984; Western Electric's of its Statistical Quality Control Handbook, 1956.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a point stands. `index` is its place in the chart, which need not be the one behind the one before."""

    index: int
    value: float
    z: float  # standard deviations from the centre line, by the point's own limits
    in_zones: bool  # so many are expected that one, two and three deviations mean what they mean for normal values


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern within `span` points, `least` of which make it.

    `by_zones`: it asks for points that zones mean something for, all of them.
    """

    number: int
    name: str
    span: int
    least: int
    by_zones: bool
    makes: Callable[[Sequence[Standing]], list[Standing]]  # of the newest `span` points; those that make the pattern


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken: by the points at these places, the newest of which is `at`."""

    rule: Rule
    at: int
    points: tuple[int, ...]


def violations(standings: Sequence[Standing], rules: Sequence[Rule]) -> Iterator[Violation]:
    """Every time that one of the rules is broken by points of this one phase, in the order of the points."""
    for end in range(1, len(standings) + 1):
        for rule in rules:
            if found := _found(rule, standings[max(0, end - rule.span) : end]):
                yield Violation(rule, found[-1].index, tuple(one.index for one in found))


def _found(rule: Rule, window: Sequence[Standing]) -> list[Standing]:
    if len(window) < rule.least or (rule.by_zones and not all(one.in_zones for one in window)):
        return []
    return rule.makes(window)


def _beyond(window: Sequence[Standing]) -> list[Standing]:
    return [one for one in window if abs(one.z) > 3]


def _one_side(window: Sequence[Standing]) -> list[Standing]:
    is_run = all(one.z > 0 for one in window) or all(one.z < 0 for one in window)
    return list(window) if is_run else []


def _trend(window: Sequence[Standing]) -> list[Standing]:
    steps = [after.value - before.value for before, after in pairwise(window)]
    return list(window) if all(step > 0 for step in steps) or all(step < 0 for step in steps) else []


def _alternating(window: Sequence[Standing]) -> list[Standing]:
    steps = [after.value - before.value for before, after in pairwise(window)]
    return list(window) if all(one * other < 0 for one, other in pairwise(steps)) else []


def _most_beyond(needed: int, deviations: float) -> Callable[[Sequence[Standing]], list[Standing]]:
    """So many of the window beyond so many deviations on one side, the newest among them."""

    def makes(window: Sequence[Standing]) -> list[Standing]:
        side = 1 if window[-1].z > 0 else -1
        far = [one for one in window if one.z * side > deviations]
        return far if len(far) >= needed and far[-1] is window[-1] else []

    return makes


def _hugging(window: Sequence[Standing]) -> list[Standing]:
    return list(window) if all(abs(one.z) < 1 for one in window) else []


def _avoiding(window: Sequence[Standing]) -> list[Standing]:
    on_both = any(one.z > 0 for one in window) and any(one.z < 0 for one in window)
    return list(window) if on_both and all(abs(one.z) > 1 for one in window) else []


BEYOND_LIMITS = Rule(1, "one point beyond the limits", 1, 1, False, _beyond)

NELSON: tuple[Rule, ...] = (
    BEYOND_LIMITS,
    Rule(2, "nine points in a row on one side of the centre line", 9, 9, False, _one_side),
    Rule(3, "six points in a row steadily rising or falling", 6, 6, False, _trend),
    Rule(4, "fourteen points in a row going up and down in turn", 14, 14, False, _alternating),
    Rule(5, "two of three points beyond two deviations on one side", 3, 2, True, _most_beyond(2, 2)),
    Rule(6, "four of five points beyond one deviation on one side", 5, 4, True, _most_beyond(4, 1)),
    Rule(7, "fifteen points in a row within one deviation", 15, 15, True, _hugging),
    Rule(8, "eight points in a row beyond one deviation, on both sides", 8, 8, True, _avoiding),
)

WESTERN_ELECTRIC: tuple[Rule, ...] = (
    BEYOND_LIMITS,
    Rule(2, "two of three points beyond two deviations on one side", 3, 2, True, _most_beyond(2, 2)),
    Rule(3, "four of five points beyond one deviation on one side", 5, 4, True, _most_beyond(4, 1)),
    Rule(4, "eight points in a row on one side of the centre line", 8, 8, False, _one_side),
)

# Nelson advises 1 to 4 for every chart; the others go by zones, which need values spread as normal ones are.
RECOMMENDED = NELSON[:4]


class RuleSet(StrEnum):
    """Which rules a plant looks at."""

    NELSON_1_4 = "nelson-1-4"
    NELSON = "nelson"
    WESTERN_ELECTRIC = "western-electric"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Their numbers are the set's own."""
        return {RuleSet.NELSON_1_4: RECOMMENDED, RuleSet.NELSON: NELSON, RuleSet.WESTERN_ELECTRIC: WESTERN_ELECTRIC}[
            self
        ]
