"""The script of the line: dense enough in defects and touching pairs, the same for a seed, and in order."""

from collections import Counter
from itertools import pairwise

import pytest

from pipeline.demo.line import TRIGGER_X, BottleLine, Defect, TruthBox

WINDOW = 30
SEEDS = range(40)


def boxes_of(line: BottleLine, part: int, t_s: float) -> dict[str, TruthBox]:
    return {box.label: box for box in line.boxes_at(t_s) if box.part == part}


@pytest.mark.parametrize("seed", SEEDS)
def test_any_thirty_parts_hold_rejects_of_four_kinds_and_three_touching_pairs(seed: int) -> None:
    parts = BottleLine(seed).parts(0, 150)
    for first in range(len(parts) - WINDOW + 1):
        window = parts[first : first + WINDOW]
        assert sum(part.verdict == "reject" for part in window) >= 6
        assert len({defect for part in window for defect in part.defects}) >= 4
        assert sum(a.touching and b.touching for a, b in pairwise(window)) >= 3


def test_most_rejects_have_one_defect_and_all_kinds_are_about_as_common() -> None:
    rejects = [part for seed in SEEDS for part in BottleLine(seed).parts(0, 200) if part.defects]
    assert sum(len(part.defects) == 1 for part in rejects) > 0.75 * len(rejects)
    kinds = Counter(defect for part in rejects for defect in part.defects)
    assert set(kinds) == set(Defect)
    assert min(kinds.values()) > 0.1 * sum(kinds.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_speed_and_rate_stay_within_what_the_line_promises(seed: int) -> None:
    line = BottleLine(seed)
    speeds = [line.speed_at(t_s) for t_s in range(0, 600, 3)]
    assert min(speeds) >= 100
    assert max(speeds) <= 150
    assert 0.78 <= len(line.parts(100, 300)) / 200 <= 1.02


def test_the_same_seed_gives_the_same_line_and_another_gives_another() -> None:
    assert BottleLine(7).parts(0, 100) == BottleLine(7).parts(0, 100)
    assert BottleLine(7).boxes_at(33.3) == BottleLine(7).boxes_at(33.3)
    assert BottleLine(7).parts(0, 100) != BottleLine(8).parts(0, 100)


def test_parts_asked_for_piece_by_piece_are_the_parts_asked_for_at_once() -> None:
    pieces = [part for start in range(0, 300, 7) for part in BottleLine(3).parts(start, start + 7)]
    whole = BottleLine(3).parts(0, 301)
    assert pieces == whole
    assert [part.index for part in whole] == list(range(len(whole)))


def test_a_line_that_ran_for_a_month_answers_like_a_young_one() -> None:
    line = BottleLine(5)
    month = 30 * 86400.0
    parts = line.parts(month, month + 100)
    assert 75 <= len(parts) <= 105
    assert all(month <= part.trigger_at_s < month + 100 for part in parts)
    assert line.boxes_at(month)


def test_nothing_is_on_the_belt_at_the_start() -> None:
    line = BottleLine(4)
    assert line.boxes_at(0) == []
    assert line.parts(-100, 0) == []
    assert line.parts(0, 100)[0].entered_at_s > 0


@pytest.mark.parametrize("seed", range(5))
def test_a_part_enters_at_the_left_edge_and_is_judged_at_the_trigger(seed: int) -> None:
    line = BottleLine(seed)
    for part in line.parts(0, 60):
        assert "bottle" not in boxes_of(line, part.index, part.entered_at_s - 0.001)
        just_in = boxes_of(line, part.index, part.entered_at_s + 0.05)["bottle"]
        assert just_in.xyxy[0] == 0
        assert just_in.visible < 0.2
        x1, _, x2, _ = boxes_of(line, part.index, part.trigger_at_s)["bottle"].xyxy
        assert (x1 + x2) / 2 == pytest.approx(TRIGGER_X * line.width, abs=0.01)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_seen_of_a_part_tells_its_defects(seed: int) -> None:
    line = BottleLine(seed)
    for part in line.parts(0, 120):
        seen = boxes_of(line, part.index, part.trigger_at_s)
        _, top, _, bottom = seen["bottle"].xyxy
        _, level_top, _, level_bottom = seen["level"].xyxy
        fill = (bottom - (level_top + level_bottom) / 2) / (bottom - top)
        assert ("cap" not in seen) == (Defect.MISSING_CAP in part.defects)
        assert ("dent" in seen) == (Defect.DENT in part.defects)
        assert ("crooked_label" in seen) == (Defect.CROOKED_LABEL in part.defects)
        assert ("label" in seen) == (not part.defects & {Defect.MISSING_LABEL, Defect.CROOKED_LABEL})
        assert (0.58 <= fill <= 0.66) if Defect.LOW_FILL in part.defects else (0.76 <= fill <= 0.80)


@pytest.mark.parametrize("seed", range(8))
def test_parts_of_a_bottle_are_large_enough_and_do_not_hide_each_other(seed: int) -> None:
    line = BottleLine(seed)
    for part in line.parts(0, 120):
        seen = {label: box.xyxy for label, box in boxes_of(line, part.index, part.trigger_at_s).items()}
        for x1, y1, x2, y2 in seen.values():
            assert x2 - x1 >= 22
            assert y2 - y1 >= 18
        dent = seen.get("dent")
        for label in ("level", "label", "crooked_label"):
            if dent and label in seen:
                assert dent[3] <= seen[label][1] or dent[1] >= seen[label][3]
        for label in ("label", "crooked_label"):
            if label in seen:
                assert seen["level"][3] <= seen[label][1]


def test_touching_parts_touch_and_others_keep_their_distance() -> None:
    line = BottleLine(6)
    parts = line.parts(0, 200)
    for ahead, behind in pairwise(parts):
        a = boxes_of(line, ahead.index, ahead.trigger_at_s)["bottle"].xyxy
        b = boxes_of(line, behind.index, ahead.trigger_at_s)["bottle"].xyxy
        gap = a[0] - b[2]
        assert gap >= -1e-6
        assert gap <= 2.0 + 1e-6 if ahead.touching and behind.touching else gap > 20


def test_a_larger_picture_shows_the_same_line_larger() -> None:
    small, large = BottleLine(2), BottleLine(2, 1280, 720)
    shown = [[box for box in line.boxes_at(20) if box.visible > 0.2] for line in (small, large)]
    for a, b in zip(*shown, strict=True):
        assert [2 * value for value in a.xyxy] == pytest.approx(b.xyxy)


def test_a_picture_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="640x480"):
        BottleLine(1, 640, 480)
