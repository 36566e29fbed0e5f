"""Random belts, models and trackers: a bad part never passes, and a steady belt is counted exactly."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.demo.line import BottleLine
from stages.inspection.inspector import Inspector
from stages.track.tracker import Tracker, TrackSettings
from stages.values import CameraId, Detections, HealthState, Inspection, Position, Verdict
from tests.unit.stages.inspection.line import (
    CLASSES,
    SETTINGS,
    TRIGGER_X,
    WIDTH,
    Bottle,
    Faults,
    Line,
    Outcome,
    Shown,
    blinded,
    inspector,
    run,
)

DEFECTS = ("missing_cap", "low_fill", "missing_label", "crooked_label", "dent")
BAD_DAY = Faults(miss=0.08, tremble_px=1.5, spurious=0.02, ghost_part=0.02, second_box=0.05, new_id=0.03, swap=0.05)

given_lines = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def parts(rng: random.Random, count: int = 10) -> list[Bottle]:
    """Half of them bad, a third touching the one before."""
    x, row = -40.0, []
    for _ in range(count):
        row.append(Bottle(x, frozenset([rng.choice(DEFECTS)]) if rng.random() < 0.5 else frozenset()))
        x -= rng.uniform(59, 60) if rng.random() < 0.33 else rng.uniform(80, 190)
    return row


def travel(kind: str, speed: float, at: float) -> Callable[[float], float]:
    """Ways a belt may run; something happens at that time."""
    ways: dict[str, Callable[[float], float]] = {
        "steady": lambda t: speed * t,
        "swings": lambda t: speed * t + 0.5 * speed * math.sin(t),
        "stops": lambda t: speed * min(t, at) + speed * max(0.0, t - at - 3),
        "backs up": lambda t: speed * t if t < at else speed * (t - math.pi) if t > at + math.pi else (
            speed * at - 60 * math.sin(2 * (t - at))),
    }  # fmt: skip
    return ways[kind]


def part_at(line: Line, inspection: Inspection) -> Bottle:
    """The bottle that really was where the inspection says it was."""
    x = (inspection.xyxy[0] + inspection.xyxy[2]) / 2
    return min(line.bottles, key=lambda b: abs(b.x + line.travel(inspection.captured_at - 1000) - x))


def assert_no_false_pass(line: Line, outcome: Outcome) -> None:
    ids = [inspection.inspection_id for inspection in outcome.inspections]
    assert len(set(ids)) == len(ids)
    for inspection in outcome.inspections:
        if inspection.verdict is Verdict.PASS:
            assert not part_at(line, inspection).defects


@given_lines
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["steady", "swings", "stops", "backs up"]),
    fps=st.sampled_from([6, 8, 10, 15]),
    drop=st.sampled_from([0.0, 0.1, 0.4]),
    blind=st.booleans(),
    merged=st.booleans(),
)
@example(seed=100, kind="backs up", fps=8, drop=0.4, blind=False, merged=False)
@example(seed=115, kind="swings", fps=6, drop=0.4, blind=True, merged=True)
def test_a_bad_part_never_passes(seed: int, kind: str, fps: int, drop: float, blind: bool, merged: bool) -> None:
    rng = random.Random(seed)
    row, speed, at = parts(rng), rng.uniform(90, 150), rng.uniform(3, 9)
    faults = Faults(**{**vars(BAD_DAY), "drop": drop})
    line = Line(row, travel(kind, speed, at), fps, faults, seed, merged=lambda t: merged and at < t < at + 1.5)
    frames = line.frames((700 - row[-1].x) / speed + 4)
    outcome = run(blinded(frames, at + 1, at + 2.5, HealthState.BLACK) if blind else frames)
    assert_no_false_pass(line, outcome)


@given_lines
@given(seed=st.integers(0, 10_000), fps=st.sampled_from([8, 10, 15]), drop=st.sampled_from([0.0, 0.2]))
def test_every_part_of_a_steady_belt_gets_its_one_verdict(seed: int, fps: int, drop: float) -> None:
    rng = random.Random(seed)
    row, speed = parts(rng), rng.uniform(100, 150)
    faults = Faults(miss=0.03, tremble_px=1, spurious=0.01, second_box=0.02, new_id=0.02, swap=0.02, drop=drop)
    line = Line(row, travel("steady", speed, 0), fps, faults, seed)
    until = (700 - row[-1].x) / speed
    outcome = run(line.frames(until))
    assert [part_at(line, i) for i in outcome.inspections] == [row[i] for i in line.crossed(0, until)]
    for inspection in outcome.inspections:
        if inspection.verdict is not Verdict.INDETERMINATE:
            assert set(inspection.reasons) == part_at(line, inspection).defects
    assert outcome.verdicts.count(Verdict.INDETERMINATE) <= 1


@given_lines
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 120), kind=st.sampled_from(["swings", "stops"]))
def test_a_restart_at_any_frame_changes_no_verdict(seed: int, cut: int, kind: str) -> None:
    rng = random.Random(seed)
    faults = Faults(**{**vars(BAD_DAY), "drop": 0.1})
    line = Line(parts(rng, 6), travel(kind, 125, 5), 10, faults, seed)
    frames = list(blinded(line.frames(14), 7, 8, HealthState.FROZEN))
    before, after = inspector(), inspector()
    first = run(frames[:cut], before)
    after.restore(msgpack.unpackb(msgpack.packb(before.checkpoint())))
    second = run(frames[cut:], after)
    whole = run(frames)
    assert [told(i) for i in first.inspections + second.inspections] == [told(i) for i in whole.inspections]
    assert first.uninspected + second.uninspected == whole.uninspected


def told(inspection: Inspection) -> tuple[object, ...]:
    """All but the position, which each `run` counts anew."""
    votes = tuple(inspection.votes.items())
    return (inspection.inspection_id, inspection.verdict, inspection.reasons, inspection.defects, votes,
            inspection.captured_at, inspection.decided_at, inspection.xyxy)  # fmt: skip


@pytest.mark.parametrize(("seed", "stalls"), [(1, 0.0), (2, 0.03)])
def test_the_demo_line_is_counted_exactly_through_the_real_tracker(seed: int, stalls: float) -> None:
    """Sixty seconds of the demo's truth, seen by an imperfect model, with and without stalls of up to 0.8 seconds."""
    line, rng = BottleLine(seed), random.Random(seed)
    tracker = Tracker(TrackSettings(classes=("bottle",)), CLASSES)
    by = Inspector(SETTINGS, CameraId("cam"), "s", "r", CLASSES)
    found: list[Inspection] = []
    start, at, n = 5.0, 5.0, 0
    while at < start + 60:
        last, n = at, n + 1
        shown = _seen(line, at, rng)
        judged = by.update(
            tracker.update(shown), (640, 360), Position("live", 1, n), 1000 + at, HealthState.OK, 1000 + at
        )
        found += judged.inspections
        at += 0.1 * rng.uniform(0.7, 1.3) + (rng.uniform(0.2, 0.7) if rng.random() < stalls else 0)
    truth = [part for part in line.parts(start, last - 0.1) if part.entered_at_s >= start]
    ours = [i for i in found if truth[0].trigger_at_s - 0.2 < i.captured_at - 1000 < last - 0.1]
    assert len(ours) == len(truth)
    assert sum(part.touching for part in truth) >= 5
    right = 0
    for part, inspection in zip(truth, ours, strict=True):
        assert inspection.captured_at - 1000 == pytest.approx(part.trigger_at_s, abs=0.1)
        assert not (inspection.verdict is Verdict.PASS and part.defects)
        right += inspection.verdict.value == part.verdict and set(inspection.reasons) == set(part.defects)
    assert right >= 0.97 * len(truth)


def _seen(line: BottleLine, at: float, rng: random.Random) -> Detections:
    rows = [
        (*(value + rng.gauss(0, 1) for value in box.xyxy), CLASSES.index(box.label))
        for box in line.boxes_at(at)
        if rng.random() > 0.03 and box.xyxy[2] - box.xyxy[0] > 5
    ]
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(table[:, :4], np.full(len(table), 0.8, np.float32), table[:, 4].astype(np.int32))


def test_the_lines_own_counting_is_right() -> None:
    """The judge is judged: a bottle crosses when its middle reaches the trigger."""
    line = Line([Bottle(TRIGGER_X * WIDTH - 125.0), Bottle(TRIGGER_X * WIDTH - 126.0)])
    assert line.crossed(0, 1) == [0]
    assert isinstance(next(line.frames(1)), Shown)
