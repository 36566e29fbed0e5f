"""Which boxes are parts, and which part: each is known once, from its first sighting until it has left."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from stages.inspection.inspector import Inspector
from stages.values import CameraId, HealthState, Position, Tracks, Verdict
from tests.unit.stages.inspection.line import (
    CLASSES,
    CROSSES_S,
    HEIGHT,
    SETTINGS,
    SPEED,
    TRIGGER_X,
    WIDTH,
    Bottle,
    Faults,
    Line,
    Shown,
    bottles,
    crawl,
    inspector,
    run,
)

PASS, REJECT, UNSURE = Verdict.PASS, Verdict.REJECT, Verdict.INDETERMINATE


def there_and_back(t: float) -> float:
    """Over the trigger by 4.2 s, back over it, and on again."""
    if t < 4.2:
        return SPEED * t
    return SPEED * 4.2 - 80 * math.sin((t - 4.2) * 2) if t < 4.2 + math.pi else SPEED * (t - math.pi)


def stop_and_go(t: float) -> float:
    """Three seconds still, with the first bottle right on the trigger."""
    stop = CROSSES_S
    return SPEED * min(t, stop) + SPEED * max(0.0, t - stop - 3)


@pytest.mark.parametrize("travel", [there_and_back, stop_and_go, crawl])
@pytest.mark.parametrize("seed", range(3))
def test_each_part_is_judged_once_however_the_belt_runs(travel: Callable[[float], float], seed: int) -> None:
    parts = bottles(None, "dent", None, "missing_cap", None)
    line = Line(parts, travel, faults=Faults(tremble_px=1.5, miss=0.02), seed=seed)
    outcome = run(line.frames(16))
    assert outcome.verdicts == [PASS, REJECT, PASS, REJECT, PASS]
    assert len({inspection.inspection_id for inspection in outcome.inspections}) == 5


def test_a_part_that_goes_back_out_where_it_came_from_is_none() -> None:
    line = Line(bottles(None), lambda t: 200 * math.sin(t))
    assert run(line.frames(math.pi * 1.5)).inspections == []


def test_a_new_track_on_a_judged_part_is_not_judged_again() -> None:
    line = Line(bottles(None, "dent"), faults=Faults(new_id=0.3), seed=1)
    assert run(line.frames(8)).verdicts == [PASS, REJECT]


def test_a_new_track_takes_over_the_votes_and_the_name_of_the_part_it_is() -> None:
    line = Line(bottles("missing_label"), unseen=lambda t, i: 2.0 < t < 2.5, faults=Faults(new_id=0.1), seed=2)
    (inspection,) = run(line.frames(6)).inspections
    assert (inspection.inspection_id, inspection.reasons) == ("cam/run1/1", ("missing_label",))
    assert inspection.votes["usable"] >= 25


def test_ids_swapped_between_touching_parts_do_not_swap_their_votes() -> None:
    line = Line(bottles(None, "missing_cap", None, "dent", spacing=59), fps=8, faults=Faults(swap=0.15), seed=5)
    assert run(line.frames(8)).verdicts == [PASS, REJECT, PASS, REJECT]


def test_a_second_box_on_a_part_is_no_part() -> None:
    line = Line(bottles(None, "dent"), faults=Faults(second_box=0.5), seed=6)
    assert run(line.frames(8)).verdicts == [PASS, REJECT]


def test_flickers_and_fixtures_are_no_parts() -> None:
    def with_fixture(frame: Shown) -> Shown:
        t = frame.tracks
        box = np.float32([[370, 20, 425, 100]])  # stands on the trigger and trembles over it
        box += np.float32(math.sin(frame.at * 50) * 3)
        return replace(
            frame,
            tracks=Tracks(
                np.concatenate([t.xyxy, box]),
                np.append(t.score, np.float32(0.5)),
                np.append(t.class_id, np.int32(0)),
                np.append(t.track_id, np.int32(900)),
            ),
        )

    frames = Line(bottles(None, "dent"), faults=Faults(ghost_part=0.05), seed=8).frames(12)
    assert run(map(with_fixture, frames)).verdicts == [PASS, REJECT]


def test_parts_past_the_trigger_when_a_run_begins_are_not_its_own() -> None:
    line = Line(bottles(None, "dent", None, None))
    outcome = run(line.frames(8, since=4.0))
    assert len(outcome.inspections) == len(line.crossed(4.0, 8))


def test_parts_half_way_when_a_run_begins_are_judged_by_the_votes_they_have() -> None:
    line = Line([Bottle(TRIGGER_X * WIDTH - 20), Bottle(TRIGGER_X * WIDTH - 220)])
    outcome = run(line.frames(3))
    assert [(i.verdict, i.reasons) for i in outcome.inspections] == [(UNSURE, ("too_few_votes",)), (PASS, ())]


def test_a_part_first_seen_past_the_trigger_is_indeterminate() -> None:
    line = Line(bottles(None, None, None), unseen=lambda t, i: i == 1 and t < CROSSES_S + 140 / SPEED + 0.3)
    outcome = run(line.frames(8))
    assert [(i.verdict, i.reasons) for i in outcome.inspections] == [
        (PASS, ()),
        (UNSURE, ("first_seen_late", "too_few_votes")),
        (PASS, ()),
    ]
    assert outcome.inspections[1].captured_at == pytest.approx(1000 + CROSSES_S + 140 / SPEED, abs=0.05)


def test_a_part_lost_before_the_trigger_is_indeterminate_and_told_once() -> None:
    line = Line(bottles(None, None, None), unseen=lambda t, i: i == 1 and t > 3)
    outcome = run(line.frames(12))
    assert sorted((i.verdict, i.reasons) for i in outcome.inspections) == [
        (UNSURE, ("lost",)),
        (PASS, ()),
        (PASS, ()),
    ]
    assert [i.reasons for i in outcome.inspections if i.seen_xyxy is None] == [("lost",)]  # it is on no picture of then


def test_a_lost_part_that_comes_back_past_the_trigger_is_not_counted_twice() -> None:
    line = Line(bottles(None, None), lambda t: 60 * t, unseen=lambda t, i: i == 0 and 5 < t < 8.5)
    outcome = run(line.frames(14))
    assert [(i.verdict, i.reasons) for i in outcome.inspections] == [(UNSURE, ("lost",)), (PASS, ())]


def test_parts_are_forgotten_once_they_left() -> None:
    by = inspector()
    run(Line(bottles(*[None] * 40, spacing=90)).frames(36), by)
    assert len(by.checkpoint()["parts"]) <= 1


def test_a_flood_of_boxes_stays_bounded() -> None:
    by = Inspector(SETTINGS, CameraId("c"), "s", "r", CLASSES)
    rng = np.random.default_rng(0)
    for n in range(6):
        xy = rng.uniform([0, 0], [WIDTH - 6, HEIGHT - 6], (150, 2)).astype(np.float32)
        boxes = np.concatenate([xy, xy + 5], axis=1)
        ids = np.arange(150, dtype=np.int32) + n * 150
        tracks = Tracks(boxes, np.full(150, 0.5, np.float32), np.zeros(150, np.int32), ids)
        by.update(tracks, (WIDTH, HEIGHT), Position("live", 1, n), 1000 + n / 10, HealthState.OK, 1000 + n / 10)
    assert len(by.checkpoint()["parts"]) <= 64


def test_a_part_that_vanishes_just_behind_the_trigger_gets_its_verdict() -> None:
    start = TRIGGER_X * WIDTH - 6
    line = Line([Bottle(start - 300.0), Bottle(start)], lambda t: 30.0 * t, unseen=lambda t, i: i == 1 and t > 0.35)
    outcome = run(line.frames(14))
    assert len(outcome.inspections) == 2
