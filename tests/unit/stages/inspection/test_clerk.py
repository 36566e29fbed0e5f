"""What an inspection says of its part: its name, when it crossed, and where its defects are in the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.values import Verdict
from tests.unit.stages.inspection.line import CROSSES_S, SPEED, TRIGGER_X, WIDTH, Line, bottles, run

PASS, REJECT = Verdict.PASS, Verdict.REJECT


def test_an_inspection_tells_when_and_where_the_part_crossed() -> None:
    outcome = run(Line(bottles("dent"), fps=7.3).frames(6))
    (inspection,) = outcome.inspections
    assert inspection.inspection_id == "cam/run1/1"
    assert inspection.captured_at == pytest.approx(1000 + CROSSES_S, abs=0.002)
    assert inspection.decided_at > inspection.captured_at
    x1, y1, x2, y2 = inspection.xyxy
    assert ((x1 + x2) / 2, y2 - y1) == pytest.approx((TRIGGER_X * WIDTH, 172), abs=0.5)
    (dent,) = inspection.defects
    assert (dent.xyxy[2] - dent.xyxy[0], dent.score) == pytest.approx((28, 0.8), abs=0.1)


def test_a_defect_is_told_with_the_part_it_is_on_and_the_part_where_it_is_now() -> None:
    """The belt carries both on: by the verdict neither is where the defect was seen best."""
    (inspection,) = run(Line(bottles("dent"), fps=7.3).frames(6)).inspections
    (dent,) = inspection.defects
    assert dent.part_xyxy is not None
    assert inspection.seen_xyxy is not None
    middle = (dent.part_xyxy[0] + dent.part_xyxy[2]) / 2
    assert (dent.xyxy[0] + dent.xyxy[2]) / 2 - middle == pytest.approx(0.3 * (dent.part_xyxy[2] - middle), abs=0.5)
    assert dent.part_xyxy[3] - dent.part_xyxy[1] == pytest.approx(172, abs=0.5)
    assert 0 <= inspection.seen_xyxy[0] - inspection.xyxy[0] <= SPEED / 7.3
    assert dent.part_xyxy[0] < inspection.seen_xyxy[0]


def test_a_track_that_jumps_to_the_next_part_does_not_hide_it() -> None:
    """The tracker hands the judged bottle's id to the one that enters."""
    line = Line(bottles(None, "dent", spacing=600))
    frames = list(line.frames(11))
    for n, frame in enumerate(frames):
        ids = np.where(frame.tracks.track_id > 0, 1, -1).astype(np.int32)
        frames[n] = replace(frame, tracks=replace(frame.tracks, track_id=ids))
    outcome = run(frames)
    assert outcome.verdicts == [PASS, REJECT]
    assert [i.inspection_id for i in outcome.inspections] == ["cam/run1/1", "cam/run1/1.1"]


def test_a_new_resolution_half_way_changes_nothing() -> None:
    small = list(Line(bottles("low_fill", None, "dent")).frames(8))
    large = list(Line(bottles("low_fill", None, "dent"), width=1920).frames(8))
    mixed = [a if n < 30 else b for n, (a, b) in enumerate(zip(small, large, strict=True))]
    outcome = run(mixed)
    assert outcome.verdicts == [REJECT, PASS, REJECT]
    x1, _, x2, _ = outcome.inspections[2].xyxy
    assert (x1 + x2) / 2 == pytest.approx(TRIGGER_X * 1920, abs=1.5)
