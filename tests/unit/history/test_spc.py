"""Control charts, held against worked examples that others published."""

from __future__ import annotations

import random

import pytest

from pipeline.history.spc import ChartKind, FrozenLimits, Sample, control_chart, limits, sigma_z

# Montgomery, Introduction to Statistical Quality Control (2nd ed., 1991, pp. 152-159): nonconforming cans of frozen
# orange juice concentrate in 30 samples of 50, then in 24 more after the machine was set. As given in the R package qcc
# (`orangejuice`). NIST/SEMATECH's e-Handbook of Statistical Methods, 6.3.3.2, charts thirty wafers of fifty chips with
# the same p-bar of 0.2313.
CANS = (12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6)
CANS_AFTER = (9, 6, 12, 5, 6, 4, 6, 3, 7, 6, 2, 4, 3, 6, 5, 4, 8, 5, 6, 7, 5, 6, 3, 5)

# Pyzdek and Keller, The Handbook for Quality Management, table 9.6: bruised peaches in crates of 250, now and then two.
PEACHES = (
    *((count, 250) for count in (47, 42, 55, 51, 46, 61, 39, 44, 41, 51)),
    *((88, 500), (101, 500), (101, 500)),
    *((count, 250) for count in (40, 48, 47, 50, 48, 57, 45, 43)),
    *((105, 500), (98, 500), (100, 500), (96, 500)),
)

# Montgomery, the same, pp. 183-184: defects in rolls of dyed cloth, in units of 50 m2. As given in qcc (`dyedcloth`).
CLOTH = (
    *((14, 10), (12, 8), (20, 13), (11, 10), (7, 9.5)),
    *((10, 10), (21, 12), (16, 10.5), (19, 12), (23, 12.5)),
)

# Mohammed and others, "Statistical process control charts for attribute data involving very large sample sizes", BMJ
# Quality & Safety 22, 2013: patients seen within four hours, of those who came, by week. As given in the R package
# qicharts2 (`nhs_accidents`).
SEEN = (
    *((266501, 280443), (264225, 276823), (276532, 291681), (281461, 296155), (269071, 282343)),
    *((261215, 275888), (270409, 283867), (279778, 295251), (270483, 284468), (270320, 282529)),
    *((267923, 279618), (271478, 283932), (255353, 266629), (256820, 268091), (261835, 276803)),
    *((259144, 271578), (255910, 266005), (260863, 273520), (264465, 278574), (260989, 273772)),
)

# SAS/QC User's Guide, "Saving Control Limits" of the UCHART statement: defects in 20 rolls of 30 m2 of fabric.
FABRIC = (12, 11, 9, 15, 7, 6, 5, 10, 8, 8, 14, 5, 9, 13, 7, 5, 8, 11, 7, 12)


def of_size(size: float, counts: tuple[int, ...]) -> list[Sample]:
    return [Sample(count, size) for count in counts]


def samples(pairs: tuple[tuple[int, float], ...]) -> list[Sample]:
    return [Sample(count, size) for count, size in pairs]


def test_p_chart_of_montgomerys_orange_juice_cans() -> None:
    chart = control_chart(ChartKind.P, of_size(50, CANS))
    assert chart.phases[0].center == pytest.approx(0.2313, abs=5e-5)
    for point in chart.points:
        assert (point.lower, point.upper) == pytest.approx((0.0524, 0.4102), abs=5e-5)
    assert [at + 1 for at, point in enumerate(chart.points) if 1 in point.rules] == [15, 23]


def test_p_chart_of_the_cans_without_the_two_samples_that_had_a_cause() -> None:
    """Montgomery's revised limits."""
    kept = [sample for at, sample in enumerate(of_size(50, CANS), 1) if at not in (15, 23)]
    chart = control_chart(ChartKind.P, kept)
    assert chart.phases[0].center == pytest.approx(0.2150, abs=5e-5)
    assert (chart.points[0].lower, chart.points[0].upper) == pytest.approx((0.0407, 0.3893), abs=5e-5)


def test_phases_of_the_cans_before_and_after_the_machine_was_set() -> None:
    """Montgomery's second phase: p-bar 0.1108, upper limit 0.2440, and a lower one of -0.0224 that is set to 0."""
    chart = control_chart(
        ChartKind.P, of_size(50, (*CANS, *CANS_AFTER)), phases=[slice(0, 30), slice(30, 54)], rules=()
    )
    assert [phase.center for phase in chart.phases] == pytest.approx([0.2313, 0.1108], abs=5e-5)
    assert (chart.points[29].lower, chart.points[29].upper) == pytest.approx((0.0524, 0.4102), abs=5e-5)
    assert (chart.points[30].lower, chart.points[30].upper) == pytest.approx((0.0, 0.2440), abs=5e-5)


def test_p_chart_of_peaches_has_limits_by_the_size_of_each_sample() -> None:
    """The limits by hand: 0.193 +- 3 sqrt(0.193 * 0.807 / n)."""
    chart = control_chart(ChartKind.P, samples(PEACHES))
    assert chart.phases[0].center == pytest.approx(0.193, abs=5e-4)
    by_size = {point.size: (point.lower, point.upper) for point in chart.points}
    assert by_size[250] == pytest.approx((0.118, 0.268), abs=5e-4)
    assert by_size[500] == pytest.approx((0.140, 0.246), abs=5e-4)
    assert all(point.rules == () for point in chart.points)


def test_u_chart_of_montgomerys_dyed_cloth() -> None:
    """His u-bar is 153 / 107.5 = 1.42 and his limits are 1.42 +- 3 sqrt(1.42 / n)."""
    chart = control_chart(ChartKind.U, samples(CLOTH))
    assert chart.phases[0].center == pytest.approx(1.42, abs=5e-3)
    by_size = {point.size: (point.lower, point.upper) for point in chart.points}
    assert by_size[10] == pytest.approx((0.29, 2.55), abs=1e-2)
    assert by_size[8] == pytest.approx((0.16, 2.68), abs=1e-2)
    assert by_size[13] == pytest.approx((0.43, 2.41), abs=1e-2)
    assert by_size[12.5] == pytest.approx((0.41, 2.43), abs=1e-2)


def test_u_chart_of_sas_fabric() -> None:
    """Printed there: _LCLU_ .001671271, _U_ 0.30333, _UCLU_ 0.60500."""
    chart = control_chart(ChartKind.U, of_size(30, FABRIC))
    assert chart.phases[0].center == pytest.approx(0.30333, abs=5e-6)
    assert chart.points[0].lower == pytest.approx(0.001671271, abs=5e-10)
    assert chart.points[0].upper == pytest.approx(0.60500, abs=5e-6)


def test_laneys_chart_of_patients_seen_in_time() -> None:
    """What qicharts2 computes (chart "pp", moving ranges unscreened), as kept in the tests of PowerBI-SPC."""
    chart = control_chart(ChartKind.LANEY_P, samples(SEEN))
    points = chart.points
    assert chart.phases[0].center == pytest.approx(0.95289971134419116, abs=1e-12)
    assert [point.lower for point in points[:3]] == pytest.approx(
        [0.9401296441775141, 0.94004641862513627, 0.9403780655785402], abs=1e-12
    )
    assert [point.upper for point in points[-2:]] == pytest.approx(
        [0.96571254516695282, 0.96582442616547814], abs=1e-12
    )
    assert all(1 not in point.rules for point in points), "within its limits, as published"


def test_a_p_chart_of_the_same_patients_is_too_narrow() -> None:
    """By the same source: the binomial limits of week 1 are 0.95170 to 0.95410, and most weeks are beyond theirs."""
    chart = control_chart(ChartKind.P, samples(SEEN))
    first = chart.points[0]
    assert (first.lower, first.upper) == pytest.approx((0.95169956464601502, 0.9540998580423673), abs=1e-12)
    assert sum(1 in point.rules for point in chart.points) > 10
    assert sigma_z(ChartKind.P, samples(SEEN), 0.95289971134419116) == pytest.approx(10.64, abs=5e-3)


def test_laneys_chart_with_limits_of_the_first_ten_weeks() -> None:
    """Phase II, by the same source (`freeze = 10`): centre and width of ten weeks, limits by the size of every week."""
    base = control_chart(ChartKind.LANEY_P, samples(SEEN[:10])).phases[0]
    assert base.center == pytest.approx(0.95105964383277042, abs=1e-12)
    frozen = FrozenLimits(base.center or 0.0, base.sigma_z)
    chart = control_chart(ChartKind.LANEY_P, samples(SEEN), frozen=frozen)
    assert chart.phases[0].is_frozen
    assert (chart.points[0].lower, chart.points[0].upper) == pytest.approx(
        (0.93866469138900677, 0.96345459627653407), abs=1e-12
    )
    assert (chart.points[19].lower, chart.points[19].upper) == pytest.approx(
        (0.93851458643658869, 0.96360470122895214), abs=1e-12
    )


def test_laneys_chart_in_two_phases() -> None:
    """By the same source (`part = 10`)."""
    chart = control_chart(ChartKind.LANEY_P, samples(SEEN), phases=[slice(0, 10), slice(10, 20)])
    assert [phase.center for phase in chart.phases] == pytest.approx(
        [0.95105964383277042, 0.95481431224580271], abs=1e-12
    )
    assert chart.points[10].lower == pytest.approx(0.940610623423212, abs=1e-12)


def test_a_width_of_one_is_the_p_chart() -> None:
    made = random.Random(7)
    drawn = [
        Sample(sum(made.random() < 0.03 for _ in range(size)), size) for size in made.choices(range(50, 400), k=40)
    ]
    plain = control_chart(ChartKind.P, drawn)
    center = plain.phases[0].center or 0.0
    laney = control_chart(ChartKind.LANEY_P, drawn, frozen=FrozenLimits(center, 1.0))
    assert [(p.lower, p.upper) for p in laney.points] == [(p.lower, p.upper) for p in plain.points]


def test_binomial_counts_have_a_width_near_one() -> None:
    made = random.Random(11)
    drawn = [Sample(sum(made.random() < 0.1 for _ in range(300)), 300) for _ in range(400)]
    phase = control_chart(ChartKind.LANEY_P, drawn, rules=()).phases[0]
    assert phase.sigma_z == pytest.approx(1.0, abs=0.1)


def test_limits_keep_to_what_can_be() -> None:
    assert [limits(kind, 0.01, 3.0, 5)[0] for kind in ChartKind] == [0.0, 0.0, 0.0]
    assert [limits(kind, 0.99, 3.0, 5)[1] > 1.0 for kind in ChartKind] == [False, False, True]


def test_points_of_nothing_keep_their_place_and_change_nothing() -> None:
    gaps = [Sample(0, 0), *of_size(50, CANS[:10]), Sample(0, 0), *of_size(50, CANS[10:]), Sample(0, 0)]
    chart, without = control_chart(ChartKind.LANEY_P, gaps), control_chart(ChartKind.LANEY_P, of_size(50, CANS))
    assert (chart.phases[0].center, chart.phases[0].sigma_z) == (without.phases[0].center, without.phases[0].sigma_z)
    assert [chart.points[at].value for at in (0, 11, 32)] == [None, None, None]
    kept = [point for point in chart.points if point.value is not None]
    assert kept == list(without.points)


def test_a_phase_in_which_nothing_was_made_has_no_line() -> None:
    chart = control_chart(ChartKind.P, [Sample(1, 10), Sample(0, 0)], phases=[slice(0, 1), slice(1, 2)])
    assert chart.phases[1].center is None
    assert chart.points[1].lower is None


def test_no_rejects_at_all_are_in_control() -> None:
    chart = control_chart(ChartKind.LANEY_P, of_size(100, (0,) * 30))
    assert (chart.phases[0].center, chart.phases[0].sigma_z) == (0.0, 1.0)
    assert not chart.violations


def test_where_nothing_varies_the_width_is_one_and_frozen_it_marks_no_common_point() -> None:
    same = [Sample(10 * times, 100 * times) for times in (1, 3, 7, 2, 5)]
    phase = control_chart(ChartKind.LANEY_P, same).phases[0]
    assert (phase.center, phase.sigma_z) == (0.1, 1.0)
    later = control_chart(ChartKind.LANEY_P, of_size(100, (12, 9, 10)), frozen=FrozenLimits(0.1, phase.sigma_z))
    assert not later.violations


def test_one_reject_is_beyond_limits_that_were_frozen_at_none() -> None:
    chart = control_chart(ChartKind.P, of_size(100, (0, 1)), frozen=FrozenLimits(0.0))
    assert [point.rules for point in chart.points] == [(), (1,)]


def test_a_chart_of_no_points_is_empty() -> None:
    chart = control_chart(ChartKind.U, [])
    assert (chart.points, chart.phases, chart.violations) == ((), (), ())


@pytest.mark.parametrize(
    ("kind", "sample", "told"),
    [
        pytest.param(ChartKind.P, Sample(3, 2), "more rejects than parts", id="more rejects than parts"),
        pytest.param(ChartKind.U, Sample(-1, 2), "cannot be", id="fewer than none"),
        pytest.param(ChartKind.U, Sample(1, 0), "cannot be", id="defects of no parts"),
    ],
)
def test_counts_that_cannot_be_are_refused(kind: ChartKind, sample: Sample, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        control_chart(kind, [sample])


def test_phases_cover_every_point_once() -> None:
    with pytest.raises(ValueError, match="do not cover 3 points"):
        control_chart(ChartKind.P, of_size(5, (1, 1, 1)), phases=[slice(0, 1), slice(2, 3)])


@pytest.mark.parametrize("frozen", [FrozenLimits(1.5), FrozenLimits(-0.1), FrozenLimits(0.1, -1.0)])
def test_limits_that_cannot_be_are_not_frozen(frozen: FrozenLimits) -> None:
    with pytest.raises(ValueError, match="cannot be frozen"):
        control_chart(ChartKind.P, of_size(5, (1,)), frozen=frozen)
