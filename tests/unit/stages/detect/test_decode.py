"""Raw answers with known things in them become detections in source pixels."""

from collections.abc import Callable

import numpy as np
import pytest

from stages.detect.decode import MAX_CANDIDATES, decode
from stages.values import Detections, Float32
from tests.unit.stages.detect.scripted import Thing, dense, end2end, settings

IDENTITY = np.array([1, 1, 0, 0], np.float32)
WH = np.array([640, 384], np.int32)
FORMS = pytest.mark.parametrize("form", [dense, end2end])


def decoded(
    raw: Float32, to_source: Float32 = IDENTITY, wanted: tuple[bool, ...] = (True,) * 3, **changes: object
) -> Detections:
    return decode(raw, settings(**changes), np.array(wanted), to_source, WH)


@FORMS
def test_a_thing_is_found_with_its_class_and_score(form: Callable[..., Float32]) -> None:
    found = decoded(form((100, 50, 200, 150, 0.8, 1)))
    assert found.xyxy.tolist() == [[100, 50, 200, 150]]
    assert found.score.tolist() == pytest.approx([0.8])
    assert found.class_id.tolist() == [1]
    assert (found.xyxy.dtype, found.score.dtype, found.class_id.dtype) == (np.float32, np.float32, np.int32)


@FORMS
def test_nothing_found_is_an_empty_value(form: Callable[..., Float32]) -> None:
    assert len(decoded(form())) == 0


@FORMS
@pytest.mark.parametrize(
    ("score", "kept"),
    [
        pytest.param(0.5, 1, id="exactly at the threshold is kept"),
        pytest.param(0.4999, 0, id="below is not"),
    ],
)
def test_low_scores_are_dropped(form: Callable[..., Float32], score: float, kept: int) -> None:
    assert len(decoded(form((100, 50, 200, 150, score, 1)), min_score=0.5)) == kept


@FORMS
def test_the_best_comes_first_and_the_limit_takes_the_best(form: Callable[..., Float32]) -> None:
    things: list[Thing] = [(60.0 * n, 0, 60.0 * n + 40, 40, 0.3 + 0.05 * n, 0) for n in range(9)]
    found = decoded(form(*things), max_detections=3)
    assert found.score.tolist() == pytest.approx([0.7, 0.65, 0.6])


@FORMS
def test_only_wanted_classes_are_kept(form: Callable[..., Float32]) -> None:
    things: list[Thing] = [(0, 0, 40, 40, 0.9, 0), (100, 0, 140, 40, 0.5, 2)]
    assert decoded(form(*things), wanted=(False, False, True)).class_id.tolist() == [2]


@FORMS
def test_boxes_go_back_through_scale_and_padding(form: Callable[..., Float32]) -> None:
    found = decoded(form((100, 62, 200, 112, 0.8, 0)), to_source=np.array([0.5, 0.5, 0, 12], np.float32))
    assert found.xyxy.tolist() == [[200, 100, 400, 200]]


@FORMS
def test_boxes_end_at_the_pictures_edge_and_those_in_the_padding_are_gone(form: Callable[..., Float32]) -> None:
    things: list[Thing] = [(-20, 5, 50, 60, 0.9, 0), (600, 370, 660, 420, 0.8, 0), (10, -30, 60, -5, 0.7, 0)]
    assert decoded(form(*things)).xyxy.tolist() == [[0, 5, 50, 60], [600, 370, 640, 384]]


@FORMS
def test_what_is_not_a_number_is_dropped(form: Callable[..., Float32]) -> None:
    nan, inf = float("nan"), float("inf")
    found = decoded(form((nan, 0, 40, 40, 0.9, 0), (100, 0, 140, 40, nan, 0), (200, 0, inf, 40, 0.8, 0)))
    assert len(found) == 0


def test_a_class_beyond_the_models_names_is_dropped() -> None:
    assert len(decoded(end2end((0, 0, 40, 40, 0.9, 3), (0, 0, 40, 40, 0.9, -1)))) == 0


@pytest.mark.parametrize(
    ("shift", "kept"),
    [
        pytest.param(0, 1, id="the same place"),
        pytest.param(20, 1, id="iou .67 over .6"),
        pytest.param(30, 2, id="iou .54 under .6"),
    ],
)
def test_doubles_of_one_class_are_dropped(shift: float, kept: int) -> None:
    things: list[Thing] = [(0, 0, 100, 100, 0.9, 0), (shift, 0, 100 + shift, 100, 0.8, 0)]
    found = decoded(dense(*things))
    assert len(found) == kept
    assert found.score[0] == pytest.approx(0.9)


def test_a_chain_of_overlaps_keeps_both_ends() -> None:
    things: list[Thing] = [(0, 0, 100, 100, 0.9, 0), (20, 0, 120, 100, 0.8, 0), (40, 0, 140, 100, 0.7, 0)]
    assert decoded(dense(*things)).score.tolist() == pytest.approx([0.9, 0.7])


def test_a_cap_on_a_bottle_is_no_double_unless_asked_for() -> None:
    things: list[Thing] = [(0, 0, 100, 100, 0.9, 0), (5, 0, 100, 100, 0.8, 1)]
    assert decoded(dense(*things)).class_id.tolist() == [0, 1]
    assert decoded(dense(*things), agnostic=True).class_id.tolist() == [0]


def test_a_scene_that_answers_everywhere_is_still_decoded() -> None:
    rng = np.random.default_rng(0)
    raw = np.zeros((7, MAX_CANDIDATES + 500), np.float32)
    raw[:2] = rng.uniform(50, 300, raw[:2].shape)
    raw[2:4] = 30
    raw[4] = rng.uniform(0.3, 0.9, raw.shape[1])
    found = decoded(raw, max_detections=50)
    assert len(found) == 50
    assert found.score[0] == raw[4].max()
    assert bool((np.diff(found.score) <= 0).all())
