"""Throughput and defects as ECharts draws them."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.dashboard.line.pareto_chart import MOST, pareto_chart
from pipeline.dashboard.line.throughput_chart import throughput_chart
from pipeline.history.line_figures import Counts, Throughput
from pipeline.history.pareto import DefectCount

BERLIN = ZoneInfo("Europe/Berlin")
SIX = 1_795_842_000_000  # 2026-11-28 06:00 there
HOUR = 3_600_000


def piece(place: int, passes: int, rejects: int = 0, indeterminate: int = 0, minutes: int = 60) -> Throughput:
    since = SIX + place * HOUR
    return Throughput(since, since + minutes * 60_000, Counts(passes, rejects, indeterminate))


def bars(found: dict[str, Any]) -> dict[str, list[float]]:
    return {each["name"]: [bar["value"] for bar in each["data"]] for each in found["series"]}


def test_every_hour_is_a_bar_of_its_verdicts_by_the_plants_clock() -> None:
    found = throughput_chart([piece(0, 900, 20, 4), piece(1, 950)], 1000.0, BERLIN)
    assert found["xAxis"]["data"] == ["06:00", "07:00"]
    assert bars(found) == {"Pass": [900, 950], "Indeterminate": [4, 0], "Reject": [20, 0]}


def test_the_hour_that_runs_is_told_as_a_rate_and_as_such() -> None:
    found = throughput_chart([piece(0, 900), piece(1, 300, minutes=20)], None, BERLIN)
    running = found["series"][0]["data"][1]
    assert running["value"] == 900
    assert "not over yet" in running["name"]
    assert running["itemStyle"]["opacity"] < found["series"][0]["data"][0]["itemStyle"]["opacity"]


@pytest.mark.parametrize(("target", "lines"), [(None, []), (1200.0, [1200.0])])
def test_the_target_is_a_line_that_fits_into_the_chart(target: float | None, lines: list[float]) -> None:
    found = throughput_chart([piece(0, 900)], target, BERLIN)
    assert [mark["yAxis"] for mark in found["series"][0]["markLine"]["data"]] == lines
    assert target is None or found["yAxis"]["max"] > target


def test_verdicts_differ_by_more_than_colour() -> None:
    found = throughput_chart([piece(0, 9, 1, 1)], None, BERLIN)
    hatches = [str(each["itemStyle"].get("decal")) for each in found["series"]]
    assert len(set(hatches)) == 3


def test_the_pareto_counts_parts_and_adds_them_up() -> None:
    found = pareto_chart([DefectCount("scratch", 30, 0.6, 0.6), DefectCount("cap", 20, 0.4, 1.0)])
    assert found["xAxis"]["data"] == ["scratch", "cap"]
    assert bars(found) == {"Parts": [30, 20], "Together": [60, 100]}


def test_a_pareto_of_many_defects_shows_the_most_frequent() -> None:
    many = [DefectCount(f"defect {place}", 100 - place, 0.01, 0.01 * (place + 1)) for place in range(40)]
    assert len(pareto_chart(many)["xAxis"]["data"]) == MOST


@pytest.mark.parametrize("found", [throughput_chart([], None, BERLIN), pareto_chart([])], ids=["hours", "defects"])
def test_nothing_can_be_drawn(found: dict[str, Any]) -> None:
    assert all(not each["data"] for each in found["series"])
