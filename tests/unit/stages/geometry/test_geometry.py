"""Hand-drawn boxes, segments and polygons with known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import geometry

SQUARE = [0, 0, 10, 10]
L_SHAPE = [(0, 0), (10, 0), (10, 4), (4, 4), (4, 10), (0, 10)]


@pytest.mark.parametrize(
    ("other", "iou"),
    [
        pytest.param(SQUARE, 1.0, id="itself"),
        pytest.param([5, 0, 15, 10], 1 / 3, id="half over"),
        pytest.param([10, 0, 20, 10], 0.0, id="edge to edge"),
        pytest.param([20, 20, 30, 30], 0.0, id="apart on both axes"),
        pytest.param([2, 2, 4, 4], 0.04, id="inside"),
        pytest.param([5, 5, 5, 5], 0.0, id="a point"),
    ],
)
def test_iou_of_a_pair(other: list[float], iou: float) -> None:
    assert geometry.box_iou([SQUARE], [other])[0, 0] == pytest.approx(iou, abs=1e-6)


def test_shapes_hold_for_no_boxes() -> None:
    none = np.zeros((0, 4), np.float32)
    assert geometry.box_iou(none, [SQUARE]).shape == (0, 1)
    assert geometry.box_iou([SQUARE, SQUARE], none).shape == (2, 0)
    assert geometry.containment(none, none).shape == (0, 0)
    assert geometry.box_area(none).shape == (0,)
    assert geometry.box_center(none).shape == (0, 2)
    assert geometry.clip_boxes(none, 4, 4).shape == (0, 4)


def test_two_empty_boxes_share_nothing_and_divide_by_nothing() -> None:
    assert geometry.box_iou([[3, 3, 3, 3]], [[3, 3, 3, 3]])[0, 0] == 0


def test_an_inverted_box_has_no_area() -> None:
    assert geometry.box_area([[10, 10, 0, 0]])[0] == 0


def test_center_and_area() -> None:
    assert geometry.box_center([[0, 2, 10, 6]]).tolist() == [[5, 4]]
    assert geometry.box_area([[0, 2, 10, 6]]).tolist() == [40]


def test_containment_is_the_share_of_the_inner_box() -> None:
    shares = geometry.containment([[8, 0, 12, 10], [1, 1, 2, 2], [4, 4, 4, 4]], [SQUARE])
    assert shares[:, 0].tolist() == pytest.approx([0.5, 1.0, 0.0])


def test_clip_keeps_what_is_inside_the_picture_and_leaves_its_input_alone() -> None:
    boxes = np.array([[-5, -5, 700, 20]], np.float32)
    assert geometry.clip_boxes(boxes, 640, 360).tolist() == [[0, 0, 640, 20]]
    assert boxes[0, 0] == -5


@pytest.mark.parametrize(
    ("p", "q", "cross"),
    [
        pytest.param(((0, 0), (10, 10)), ((0, 10), (10, 0)), True, id="an X"),
        pytest.param(((0, 0), (4, 4)), ((0, 10), (10, 0)), False, id="stops short"),
        pytest.param(((0, 0), (5, 5)), ((0, 10), (10, 0)), True, id="ends on it"),
        pytest.param(((0, 0), (0, 10)), ((5, 0), (5, 10)), False, id="parallel"),
        pytest.param(((0, 0), (6, 0)), ((4, 0), (9, 0)), True, id="overlap on one line"),
        pytest.param(((0, 0), (3, 0)), ((4, 0), (9, 0)), False, id="apart on one line"),
        pytest.param(((5, 5), (5, 5)), ((0, 10), (10, 0)), True, id="a standing point on it"),
        pytest.param(((5, 6), (5, 6)), ((0, 10), (10, 0)), False, id="a standing point beside it"),
    ],
)
def test_segments(
    p: tuple[geometry.Point, geometry.Point], q: tuple[geometry.Point, geometry.Point], cross: bool
) -> None:
    assert geometry.segments_cross(*p, *q) is cross
    assert geometry.segments_cross(*q, *p) is cross
    assert geometry.segments_cross(p[1], p[0], *q) is cross


def test_sides_of_a_line_drawn_downwards() -> None:
    start, end = (5.0, 0.0), (5.0, 10.0)
    assert geometry.side_of_line((8, 5), start, end) < 0 < geometry.side_of_line((2, 5), start, end)
    assert geometry.side_of_line((5, 99), start, end) == 0


def test_points_in_a_polygon_with_a_notch() -> None:
    points = [(2, 2), (8, 2), (2, 8), (8, 8), (-1, 2), (5, 20)]
    assert geometry.point_in_polygon(points, L_SHAPE).tolist() == [True, True, True, False, False, False]


def test_zones_laid_edge_to_edge_never_both_claim_a_point() -> None:
    left, right = [(0, 0), (5, 0), (5, 10), (0, 10)], [(5, 0), (10, 0), (10, 10), (5, 10)]
    on_the_seam = [(5, y) for y in range(1, 10)]
    claims = geometry.point_in_polygon(on_the_seam, left).astype(int) + geometry.point_in_polygon(on_the_seam, right)
    assert claims.tolist() == [1] * 9


def test_no_points_and_too_few_corners() -> None:
    assert geometry.point_in_polygon(np.zeros((0, 2)), L_SHAPE).shape == (0,)
    with pytest.raises(ValueError, match="at least 3 corners, got 2"):
        geometry.point_in_polygon([(0, 0)], [(0, 0), (1, 1)])


finite = st.floats(0, 1000, width=32)
boxes = st.lists(st.tuples(finite, finite, finite, finite), max_size=6)


@given(boxes, boxes)
def test_iou_is_symmetric_and_between_zero_and_one(a: list[tuple[float, ...]], b: list[tuple[float, ...]]) -> None:
    iou = geometry.box_iou(a, b)
    assert np.allclose(iou, geometry.box_iou(b, a).T, atol=1e-6)
    assert bool(((iou >= 0) & (iou <= 1.0001)).all())
