"""What becomes of parts on a belt: one verdict each, and never a pass that was not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgpack
import numpy as np
import pytest

from stages.inspection.inspector import Inspector
from stages.inspection.part import Sighting
from stages.inspection.settings import Direction, InspectionSettings
from stages.values import CameraId, HealthState, Position, Tracks, Verdict
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
    bottles,
    crawl,
    inspector,
    run,
)

PASS, REJECT, UNSURE = Verdict.PASS, Verdict.REJECT, Verdict.INDETERMINATE


# verdicts


@pytest.mark.parametrize(
    ("defect", "verdict", "reasons"),
    [
        (None, PASS, ()),
        ("missing_cap", REJECT, ("missing_cap",)),
        ("missing_label", REJECT, ("missing_label",)),
        ("low_fill", REJECT, ("low_fill",)),
        ("crooked_label", REJECT, ("crooked_label",)),
        ("dent", REJECT, ("dent",)),
    ],
)
def test_a_part_alone_gets_the_verdict_it_deserves(
    defect: str | None, verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    outcome = run(Line(bottles(defect)).frames(6))
    (inspection,) = outcome.inspections
    assert (inspection.verdict, inspection.reasons) == (verdict, reasons)
    assert [found.label for found in inspection.defects] == list(reasons)
    assert inspection.votes["usable"] >= 30


def test_a_best_sighting_of_before_parts_were_kept_with_it_is_restored() -> None:
    seen = Sighting(0.75, (0.25, 0.5, 0.5, 0.75), (0.0, 0.0, 1.0, 1.0))
    data = msgpack.unpackb(msgpack.packb(seen.checkpoint()))
    assert Sighting.restored(data) == seen
    assert Sighting.restored(data[:5]) == seen._replace(part=None)


def test_parts_that_touch_get_their_own_verdicts() -> None:
    line = Line(bottles(None, "dent", None, "missing_cap", spacing=58.5), faults=Faults(tremble_px=0.7), seed=3)
    assert run(line.frames(8)).verdicts == [PASS, REJECT, PASS, REJECT]


def test_two_lanes_of_one_trigger_are_judged_apart() -> None:
    lanes = [Bottle(-40, frozenset(), 175.0), Bottle(-45, frozenset({"dent"}), 355.0), Bottle(-200, frozenset(), 355.0)]
    outcome = run(Line(lanes).frames(8))
    assert outcome.verdicts == [PASS, REJECT, PASS]


def test_a_lane_beyond_the_triggers_end_is_nobodys_business() -> None:
    settings = SETTINGS.model_copy(update={"trigger": ((TRIGGER_X, 0.5), (TRIGGER_X, 1.0))})
    lanes = [Bottle(-40, frozenset(), 175.0), Bottle(-45, frozenset({"dent"}), 355.0)]
    outcome = run(Line(lanes).frames(8), inspector(settings))
    assert outcome.verdicts == [REJECT]


@pytest.mark.parametrize("direction", list(Direction))
def test_the_belt_may_run_any_way(direction: Direction) -> None:
    """The same line, turned: fractions of the picture make it the same case."""
    frames = [turned(frame, direction) for frame in Line(bottles("missing_cap", None, "dent")).frames(8)]
    across, down = ((TRIGGER_X, 0.0), (TRIGGER_X, 1.0)), ((0.0, TRIGGER_X), (1.0, TRIGGER_X))
    back_across, up = ((1 - TRIGGER_X, 0.0), (1 - TRIGGER_X, 1.0)), ((0.0, 1 - TRIGGER_X), (1.0, 1 - TRIGGER_X))
    triggers = dict(zip(Direction, (across, back_across, down, up), strict=True))
    upright = SETTINGS.model_dump() | {"direction": direction, "trigger": triggers[direction]}
    upright["required"][2]["center_y"] = None  # the level lies elsewhere on a bottle that lies
    outcome = run(frames, inspector(InspectionSettings.model_validate(upright)))
    assert outcome.verdicts == [REJECT, PASS, REJECT]


def turned(frame: Shown, direction: Direction) -> Shown:
    width, height = frame.size_wh
    x1, y1, x2, y2 = frame.tracks.xyxy.T
    match direction:
        case Direction.LEFT_TO_RIGHT:
            columns, size = (x1, y1, x2, y2), (width, height)
        case Direction.RIGHT_TO_LEFT:
            columns, size = (width - x2, y1, width - x1, y2), (width, height)
        case Direction.TOP_TO_BOTTOM:
            columns, size = (y1, x1, y2, x2), (height, width)
        case Direction.BOTTOM_TO_TOP:
            columns, size = (y1, width - x2, y2, width - x1), (height, width)
    return replace(frame, tracks=replace(frame.tracks, xyxy=np.stack(columns, axis=1)), size_wh=size)


def test_a_belt_may_run_aslant() -> None:
    slope = 0.25

    def slanted(frame: Shown) -> Shown:
        xyxy = frame.tracks.xyxy.copy()
        drop = (xyxy[:, 0] + xyxy[:, 2]) / 2 * slope - 100
        xyxy[:, [1, 3]] += drop[:, None]
        return replace(frame, tracks=replace(frame.tracks, xyxy=np.clip(xyxy, -50, 640)), size_wh=(640, 480))

    settings = SETTINGS.model_copy(update={"direction": (1.0, slope * 640 / 480)})
    line = [replace(bottle, base_y=330.0) for bottle in bottles(None, None, None)]
    frames = [slanted(frame) for frame in Line(line).frames(8)]
    assert run(frames, inspector(settings)).verdicts == [PASS] * 3


# frames that do not count


def test_boxes_cut_by_the_pictures_edge_do_not_vote() -> None:
    """The trigger is so near the edge that the part is never seen whole."""
    settings = SETTINGS.model_copy(update={"trigger": ((0.04, 0.0), (0.04, 1.0))})
    line = Line(bottles(None, None), lambda t: 20 * t)
    outcome = run(line.frames(12), inspector(settings))
    assert [(i.verdict, i.reasons, i.votes["usable"]) for i in outcome.inspections] == [
        (UNSURE, ("too_few_votes",), 0),
        (UNSURE, ("too_few_votes",), 0),
    ][: len(outcome.inspections)]
    assert outcome.inspections


def test_dropped_frames_alone_are_no_reason() -> None:
    line = Line(bottles(None, "dent", None, "low_fill"), fps=12, faults=Faults(drop=0.5), seed=4)
    assert run(line.frames(9)).verdicts == [PASS, REJECT, PASS, REJECT]


def test_a_part_seen_too_seldom_is_indeterminate() -> None:
    outcome = run(Line(bottles(None, "dent"), lambda t: 900 * t, fps=6).frames(3))
    assert {i.verdict for i in outcome.inspections} <= {UNSURE}


def test_a_part_unseen_for_too_long_is_indeterminate() -> None:
    line = Line(bottles(None, None), unseen=lambda t, i: i == 0 and 1.5 < t < 2.7)
    outcome = run(line.frames(7))
    assert [(i.verdict, i.reasons) for i in outcome.inspections] == [(UNSURE, ("gap",)), (PASS, ())]


# touching


def test_parts_the_model_sees_as_one_are_touching() -> None:
    pair = bottles(None, None) + bottles(None, "dent", spacing=58.5, start=-400)
    outcome = run(Line(pair, merged=lambda t: True).frames(10))
    assert [(i.verdict, i.reasons[:1]) for i in outcome.inspections] == [
        (PASS, ()),
        (PASS, ()),
        (UNSURE, ("touching",)),
        (UNSURE, ("touching",)),
    ]
    assert len({i.inspection_id for i in outcome.inspections}) == 4


def test_a_pair_seen_as_one_from_the_first_frame_on_never_passes() -> None:
    outcome = run(Line(bottles(None, None, spacing=58.5), merged=lambda t: True).frames(7))
    assert outcome.inspections
    assert all(i.verdict is UNSURE and "touching" in i.reasons for i in outcome.inspections)


def test_a_box_that_slips_over_two_parts_for_a_moment_ruins_neither() -> None:
    pair = bottles(None, None) + bottles(None, "dent", spacing=58.5, start=-400)
    line = Line(pair, merged=lambda t: 5.0 < t < 5.25)
    assert run(line.frames(10)).verdicts == [PASS, PASS, PASS, REJECT]


def test_a_defect_that_fits_two_parts_leaves_neither_to_pass() -> None:
    frames = []
    for frame in Line(bottles(None, None, None, spacing=56)).frames(8):
        t = frame.tracks
        parts = sorted(t.xyxy[t.class_id == 0].tolist())
        if len(parts) == 3:
            x = (parts[0][2] + parts[1][0]) / 2  # on the seam of the two hindmost
            t = Tracks(
                np.concatenate([t.xyxy, np.float32([[x - 12, 200, x + 12, 224]])]),
                np.append(t.score, np.float32(0.7)),
                np.append(t.class_id, np.int32(CLASSES.index("dent"))),
                np.append(t.track_id, np.int32(-1)),
            )
        frames.append(replace(frame, tracks=t))
    outcome = run(frames)
    assert [(i.verdict, i.reasons) for i in outcome.inspections] == [
        (PASS, ()),
        (UNSURE, ("touching",)),
        (UNSURE, ("touching",)),
    ]


def test_a_larger_product_is_touching_only_until_its_size_is_known() -> None:
    small, large = bottles(*[None] * 4), bottles(*[None] * 14, start=-700, spacing=260)

    def enlarged(frame: Shown) -> Shown:
        """What comes later is 1.8 times as long; its features stay."""
        t = frame.tracks
        later = (t.class_id == 0) & (t.track_id > 4)
        wider = t.xyxy + np.float32([-23, 0, 23, 0])
        wider[:, [0, 2]] = wider[:, [0, 2]].clip(0, WIDTH)
        return replace(frame, tracks=replace(t, xyxy=np.where(later[:, None], wider, t.xyxy)))

    outcome = run(map(enlarged, Line(small + large).frames(40)))
    assert outcome.verdicts[:4] == [PASS] * 4
    assert "touching" in outcome.inspections[4].reasons
    assert outcome.verdicts[-4:] == [PASS] * 4


# beginning and end


def test_the_end_tells_of_parts_that_must_have_crossed_unseen() -> None:
    by = inspector()
    line = Line(bottles(None, None), unseen=lambda t, i: i == 0 and t > 3.2)
    assert run(line.frames(4.2), by).inspections == []
    judged = by.end(1004.2)
    assert [(i.inspection_id, i.reasons) for i in judged.inspections] == [("cam/run1/1", ("lost",))]
    assert by.end(1004.2).inspections == ()


def test_the_end_closes_an_open_interval() -> None:
    by = inspector()
    run(blinded(Line(bottles(None)).frames(4), 2.0, 9.0, HealthState.BLACK), by)
    judged = by.end(1004.5)
    assert [(u.since, u.until) for u in judged.uninspected] == [(1002.0, 1004.5)]
    assert [i.reasons for i in judged.inspections] == [("black", "lost")]


def test_nothing_seen_is_nothing_said() -> None:
    frames = [Shown(1000.0 + n / 10, Tracks.empty()) for n in range(50)]
    assert run(frames) == Outcome([], [])
    assert inspector().end(1000.0).inspections == ()


# size and time


def test_a_clock_that_jumps_back_loses_no_part() -> None:
    frames = [f if f.at < 1002.5 else replace(f, at=f.at - 3600) for f in Line(bottles(None, "dent", None)).frames(9)]
    assert run(frames).verdicts == [PASS, REJECT, PASS]


# checkpoints


def outcome_with_restarts(frames: Sequence[Shown], every: int, run_names: tuple[str, ...] = ("run1",)) -> Outcome:
    by, outcome = inspector(), Outcome([], [])
    for start in range(0, len(frames), every):
        part = run(frames[start : start + every], by)
        outcome.inspections += part.inspections
        outcome.uninspected += part.uninspected
        data = msgpack.unpackb(msgpack.packb(by.checkpoint()))
        by = inspector(run=run_names[(start // every + 1) % len(run_names)])
        by.restore(data)
    return outcome


def without_position(outcome: Outcome) -> Outcome:
    """Positions are counted anew by each `run` of the test."""
    nowhere = Position("", 0, 0)
    return Outcome([replace(i, position=nowhere) for i in outcome.inspections], outcome.uninspected)


@pytest.mark.parametrize("every", [1, 7])
def test_a_restored_checkpoint_goes_on_as_if_nothing_had_happened(every: int) -> None:
    faults = Faults(miss=0.05, tremble_px=1.0, spurious=0.03, new_id=0.03, swap=0.05, drop=0.1, ghost_part=0.03)
    parts = bottles(None, "dent", None, "low_fill", "missing_cap", spacing=75) + bottles(None, None, start=-600)
    line = Line(parts, crawl, faults=faults, seed=11)
    frames = list(blinded(line.frames(14), 6.0, 7.5, HealthState.FROZEN))
    assert without_position(outcome_with_restarts(frames, every)) == without_position(run(frames))


def test_a_part_keeps_its_name_when_it_is_judged_in_the_next_run() -> None:
    frames = list(Line(bottles(None, None, None)).frames(9))
    outcome = outcome_with_restarts(frames, 30, ("run1", "run2", "run3", "run4"))
    assert [i.inspection_id for i in outcome.inspections] == ["cam/run1/1", "cam/run1/2", "cam/run1/3"]


def test_a_checkpoint_with_eight_parts_is_small() -> None:
    by = inspector()
    parts = bottles(*["dent"] * 12, spacing=66)
    largest = 0
    for frame in Line(parts, fps=25, faults=Faults(tremble_px=1)).frames(10):
        run([frame], by)
        largest = max(largest, len(msgpack.packb(by.checkpoint())))
    assert 1000 < largest <= 2500


def test_a_checkpoint_of_another_version_is_refused() -> None:
    data = inspector().checkpoint() | {"version": 99}
    with pytest.raises(ValueError, match="version 99, this reads 1"):
        inspector().restore(data)


def test_votes_under_other_rules_are_not_taken_over() -> None:
    by = inspector()
    frames = list(Line(bottles(None)).frames(6))
    run(frames[:33], by)
    changed = inspector(SETTINGS.model_copy(update={"defects": ()}))
    changed.restore(by.checkpoint())
    (inspection,) = run(frames[33:], changed).inspections
    assert (inspection.verdict, inspection.reasons) == (UNSURE, ("changeover", "too_few_votes"))


@pytest.mark.parametrize(("x", "verdicts"), [(0.3, 1), (0.8, 1), (0.8, 0)], ids=["back", "on", "judged before"])
def test_a_part_under_way_cannot_pass_by_another_trigger(x: float, verdicts: int) -> None:
    """And one that was judged at the first is not judged at the second."""
    by = inspector()
    frames = list(Line(bottles(None)).frames(9))
    judged = next(n for n in range(len(frames)) if run(frames[:n], inspector()).inspections)
    until = judged - 2 if verdicts else judged
    before = run(frames[:until], by).inspections
    after = inspector(SETTINGS.model_copy(update={"trigger": ((x, 0.0), (x, 1.0))}))
    after.restore(msgpack.unpackb(msgpack.packb(by.checkpoint())))
    later = run(frames[until:], after).inspections
    assert len(before) == 1 - verdicts
    assert [(i.verdict, i.reasons[0]) for i in later] == [(UNSURE, "changeover")] * verdicts


def test_reset_forgets_everything() -> None:
    by = inspector()
    run(Line(bottles(None, None)).frames(3), by)
    by.reset()
    assert by.checkpoint() == inspector().checkpoint()


# what the model sees of the picture


ROI = (0.25, 0.0, 1.0, 1.0)


def _through(roi: tuple[float, float, float, float], frames: Sequence[Shown]) -> list[Shown]:
    """What a model that sees this part of the picture finds: boxes end at its edge."""
    left, right = roi[0] * WIDTH, roi[2] * WIDTH
    seen = []
    for frame in frames:
        xyxy = frame.tracks.xyxy.copy()
        xyxy[:, [0, 2]] = xyxy[:, [0, 2]].clip(left, right)
        kept = xyxy[:, 2] - xyxy[:, 0] > 1
        tracks = frame.tracks
        shown = Tracks(xyxy[kept], tracks.score[kept], tracks.class_id[kept], tracks.track_id[kept])
        seen.append(replace(frame, tracks=shown))
    return seen


@pytest.mark.parametrize("part_length", [None, 0.2])
def test_the_edge_of_the_region_cuts_parts_as_the_pictures_edge_does(part_length: float | None) -> None:
    settings = SETTINGS.model_copy(update={"part_length": part_length}) if part_length else SETTINGS
    line = Line(bottles(*[None, "dent"] * 5))
    by = Inspector(settings, CameraId("cam"), "station", "run1", CLASSES, ROI)
    outcome = run(_through(ROI, list(line.frames(20))), by)
    assert outcome.verdicts == [PASS, REJECT] * 5
    assert max(i.votes["usable"] for i in outcome.inspections) <= 20
