"""Each run rule: the shortest pattern that breaks it, and one that just does not."""

from __future__ import annotations

import pytest

from pipeline.history.run_rules import NELSON, RECOMMENDED, WESTERN_ELECTRIC, Rule, Standing, violations
from pipeline.history.spc import ChartKind, Sample, control_chart


def standings(*scores: float, in_zones: bool = True) -> list[Standing]:
    return [Standing(at, score, score, in_zones) for at, score in enumerate(scores)]


def marked(rule: Rule, *scores: float, in_zones: bool = True) -> list[int]:
    return [found.at for found in violations(standings(*scores, in_zones=in_zones), [rule])]


UP_AND_DOWN = (0.1, -0.1) * 7


@pytest.mark.parametrize(
    ("number", "breaks", "does_not"),
    [
        pytest.param(1, (0, 3.01), (0, 3.0), id="1: beyond, not at, a limit"),
        pytest.param(2, (0.1,) * 9, (0.1,) * 8 + (-0.1,), id="2: nine on one side"),
        pytest.param(2, (-0.1,) * 9, (0.1,) * 8 + (0.0,), id="2: the centre is neither side"),
        pytest.param(3, (1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 5, 5), id="3: six rising"),
        pytest.param(3, (6, 5, 4, 3, 2, 1), (6, 5, 4, 3, 2, 3), id="3: six falling"),
        pytest.param(4, UP_AND_DOWN, (*UP_AND_DOWN[:13], 0.2), id="4: fourteen in turn"),
        pytest.param(5, (0, 2.1, 2.1), (2.1, 0, 0, 2.1), id="5: two of three"),
        pytest.param(5, (2.1, 0, 2.1), (2.1, 0, -2.1), id="5: on one side"),
        pytest.param(6, (1.1, 0, 1.1, 1.1, 1.1), (1.1, 0, 1.1, 1.1, 0, 1.1), id="6: four of five"),
        pytest.param(6, (-1.1,) * 4, (-1.1, 1.1) * 3, id="6: on one side"),
        pytest.param(7, (0.9, -0.9, 0) * 5, (*(0.9, -0.9, 0) * 4, 0.9, -0.9, 1.0), id="7: fifteen near the centre"),
        pytest.param(8, (1.1, -1.1) * 4, (*(1.1, -1.1) * 3, 1.1, -1.0), id="8: eight away from it"),
        pytest.param(8, (1.1,) * 7 + (-1.1,), (1.1,) * 8, id="8: on both sides"),
    ],
)
def test_nelsons_rules(number: int, breaks: tuple[float, ...], does_not: tuple[float, ...]) -> None:
    rule = NELSON[number - 1]
    assert rule.number == number
    assert marked(rule, *breaks) == [len(breaks) - 1], "by the newest point"
    assert marked(rule, *does_not) == []


@pytest.mark.parametrize(
    ("number", "breaks", "does_not"),
    [
        pytest.param(1, (0, -3.01), (0, -3.0), id="1: beyond a limit"),
        pytest.param(2, (2.1, 2.1), (2.1, 0, 0, 2.1), id="2: two of three"),
        pytest.param(3, (1.1, 1.1, 0, 1.1, 1.1), (1.1, 1.1, 0, 0, 1.1, 1.1), id="3: four of five"),
        pytest.param(4, (-0.1,) * 8, (-0.1,) * 7, id="4: eight on one side"),
    ],
)
def test_western_electrics_rules(number: int, breaks: tuple[float, ...], does_not: tuple[float, ...]) -> None:
    rule = WESTERN_ELECTRIC[number - 1]
    assert marked(rule, *breaks) == [len(breaks) - 1]
    assert marked(rule, *does_not) == []


def test_a_violation_names_the_points_that_make_the_pattern() -> None:
    (found,) = violations(standings(0, 2.1, 0, 2.2), [NELSON[4]])
    assert (found.rule.number, found.at, found.points) == (5, 3, (1, 3))


def test_rules_that_go_by_zones_leave_points_alone_that_have_none() -> None:
    assert marked(NELSON[4], 2.1, 2.1, in_zones=False) == []
    assert marked(NELSON[1], *(0.1,) * 9, in_zones=False) == [8], "the others look at every point"


def test_zones_count_where_five_of_each_are_expected() -> None:
    few = [Sample(1, 40), Sample(4, 40), Sample(4, 40), *(Sample(0, 40) for _ in range(20))]
    many = [Sample(sample.count * 20, sample.size * 20) for sample in few]
    assert not any(point.rules for point in control_chart(ChartKind.LANEY_P, few, rules=[NELSON[4]]).points)
    assert control_chart(ChartKind.P, many, rules=[NELSON[4]]).points[2].rules == (5,)


def test_a_run_does_not_go_on_into_the_next_phase_but_over_points_of_nothing() -> None:
    high, low = Sample(6, 50), Sample(1, 50)
    run = [low] * 9 + [high] * 5
    split = [*run, *[high] * 4, *[low] * 9]
    assert any(2 in point.rules for point in control_chart(ChartKind.P, split).points[9:18])
    phases = [slice(0, 14), slice(14, len(split))]
    assert not any(2 in point.rules for point in control_chart(ChartKind.P, split, phases=phases).points[9:18])
    gap = [*split[:12], Sample(0, 0), *split[12:]]
    assert 2 in control_chart(ChartKind.P, gap).points[18].rules


def test_the_recommended_rules_need_no_zones() -> None:
    assert [rule.number for rule in RECOMMENDED] == [1, 2, 3, 4]
    assert not any(rule.by_zones for rule in RECOMMENDED)
