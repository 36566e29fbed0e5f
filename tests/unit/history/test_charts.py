"""A line's control chart: its points, phases and frozen limits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from pipeline.history.charts import NothingToFreeze, freeze_chart, line_chart
from pipeline.history.frozen import Frozen, find, freeze, let_go
from pipeline.history.plant import PlantSettings
from pipeline.history.ranges import MINUTE_MS
from pipeline.history.run_rules import RuleSet
from pipeline.history.spc import ChartKind, FrozenLimits
from tests.unit.history.minutes import LINE, add_parts, empty_history, ms, span

HOUR = span("2025-06-11T10:00+00:00", "2025-06-11T11:00+00:00")
LATER = ms("2025-06-12T00:00+00:00")
START = ms("2025-06-11T10:00+00:00")


@pytest.fixture
def history() -> Iterator[Connection]:
    with empty_history() as connection:
        yield connection


def minutes(span_ms: tuple[int, int]) -> tuple[int, int]:
    """Of the hour."""
    return (span_ms[0] - START) // MINUTE_MS, (span_ms[1] - START) // MINUTE_MS


def test_a_point_is_of_the_parts_of_its_time(history: Connection) -> None:
    add_parts(history, "2025-06-11T10:00+00:00", passes=80, rejects=10, indeterminate=10, defects=14)
    add_parts(history, "2025-06-11T10:14+00:00", passes=45, rejects=5, defects=6)
    add_parts(history, "2025-06-11T10:45+00:00", passes=30, rejects=20, defects=20)
    add_parts(history, "2025-06-11T10:45+00:00", rejects=20, defects=20, counts=False, camera="second")
    shown = line_chart(history, LINE, HOUR, ChartKind.P, now_ms=LATER, bucket_min=15)
    assert [(point.count, point.size) for point in shown.chart.points] == [(15, 150), (0, 0), (0, 0), (20, 50)]
    assert shown.chart.phases[0].center == 35 / 200
    assert [minutes((piece.since_ms, piece.until_ms)) for piece in shown.pieces] == [
        (0, 15),
        (15, 30),
        (30, 45),
        (45, 60),
    ]
    defects = line_chart(history, LINE, HOUR, ChartKind.U, now_ms=LATER, bucket_min=15)
    assert [(point.count, point.size) for point in defects.chart.points] == [(20, 150), (0, 0), (0, 0), (20, 50)]


@pytest.mark.parametrize(("recipe", "model"), [("b", "m:1"), ("r", "m:2")])
def test_a_new_recipe_or_model_is_a_new_phase_from_the_minute_it_came(
    history: Connection, recipe: str, model: str
) -> None:
    add_parts(history, "2025-06-11T10:05+00:00", passes=90, rejects=10)
    add_parts(history, "2025-06-11T10:20+00:00", passes=90, rejects=10)
    add_parts(history, "2025-06-11T10:21+00:00", passes=50, rejects=50, recipe=recipe, model=model)
    add_parts(history, "2025-06-11T10:50+00:00", passes=50, rejects=50, recipe=recipe, model=model)
    shown = line_chart(history, LINE, HOUR, ChartKind.P, now_ms=LATER, bucket_min=15)
    assert [minutes((piece.since_ms, piece.until_ms)) for piece in shown.pieces] == [
        *((0, 15), (15, 21), (21, 30)),
        *((30, 45), (45, 60)),
    ]
    assert [(phase.start, phase.stop, phase.center) for phase in shown.chart.phases] == [(0, 2, 0.1), (2, 5, 0.5)]
    assert shown.pieces[3].judged_by == shown.pieces[4].judged_by, "a point of nothing is of the phase it is in"


def test_a_changeover_within_a_minute_is_one_change(history: Connection) -> None:
    add_parts(history, "2025-06-11T10:05+00:00", passes=10, recipe="b")
    add_parts(history, "2025-06-11T10:20+00:00", passes=1, recipe="a")
    add_parts(history, "2025-06-11T10:20+00:00", passes=2, recipe="b")
    add_parts(history, "2025-06-11T10:21+00:00", passes=1, recipe="b")
    add_parts(history, "2025-06-11T10:22+00:00", passes=4, recipe="a")
    shown = line_chart(history, LINE, HOUR, ChartKind.P, now_ms=LATER, bucket_min=15)
    assert [(piece.recipe, point.size) for piece, point in zip(shown.pieces, shown.chart.points, strict=True)] == [
        *(("b", 10), ("b", 3), ("a", 5), ("a", 0), ("a", 0)),
    ]


def test_a_chart_goes_up_to_now(history: Connection) -> None:
    add_parts(history, "2025-06-11T10:05+00:00", passes=10)
    shown = line_chart(history, LINE, HOUR, ChartKind.P, now_ms=ms("2025-06-11T10:20+00:00"), bucket_min=15)
    assert len(shown.chart.points) == 2


def test_a_chart_of_nothing_has_points_and_no_line(history: Connection) -> None:
    shown = line_chart(history, LINE, HOUR, ChartKind.LANEY_P, now_ms=LATER, bucket_min=15)
    assert [point.value for point in shown.chart.points] == [None] * 4
    assert shown.chart.phases[0].center is None
    with pytest.raises(NothingToFreeze):
        freeze_chart(history, shown, by="anna", at_ms=LATER)


def test_frozen_limits_hold_until_they_are_let_go(history: Connection) -> None:
    for at, rejects in ((5, 10), (20, 12), (35, 8)):
        add_parts(history, f"2025-06-11T10:{at:02}+00:00", passes=100 - rejects, rejects=rejects)
    base = line_chart(history, LINE, HOUR, ChartKind.LANEY_P, now_ms=LATER, bucket_min=15)
    frozen = freeze_chart(history, base, by="anna", at_ms=LATER)
    assert (frozen.limits.center, frozen.by, frozen.at_ms) == (0.1, "anna", LATER)
    assert frozen.limits.sigma_z == base.chart.phases[0].sigma_z
    assert minutes((frozen.since_ms, frozen.until_ms)) == (0, 60)

    add_parts(history, "2025-06-11T10:50+00:00", passes=100, rejects=100)
    held = line_chart(history, LINE, HOUR, ChartKind.LANEY_P, now_ms=LATER, bucket_min=15)
    assert (held.frozen, held.chart.phases[0].center, held.chart.phases[0].is_frozen) == (frozen, 0.1, True)
    assert held.chart.points[3].rules == (1,)
    assert held.chart.points[3].upper < held.chart.points[0].upper  # type: ignore[operator]
    assert line_chart(history, LINE, HOUR, ChartKind.P, now_ms=LATER).frozen is None, "each chart has its own"
    assert find(history, "other", ChartKind.LANEY_P) is None
    assert freeze_chart(history, held, by="ben", at_ms=LATER + 1) == frozen, "what is frozen stays as it was"

    assert let_go(history, LINE, ChartKind.LANEY_P, by="ben", at_ms=LATER + 1)
    moved = line_chart(history, LINE, HOUR, ChartKind.LANEY_P, now_ms=LATER, bucket_min=15)
    assert (moved.frozen, moved.chart.phases[0].center) == (None, 130 / 500)
    assert not let_go(history, LINE, ChartKind.LANEY_P, by="ben", at_ms=LATER + 2)


def test_limits_are_frozen_of_the_newest_phase(history: Connection) -> None:
    add_parts(history, "2025-06-11T10:05+00:00", passes=90, rejects=10)
    add_parts(history, "2025-06-11T10:30+00:00", passes=50, rejects=50, recipe="b")
    shown = line_chart(history, LINE, HOUR, ChartKind.U, now_ms=LATER, bucket_min=15)
    frozen = freeze_chart(history, shown, by="anna", at_ms=LATER)
    assert minutes((frozen.since_ms, frozen.until_ms)) == (30, 60)


@pytest.mark.parametrize(("recipe", "model"), [("b", "m:1"), ("r", "m:2"), ("", "m:1")])
def test_frozen_limits_hold_for_their_recipe_and_model_alone(history: Connection, recipe: str, model: str) -> None:
    add_parts(history, "2025-06-11T10:05+00:00", passes=90, rejects=10)
    base = line_chart(history, LINE, HOUR, ChartKind.P, now_ms=LATER, bucket_min=15)
    assert freeze_chart(history, base, by="anna", at_ms=LATER) == find(history, LINE, ChartKind.P)
    add_parts(history, "2025-06-11T10:20+00:00", passes=50, rejects=50, recipe=recipe, model=model)
    add_parts(history, "2025-06-11T10:50+00:00", passes=50, rejects=50)
    shown = line_chart(history, LINE, HOUR, ChartKind.P, now_ms=LATER, bucket_min=15)
    assert [(phase.center, phase.is_frozen) for phase in shown.chart.phases] == [(0.1, True), (0.5, False), (0.1, True)]
    assert [point.rules for point in shown.chart.points] == [(), (), (), (1,)]


def test_limits_frozen_before_their_recipe_was_kept_hold_for_every_phase(history: Connection) -> None:
    add_parts(history, "2025-06-11T10:05+00:00", passes=90, rejects=10)
    add_parts(history, "2025-06-11T10:20+00:00", passes=50, rejects=50, recipe="b", model="m:2")
    freeze(history, LINE, ChartKind.P, Frozen(FrozenLimits(0.1), START, LATER, "anna", LATER))
    shown = line_chart(history, LINE, HOUR, ChartKind.P, now_ms=LATER, bucket_min=15)
    assert [(phase.center, phase.is_frozen) for phase in shown.chart.phases] == [(0.1, True), (0.1, True)]


@pytest.mark.parametrize(
    ("plant", "marked"),
    [
        pytest.param(PlantSettings(), (1,), id="by default"),
        pytest.param(PlantSettings(run_rules=RuleSet.NELSON), (1, 5, 6), id="all of Nelson's"),
        pytest.param(PlantSettings(run_rules=RuleSet.WESTERN_ELECTRIC), (1, 2, 3, 4), id="Western Electric's"),
    ],
)
def test_points_are_marked_by_the_plants_rules(
    history: Connection, plant: PlantSettings, marked: tuple[int, ...]
) -> None:
    for at in range(16):
        add_parts(history, f"2025-06-11T10:{at:02}+00:00", passes=99 if at < 8 else 79, rejects=1 if at < 8 else 21)
    shown = line_chart(history, LINE, HOUR, ChartKind.LANEY_P, now_ms=LATER, bucket_min=1, plant=plant)
    assert shown.chart.points[7].rules == marked
