"""The picture of a control chart says what the chart says."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.dashboard.line.control_options import SYMBOLS, control_options
from pipeline.history.spc import ChartKind, FrozenLimits, Sample, control_chart

ALIKE = [Sample(5, 500), Sample(6, 400), Sample(4, 600), Sample(5, 500)]


def options(samples: list[Sample], kind: ChartKind = ChartKind.P, **said: Any) -> dict[str, Any]:
    shown = control_chart(kind, samples, **said)
    labels = [f"{6 + place:02}:00" for place in range(len(samples))]
    return control_options(shown, labels, [f"recipe {place}" for place in range(len(shown.phases))])


def series(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    upper, lower, center, points = found["series"]
    return {"upper": upper, "lower": lower, "center": center, "points": points}


def test_points_stand_at_their_share_in_percent() -> None:
    found = series(options(ALIKE))["points"]["data"]
    assert [each["value"] for each in found] == [1.0, 1.5, 0.6667, 1.0]
    assert "5 of 500 parts" in found[0]["name"]


def test_limits_are_level_across_each_point_and_step_between_them() -> None:
    upper = series(options(ALIKE))["upper"]["data"]
    assert [x for x, _ in upper] == [-0.5, 0.5, 0.5, 1.5, 1.5, 2.5, 2.5, 3.5, 3.5]
    heights = [y for _, y in upper]
    assert heights[0] == heights[1] != heights[2] == heights[3]
    assert heights[-1] is None


def test_a_point_that_breaks_a_rule_has_its_symbol_and_number() -> None:
    found = series(options([*ALIKE * 3, Sample(60, 500)]))["points"]["data"]
    assert found[-1]["symbol"] == SYMBOLS[1]
    assert found[-1]["label"]["formatter"] == "1"
    assert "rule 1" in found[-1]["name"]
    assert "symbol" not in found[0]


def test_every_phase_begins_with_a_line_that_names_it_and_breaks_the_limits() -> None:
    found = options(ALIKE * 2, phases=[slice(0, 4), slice(4, 8)])
    marks = series(found)["center"]["markLine"]["data"]
    assert [(mark["xAxis"], mark["name"]) for mark in marks] == [(-0.5, "recipe 0"), (3.5, "recipe 1")]
    assert [3.5, None] in series(found)["center"]["data"]


def test_frozen_limits_are_drawn_and_named_as_such() -> None:
    moving, frozen = options(ALIKE), options(ALIKE, frozen=FrozenLimits(0.01))
    assert series(moving)["upper"]["lineStyle"]["type"] == "dashed"
    assert series(frozen)["upper"]["lineStyle"]["type"] == "solid"
    assert "frozen" in series(frozen)["center"]["markLine"]["data"][0]["name"]


def test_of_phases_that_frozen_limits_do_not_hold_for_the_limits_are_dashed() -> None:
    phases = [slice(0, 4), slice(4, 8)]
    found = options(ALIKE * 2, phases=phases, frozen=FrozenLimits(0.01), hold_for=[True, False])
    limits = [each for each in found["series"] if each["name"] == "Limits"]
    assert [(each["lineStyle"]["type"], each["data"][0][0], each["data"][-1][0]) for each in limits] == [
        *(("dashed", 3.5, 7.5), ("dashed", 3.5, 7.5)),
        *(("solid", -0.5, 3.5), ("solid", -0.5, 3.5)),
    ]


def test_a_place_where_nothing_was_seen_is_kept_empty() -> None:
    found = series(options([*ALIKE, Sample(0, 0), *ALIKE]))
    assert found["points"]["data"][4]["value"] is None
    assert [3.5, None] in found["upper"]["data"]


def test_limits_of_a_point_of_few_parts_do_not_flatten_the_others() -> None:
    found = options([*ALIKE, Sample(0, 1)])
    assert found["yAxis"]["max"] < 10


def test_defects_a_part_are_no_percentages() -> None:
    found = options([Sample(7, 10), Sample(12, 10)], ChartKind.U)
    assert [each["value"] for each in series(found)["points"]["data"]] == [0.7, 1.2]
    assert found["yAxis"]["axisLabel"]["formatter"] is None


@pytest.mark.parametrize("samples", [[], [Sample(0, 0)], [Sample(0, 500)]], ids=["none", "nothing seen", "no reject"])
def test_a_chart_of_nothing_can_be_drawn(samples: list[Sample]) -> None:
    assert len(options(samples)["series"]) == 4


def test_a_chart_is_always_made_of_the_same_series_so_that_it_is_updated_in_place() -> None:
    assert len({tuple(each["name"] for each in options(samples)["series"]) for samples in ([], ALIKE, ALIKE * 5)}) == 1
