"""The figures of the card: known boxes in, known numbers out; known votes in, known verdicts out."""

import numpy as np
import pytest

from pipeline.demo.bottle import Defect
from pipeline.demo.line import PartTruth, TruthBox
from pipeline.demo.render import CLASS_NAMES
from pipeline.demo.score import Score, iou
from pipeline.demo.votes import VoteCount, Votes
from pipeline.demo.watcher import Seen


def seen(*boxes: tuple[str, float, tuple[float, float, float, float]]) -> Seen:
    return Seen(
        np.array([xyxy for _, _, xyxy in boxes], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in boxes], np.float32),
        np.array([CLASS_NAMES.index(name) for name, _, _ in boxes], np.int64),
    )


def cap(x: float, visible: float = 1.0) -> TruthBox:
    return TruthBox(0, "cap", (x, 0, x + 20, 20), visible)


@pytest.mark.parametrize(
    ("other", "expected"),
    [((0, 0, 10, 10), 1.0), ((10, 0, 20, 10), 0.0), ((5, 0, 15, 10), 1 / 3), ((0, 0, 5, 10), 0.5)],
)
def test_overlap_of_two_boxes(other: tuple[float, float, float, float], expected: float) -> None:
    assert iou((0, 0, 10, 10), other) == pytest.approx(expected)


def test_all_found_and_nothing_else_is_perfect() -> None:
    score = Score()
    score.add(seen(("cap", 0.9, (0, 0, 20, 20)), ("cap", 0.8, (50, 0, 70, 20))), [cap(0), cap(50)])
    assert score.figures(0.5)["cap"] == {"ap50": 1.0, "recall": 1.0, "precision": 1.0, "truths": 2}


def test_a_false_box_scored_between_two_right_ones_costs_precision() -> None:
    score = Score()
    score.add(
        seen(("cap", 0.9, (0, 0, 20, 20)), ("cap", 0.8, (200, 0, 220, 20)), ("cap", 0.7, (50, 0, 70, 20))),
        [cap(0), cap(50)],
    )
    figures = score.figures(0.5)["cap"]
    assert figures["ap50"] == pytest.approx(0.5 + 0.5 * 2 / 3, abs=1e-4)
    assert figures["precision"] == pytest.approx(2 / 3, abs=1e-4)


def test_a_box_below_the_threshold_is_a_miss_there_but_counts_for_the_average_precision() -> None:
    score = Score()
    score.add(seen(("cap", 0.2, (0, 0, 20, 20))), [cap(0)])
    assert score.figures(0.35)["cap"] == {"ap50": 1.0, "recall": 0.0, "precision": 0.0, "truths": 1}


def test_the_second_box_on_the_same_thing_is_false() -> None:
    score = Score()
    score.add(seen(("cap", 0.9, (0, 0, 20, 20)), ("cap", 0.8, (1, 0, 21, 20))), [cap(0)])
    assert score.figures(0.5)["cap"]["precision"] == 0.5


@pytest.mark.parametrize("found", [True, False])
def test_what_is_mostly_outside_the_picture_counts_neither_way(found: bool) -> None:
    score = Score()
    score.add(seen(("cap", 0.9, (0, 0, 20, 20))) if found else seen(), [cap(0, visible=0.2)])
    assert score.figures(0.5)["cap"] == {"ap50": 0.0, "recall": 0.0, "precision": 0.0, "truths": 0}


def votes(fill: float = 0.78, pictures: int = 10, **times: int) -> Votes:
    counted = Votes(pictures=pictures, fills=[fill] * pictures)
    counted.seen.update({"cap": 10, "label": 10} | times)
    return counted


@pytest.mark.parametrize(
    ("given", "defects"),
    [
        pytest.param(votes(), set(), id="all there"),
        pytest.param(votes(cap=2), {Defect.MISSING_CAP}, id="cap hardly seen"),
        pytest.param(votes(label=2, crooked_label=8), {Defect.CROOKED_LABEL}, id="label mostly crooked"),
        pytest.param(votes(label=1), {Defect.MISSING_LABEL}, id="label hardly seen"),
        pytest.param(votes(dent=5), {Defect.DENT}, id="dent seen in half"),
        pytest.param(votes(dent=1), set(), id="dent seen once"),
        pytest.param(votes(fill=0.62, cap=0), {Defect.LOW_FILL, Defect.MISSING_CAP}, id="two at once"),
    ],
)
def test_votes_make_a_verdict(given: Votes, defects: set[Defect]) -> None:
    assert given.verdict() == frozenset(defects)


def test_a_part_never_seen_well_has_no_verdict() -> None:
    assert Votes().verdict() is None
    assert Votes(pictures=5).verdict() is None


def test_verdicts_are_counted_by_how_they_are_wrong() -> None:
    count = VoteCount()
    good = PartTruth(0, "lime", frozenset(), 0.0, 3.0, touching=False)
    bad = PartTruth(1, "lime", frozenset({Defect.MISSING_CAP}), 1.0, 4.0, touching=False)
    for truth, given in [(good, votes()), (bad, votes()), (good, votes(cap=0)), (bad, votes(dent=9)), (bad, Votes())]:
        count.add(truth, given)
    assert vars(count) == {
        "parts": 5, "false_pass": 1, "false_reject": 1, "wrong_defects": 1, "undecided": 1,
    }  # fmt: skip
