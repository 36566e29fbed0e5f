"""A line's figures, out of counts by the minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from pipeline.history.line_figures import figures
from pipeline.history.pareto import pareto
from pipeline.history.plant import PlantSettings
from pipeline.history.uninspected_time import union_ms
from tests.unit.history.minutes import LINE, add_blind, add_defects, add_parts, empty_history, ms, span

HOUR = span("2025-06-11T10:00+00:00", "2025-06-11T11:00+00:00")
LATER = ms("2025-06-12T00:00+00:00")


@pytest.fixture
def history() -> Iterator[Connection]:
    with empty_history() as connection:
        yield connection


def test_parts_are_counted_by_verdict_where_the_line_counts_them(history: Connection) -> None:
    add_parts(history, "2025-06-11T10:00+00:00", passes=90, rejects=4, indeterminate=6)
    add_parts(history, "2025-06-11T10:59+00:00", passes=100, recipe="other")
    add_parts(history, "2025-06-11T10:30+00:00", rejects=50, counts=False, camera="second")
    add_parts(history, "2025-06-11T10:30+00:00", rejects=50, line="other")
    add_parts(history, "2025-06-11T09:59+00:00", rejects=50)
    add_parts(history, "2025-06-11T11:00+00:00", rejects=50)
    found = figures(history, LINE, HOUR, now_ms=LATER)
    counts = found.counts
    assert (counts.parts, counts.passes, counts.rejects, counts.indeterminate) == (200, 190, 4, 6)
    assert (counts.yield_share, counts.reject_ppm) == (0.95, 20_000)
    assert found.per_hour == 200


def test_nothing_made_has_no_yield(history: Connection) -> None:
    found = figures(history, LINE, HOUR, now_ms=LATER)
    assert (found.counts.parts, found.counts.yield_share, found.counts.reject_ppm) == (0, None, None)
    assert (found.camera, found.uninspected_share, found.first_pass) == (None, 0, None)


def test_throughput_is_told_in_pieces_those_of_nothing_too(history: Connection) -> None:
    add_parts(history, "2025-06-11T10:10+00:00", passes=30)
    add_parts(history, "2025-06-11T10:50+00:00", passes=10, rejects=2)
    found = figures(history, LINE, HOUR, now_ms=LATER, bucket_min=15)
    assert [one.counts.parts for one in found.throughput] == [30, 0, 0, 12]
    assert [one.per_hour for one in found.throughput] == [120, 0, 0, 48]


def test_of_an_hour_that_is_not_over_only_what_has_been_is_reckoned(history: Connection) -> None:
    add_parts(history, "2025-06-11T10:10+00:00", passes=30)
    found = figures(history, LINE, HOUR, now_ms=ms("2025-06-11T10:20:00+00:00"), bucket_min=15)
    assert found.per_hour == 90
    assert [(one.counts.parts, one.per_hour) for one in found.throughput] == [(30, 120), (0, 0)]
    assert found.throughput[-1].until_ms == ms("2025-06-11T10:20:00+00:00")


def test_hours_are_the_plants(history: Connection) -> None:
    kolkata = PlantSettings(time_zone="Asia/Kolkata")  # half an hour beside others
    add_parts(history, "2025-06-11T10:15+00:00", passes=1)
    add_parts(history, "2025-06-11T10:45+00:00", passes=2)
    found = figures(history, LINE, HOUR, now_ms=LATER, plant=kolkata, bucket_min=60)
    assert [one.counts.parts for one in found.throughput] == [1, 2]


def test_time_that_was_not_inspected_is_that_of_the_camera_that_counts(history: Connection) -> None:
    add_parts(history, "2025-06-11T09:00+00:00", passes=1)
    add_parts(history, "2025-06-11T10:00+00:00", passes=1, counts=False, camera="second")
    add_blind(history, "2025-06-11T09:50+00:00", "2025-06-11T10:06+00:00")
    add_blind(history, "2025-06-11T10:03+00:00", "2025-06-11T10:12+00:00")
    add_blind(history, "2025-06-11T10:04+00:00", "2025-06-11T10:05+00:00")
    add_blind(history, "2025-06-11T10:30+00:00", "2025-06-11T11:00+00:00", camera="second")
    add_blind(history, "2025-06-11T10:30+00:00", "2025-06-11T11:00+00:00", line="other", camera="third")
    found = figures(history, LINE, HOUR, now_ms=LATER)
    assert (found.camera, found.uninspected_ms, found.uninspected_share) == ("cam", 12 * 60_000, 0.2)
    asked = figures(history, LINE, HOUR, now_ms=LATER, camera="second")
    assert (asked.camera, asked.uninspected_share) == ("second", 0.5)


def test_an_interval_that_lasts_goes_up_to_now(history: Connection) -> None:
    add_parts(history, "2025-06-11T10:00+00:00", passes=1)
    add_blind(history, "2025-06-11T10:10+00:00", None)
    found = figures(history, LINE, HOUR, now_ms=ms("2025-06-11T10:20+00:00"))
    assert (found.uninspected_ms, found.uninspected_share) == (10 * 60_000, 0.5)
    assert figures(history, LINE, HOUR, now_ms=LATER).uninspected_ms == 50 * 60_000


def test_where_no_camera_ever_counted_any_that_was_blind_is_told(history: Connection) -> None:
    add_blind(history, "2025-06-11T10:00+00:00", "2025-06-11T10:15+00:00")
    assert figures(history, LINE, HOUR, now_ms=LATER).uninspected_share == 0.25


@pytest.mark.parametrize(
    ("intervals", "total"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([(0, 5), (5, 9)], 9, id="they touch"),
        pytest.param([(0, 9), (1, 2), (3, 12)], 12, id="one within another, one over its end"),
        pytest.param([(3, 1), (4, 6)], 2, id="an empty one"),
    ],
)
def test_intervals_count_once(intervals: list[tuple[int, int]], total: int) -> None:
    assert union_ms(intervals) == total


def test_first_pass_yield_is_of_parts_seen_for_the_first_time(history: Connection) -> None:
    add_parts(history, "2025-06-11T10:00+00:00", passes=50, rejects=10, indeterminate=2, firsts=30)
    add_parts(history, "2025-06-11T10:01+00:00", passes=50, firsts=0)
    found = figures(history, LINE, HOUR, now_ms=LATER).first_pass
    assert found is not None
    assert (found.parts, found.passes) == (42, 30)
    assert found.share == 30 / 42


def test_parts_without_a_name_have_no_first_pass_yield(history: Connection) -> None:
    add_parts(history, "2025-06-11T10:00+00:00", passes=50)
    assert figures(history, LINE, HOUR, now_ms=LATER).first_pass is None


def test_defects_are_told_the_most_frequent_first(history: Connection) -> None:
    for at, label, parts in (("10:00", "dent", 6), ("10:01", "dent", 4), ("10:02", "scratch", 8), ("10:03", "cap", 2)):
        add_defects(history, f"2025-06-11T{at}+00:00", label, parts)
    add_defects(history, "2025-06-11T10:02+00:00", "stain", 9, counts=False)
    add_defects(history, "2025-06-11T11:00+00:00", "stain", 9)
    found = pareto(history, LINE, HOUR)
    assert [(one.label, one.parts, one.share, one.cumulative) for one in found] == [
        ("dent", 10, 0.5, 0.5),
        ("scratch", 8, 0.4, 0.9),
        ("cap", 2, 0.1, 1.0),
    ]
    assert pareto(history, "other", HOUR) == []
