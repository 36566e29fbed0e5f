"""What is wrong with a chart stands below it in words."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from pipeline.dashboard.line.control_words import (
    MOST,
    broken_rules,
    frozen_words,
    judged_by,
    phase_names,
    violation_lines,
)
from pipeline.history.charts import LineChart, Piece
from pipeline.history.frozen import Frozen
from pipeline.history.ranges import TimeRange
from pipeline.history.spc import ChartKind, FrozenLimits, Sample, control_chart

UTC = ZoneInfo("UTC")
QUARTER = 900_000
SINCE = 1_795_842_000_000 + 3_600_000  # 2026-11-28 06:00


def shown(rejects: list[int], models: list[str] | None = None) -> LineChart:
    models = models or ["bottles:1"] * len(rejects)
    pieces = [
        Piece(SINCE + place * QUARTER, SINCE + (place + 1) * QUARTER, "small", model)
        for place, model in enumerate(models)
    ]
    starts = [0, *(place for place in range(1, len(models)) if models[place] != models[place - 1]), len(models)]
    phases = [slice(start, stop) for start, stop in pairwise(starts)]
    chart = control_chart(ChartKind.P, [Sample(each, 500) for each in rejects], phases=phases)
    span = TimeRange(SINCE, SINCE + len(rejects) * QUARTER)
    return LineChart("filling", span, tuple(pieces), chart, None)


ALIKE = [5, 7, 4, 6, 5, 6, 4, 7]


def test_a_process_in_control_is_told_as_such() -> None:
    assert violation_lines(shown(ALIKE), UTC) == ["No rule is broken."]


def test_a_point_beyond_its_limits_is_told_with_time_and_value() -> None:
    [line] = violation_lines(shown([*ALIKE, 60]), UTC)
    assert line == "Rule 1: one point beyond the limits, at 28 Nov 08:00 (12.00 %)"


def test_a_run_that_grows_is_told_once_from_its_first_point_to_its_last() -> None:
    chart = shown([9] * 12 + [1] * 12)
    [_, first] = broken_rules(chart.chart.violations)
    assert (first.rule, first.first, first.last) == (2, 0, 11)
    assert "from 28 Nov 06:00 to 28 Nov 08:45" in violation_lines(chart, UTC)[1]


def test_the_newest_come_first_and_the_rest_is_counted() -> None:
    chart = shown([*ALIKE, 60] * 12)
    lines = violation_lines(chart, UTC)
    assert len(lines) == MOST + 1
    assert lines[-1] == f"and {len(broken_rules(chart.chart.violations)) - MOST} before"


@pytest.mark.parametrize(
    ("judged_by", "told"),
    [
        pytest.param(("small", "bottles:1"), "for recipe small, model bottles:1", id="recipe and model"),
        pytest.param(("", "bottles:1"), "for model bottles:1 without a recipe", id="no recipe"),
        pytest.param((None, None), "for every recipe and model", id="of before it was kept"),
    ],
)
def test_what_frozen_limits_hold_for_is_told(judged_by: tuple[str | None, str | None], told: str) -> None:
    frozen = Frozen(FrozenLimits(0.012), SINCE, SINCE + QUARTER, "ada", SINCE, *judged_by)
    moving = shown(ALIKE)
    assert frozen_words(moving, UTC) == ""
    others = " Phases of another recipe or model have limits of their own."
    words = f"Limits were frozen by ada on 28 Nov 06:00 {told}: centre 1.20 %."
    assert frozen_words(replace(moving, frozen=frozen), UTC) == words + others
    held = control_chart(ChartKind.P, [Sample(each, 500) for each in ALIKE], frozen=frozen.limits)
    assert frozen_words(replace(moving, chart=held, frozen=frozen), UTC) == words


def test_phases_are_named_by_what_judged_their_parts() -> None:
    chart = shown(ALIKE, ["bottles:1"] * 4 + ["bottles:2"] * 4)
    assert phase_names(chart) == ["small with bottles:1", "small with bottles:2"]
    assert judged_by(Piece(0, 1, "", "bottles:1")) == "bottles:1"
    assert judged_by(Piece(0, 1, "", "")) == ""
