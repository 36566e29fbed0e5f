"""Boxes, segments and polygons in the plane of a picture: pure functions over numpy arrays.

Boxes are x1 y1 x2 y2 in pixels, x to the right and y down; a box whose x2 <= x1 or y2 <= y1 has no area.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Point = tuple[float, float]
Roi = tuple[float, float, float, float]  # region of interest: x1 y1 x2 y2, fractions of the picture


def box_area(boxes: npt.ArrayLike) -> Array:
    """Area of each box. `boxes` (N, 4) -> (N,) float32, square pixels, never negative."""
    b = _boxes(boxes)
    area: Array = np.maximum(b[:, 2] - b[:, 0], 0) * np.maximum(b[:, 3] - b[:, 1], 0)
    return area


def box_center(boxes: npt.ArrayLike) -> Array:
    """Middle of each box. `boxes` (N, 4) -> (N, 2) float32, x y."""
    b = _boxes(boxes)
    center: Array = (b[:, :2] + b[:, 2:]) / np.float32(2)
    return center


def clip_boxes(boxes: npt.ArrayLike, width: float, height: float) -> Array:
    """The part of each box inside a picture of this size. `boxes` (N, 4) -> new (N, 4) float32."""
    limits = np.array([width, height, width, height], np.float32)
    return np.clip(_boxes(boxes), np.float32(0), limits)


def box_intersection(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Area shared by each pair. `a` (N, 4), `b` (M, 4) -> (N, M) float32, square pixels."""
    first, second = _boxes(a)[:, None, :], _boxes(b)[None, :, :]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared: Array = np.prod(np.maximum(sides, 0), axis=-1)
    return shared


def box_iou(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Intersection over union of each pair. `a` (N, 4), `b` (M, 4) -> (N, M) float32, 0..1; two empty boxes share 0."""
    shared = box_intersection(a, b)
    union = box_area(a)[:, None] + box_area(b)[None, :] - shared
    return _share(shared, union)


def containment(inner: npt.ArrayLike, outer: npt.ArrayLike) -> Array:
    """Share of each inner box's area that lies in each outer box. `inner` (N, 4), `outer` (M, 4) -> (N, M) in 0..1.

    An inner box without area lies in nothing.
    """
    shared = box_intersection(inner, outer)
    return _share(shared, np.broadcast_to(box_area(inner)[:, None], shared.shape))


def side_of_line(point: Point, start: Point, end: Point) -> float:
    """Which side of the directed line start -> end a point is on: > 0 right, < 0 left, 0 on it (y points down).

    The value is twice the area of the triangle, so it also tells how far: divide by the line's length for pixels.
    """
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def segments_cross(p0: Point, p1: Point, q0: Point, q1: Point) -> bool:
    """True when segment p0-p1 and segment q0-q1 have a point in common, touching ends and overlap included."""
    p0_side, p1_side = side_of_line(p0, q0, q1), side_of_line(p1, q0, q1)
    q0_side, q1_side = side_of_line(q0, p0, p1), side_of_line(q1, p0, p1)
    if _opposite(p0_side, p1_side) and _opposite(q0_side, q1_side):
        return True
    return (
        (p0_side == 0 and _within(p0, q0, q1))
        or (p1_side == 0 and _within(p1, q0, q1))
        or (q0_side == 0 and _within(q0, p0, p1))
        or (q1_side == 0 and _within(q1, p0, p1))
    )


def point_in_polygon(points: npt.ArrayLike, polygon: npt.ArrayLike) -> Bools:
    """Which points lie inside a simple polygon, convex or not. `points` (N, 2), `polygon` (K >= 3, 2) -> (N,) bool.

    A point on the outline belongs to the polygon whose inside is to its right or below, so that zones laid edge to
    edge never both claim it. Raises ValueError for fewer than three corners.
    """
    p = np.asarray(points, np.float64).reshape(-1, 2)
    corners = np.asarray(polygon, np.float64).reshape(-1, 2)
    if len(corners) < 3:
        raise ValueError(f"a polygon needs at least 3 corners, got {len(corners)}")
    following = np.roll(corners, -1, axis=0)
    downward = (corners[:, 1] <= following[:, 1])[:, None]  # one direction for each edge: neighbours round it alike
    (x1, y1), (x2, y2) = np.where(downward, corners, following).T, np.where(downward, following, corners).T
    x, y = p[:, :1], p[:, 1:]
    spans = (y1 > y) != (y2 > y)  # (N, K): this edge crosses the point's horizontal
    rise = np.where(y2 == y1, 1.0, y2 - y1)
    crossing_x = x1 + (y - y1) * (x2 - x1) / rise
    inside: Bools = np.count_nonzero(spans & (x < crossing_x), axis=1) % 2 == 1
    return inside


def _boxes(boxes: npt.ArrayLike) -> Array:
    return np.asarray(boxes, np.float32).reshape(-1, 4)


def _share(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _opposite(a: float, b: float) -> bool:
    return (a > 0) != (b > 0) and a != 0 and b != 0


def _within(point: Point, start: Point, end: Point) -> bool:
    return min(start[0], end[0]) <= point[0] <= max(start[0], end[0]) and (
        min(start[1], end[1]) <= point[1] <= max(start[1], end[1])
    )
