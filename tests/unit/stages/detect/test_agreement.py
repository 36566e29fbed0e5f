"""How far two detectors see the same."""

from __future__ import annotations

import numpy as np
import pytest

from stages.detect.agreement import agreement
from stages.values import Detections

LEFT, RIGHT = (0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 60.0, 10.0)


def seen(*boxes: tuple[tuple[float, float, float, float], float, int]) -> Detections:
    if not boxes:
        return Detections.empty()
    xyxy, score, class_id = zip(*boxes, strict=True)
    return Detections(np.array(xyxy, np.float32), np.array(score, np.float32), np.array(class_id, np.int32))


def test_the_same_twice_agrees_wholly() -> None:
    both = seen((LEFT, 0.9, 0), (RIGHT, 0.8, 1))
    told = agreement([(both, both), (seen(), seen())])
    assert (told.pictures, told.boxes, told.found, told.extra) == (2, 2, 2, 0)
    assert (told.found_share, told.extra_share, told.iou, told.score_change) == (1.0, 0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("own", "found", "extra"),
    [
        pytest.param(seen((LEFT, 0.9, 0)), 1, 0, id="one is missed"),
        pytest.param(seen(), 0, 0, id="all are missed"),
        pytest.param(seen((LEFT, 0.9, 1), (RIGHT, 0.8, 0)), 1, 1, id="another class is another thing"),
        pytest.param(seen((LEFT, 0.9, 0), (LEFT, 0.8, 0), (RIGHT, 0.8, 0)), 2, 1, id="a double is one too many"),
        pytest.param(seen(((0, 0, 10, 20), 0.9, 0), (RIGHT, 0.8, 0)), 2, 0, id="half overlaps exactly: found"),
        pytest.param(seen(((0, 0, 10, 20.5), 0.9, 0), (RIGHT, 0.8, 0)), 1, 1, id="less than half: not found"),
    ],
)
def test_boxes_are_found_missed_or_extra(own: Detections, found: int, extra: int) -> None:
    told = agreement([(seen((LEFT, 0.9, 0), (RIGHT, 0.8, 0)), own)])
    assert (told.boxes, told.found, told.extra) == (2, found, extra)


def test_the_better_overlap_is_matched_first() -> None:
    near, exact = ((0.0, 0.0, 10.0, 11.0), 0.5, 0), (LEFT, 0.4, 0)
    assert agreement([(seen((LEFT, 0.9, 0)), seen(near, exact))]).iou == 1.0


def test_scores_are_compared_of_what_both_found() -> None:
    told = agreement([(seen((LEFT, 0.9, 0)), seen((LEFT, 0.8, 0), (RIGHT, 0.3, 0)))])
    assert told.score_change == pytest.approx(-0.1)


def test_nothing_seen_by_either_is_no_disagreement() -> None:
    assert agreement([(seen(), seen())]).found_share == 1.0
