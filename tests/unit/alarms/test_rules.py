"""What raises an alarm, what keeps it, and what ends it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from pipeline.alarms.camera_blind import CameraBlindRule, CameraWatch, Sight
from pipeline.alarms.latency_burn import BurnWindow, LatencyRule, Minutes
from pipeline.alarms.reject_rate import RejectRateRule
from pipeline.alarms.run_rule import ChartPoint, RunRuleRule
from pipeline.alarms.values import Severity

SEES, BLIND = Sight(True), Sight(False, "reconnecting")


@pytest.mark.parametrize(
    ("parts", "rejects", "held", "holds"),
    [
        pytest.param(100, 5, False, False, id="at the limit"),
        pytest.param(100, 6, False, True, id="above it"),
        pytest.param(49, 40, False, None, id="too few parts to tell"),
        pytest.param(100, 5, True, True, id="below the limit, not below where it ends"),
        pytest.param(100, 4, True, False, id="where it ends"),
        pytest.param(10, 0, True, None, id="few parts end none"),
        pytest.param(0, 0, True, False, id="a line that stands has no rate"),
        pytest.param(0, 0, False, None, id="nor raises one"),
    ],
)
def test_a_reject_rate_over_its_limit(parts: int, rejects: int, held: bool, holds: bool | None) -> None:
    rule = RejectRateRule(limit=0.05, min_parts=50, clear_at=0.8)
    assert rule.judge(parts, rejects, held).holds is holds


def test_a_reject_rate_is_told_with_its_parts_and_limit() -> None:
    said = RejectRateRule(limit=0.05, window_min=30).judge(120, 9, False).detail
    assert said == "7.5 % of 120 parts rejected in 30 min, limit 5 %"


def test_a_moment_without_sight_is_no_alarm_and_a_glimpse_ends_none() -> None:
    rule, watch = CameraBlindRule(after_s=10, clear_after_s=5), CameraWatch()
    told = [(0, SEES, False), (1, BLIND, False), (10, BLIND, False), (10.5, SEES, False), (11, BLIND, False)]
    assert [watch.judge(rule, sight, at, held).holds for at, sight, held in told] == [None] * 5
    assert watch.judge(rule, BLIND, 21, False).holds is True
    assert watch.judge(rule, SEES, 22, True).holds is None
    assert watch.judge(rule, BLIND, 23, True).holds is None
    assert watch.judge(rule, SEES, 24, True).holds is None
    assert watch.judge(rule, SEES, 29, True).holds is False


def test_a_paused_camera_is_not_blind() -> None:
    rule, watch = CameraBlindRule(after_s=1), CameraWatch()
    watch.judge(rule, BLIND, 0, False)
    assert watch.judge(rule, Sight(None, "it is paused"), 5, True).holds is False
    assert watch.judge(rule, BLIND, 6, False).holds is None


def points(*broken: bool) -> list[ChartPoint]:
    return [ChartPoint("3 % from 14:15", ("rule 1",) if one else ()) for one in broken]


@pytest.mark.parametrize(
    ("chart", "held", "holds"),
    [
        pytest.param(points(False, True), False, True, id="the newest point breaks a rule"),
        pytest.param(points(True, False), False, False, id="an older one did"),
        pytest.param(points(True, False), True, None, id="one good point ends nothing"),
        pytest.param(points(True, False, False), True, False, id="two do"),
        pytest.param([], True, False, id="a chart without points"),
    ],
)
def test_a_run_rule_is_broken_by_the_newest_point(chart: list[ChartPoint], held: bool, holds: bool | None) -> None:
    assert RunRuleRule(clear_after=2).judge(chart, held).holds is holds


def minutes(**bad: int) -> Mapping[int, Minutes]:
    """All minutes of one camera measured; so many of each window bad."""
    return {span: Minutes(span, bad.get(f"m{span}", 0)) for span in (5, 30, 60, 360, 4320)}


@pytest.mark.parametrize(
    ("counted", "holds", "severity"),
    [
        pytest.param(minutes(), False, None, id="nothing late"),
        pytest.param(minutes(m5=5, m30=5, m60=5, m360=5, m4320=5), False, None, id="5 min late are no alarm"),
        pytest.param(minutes(m5=1, m30=9, m60=9, m360=9, m4320=9), True, Severity.CRITICAL, id="15 % of an hour"),
        pytest.param(minutes(m30=9, m60=9, m360=9, m4320=9), False, None, id="an hour's, over for 5 min"),
        pytest.param(minutes(m30=2, m60=4, m360=22, m4320=22), True, Severity.CRITICAL, id="6 % of six hours"),
        pytest.param(minutes(m360=4, m4320=44), True, Severity.WARNING, id="1 % of three days"),
    ],
)
def test_the_budget_burns_in_both_windows_of_a_pair(
    counted: Mapping[int, Minutes], holds: bool, severity: Severity | None
) -> None:
    judged = LatencyRule(within_ms=500, objective=0.99).judge(counted, None)
    assert judged.holds is holds
    assert severity is None or judged.severity is severity


def test_burning_at_the_threshold_raises_once_and_ends_below_nine_tenths() -> None:
    rule = LatencyRule(within_ms=500, windows=(BurnWindow(long_min=60, short_min=5, burn_rate=10),), min_minutes=1)

    def counted(bad: int) -> Mapping[int, Minutes]:
        return {60: Minutes(600, bad), 5: Minutes(600, bad)}

    assert rule.judge(counted(60), None).holds is False
    assert rule.judge(counted(61), None).holds is True
    assert rule.judge(counted(55), Severity.CRITICAL).holds is True
    assert rule.judge(counted(54), Severity.CRITICAL).holds is False


@pytest.mark.parametrize(
    ("held", "severity"),
    [
        pytest.param(None, Severity.WARNING, id="nothing holds"),
        pytest.param(Severity.WARNING, Severity.WARNING, id="a warning makes critical no nearer"),
        pytest.param(Severity.CRITICAL, Severity.CRITICAL, id="critical stays until well below"),
    ],
)
def test_an_alarm_gets_worse_where_it_would_have_begun(held: Severity | None, severity: Severity) -> None:
    """13.7 times as fast as allowed: below 14.4, above nine tenths of it."""
    hour = {60: Minutes(1000, 137), 5: Minutes(1000, 137), 360: Minutes(1000, 50), 30: Minutes(1000, 50)}
    counted = hour | {4320: Minutes(1000, 50)}
    assert LatencyRule(within_ms=500).judge(counted, held).severity is severity


def test_a_start_of_few_minutes_is_not_judged() -> None:
    few = {span: Minutes(3, 3) for span in (5, 30, 60, 360, 4320)}
    assert LatencyRule(within_ms=500).judge(few, None).holds is None


def test_a_burn_rate_that_cannot_be_passed_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"burn_rate 14.4 can never be passed with objective 0.9"):
        LatencyRule(within_ms=500, objective=0.9)
