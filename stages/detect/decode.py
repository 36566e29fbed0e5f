"""A model's raw answer for one frame becomes detections in source pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stages.detect.settings import ModelSettings
from stages.geometry import box_area, clip_boxes
from stages.values import Detections, Float32, Int32, Thresholds

MAX_CANDIDATES = 3000  # boxes that enter suppression, best first: bounds its time where a scene answers everywhere


def is_end2end(raw_shape: tuple[int, ...]) -> bool:
    """True for (n, boxes, 6) answers, rid of their doubles already; false for (n, 4 + classes, anchors)."""
    return raw_shape[-1] == 6


def decode(
    raw: Float32,
    settings: ModelSettings,
    wanted: npt.NDArray[np.bool_],
    to_source: Float32,
    source_wh: Int32,
    kept: Thresholds | None = None,
) -> Detections:
    """Detections of one frame, best first.

    `raw`: (4 + classes, anchors) cx cy w h and class scores, or (boxes, 6) x1 y1 x2 y2 score class, model pixels.
    `wanted`: (classes,) which classes to keep. `to_source` (4,), `source_wh` (2,): as in `Prepared`. `kept` in place of
    what `settings` say of it.
    """
    kept = kept or settings.thresholds
    if is_end2end(raw.shape):
        found = _suppressed_already(raw, kept.min_score, wanted)
    else:
        found = _candidates(raw, kept.min_score, wanted)
        found = found.keep(suppress(found, kept.iou, kept.max_detections, settings.agnostic))
    return _in_source(found, to_source, source_wh, kept.max_detections)


def suppress(found: Detections, iou: float, most: int, agnostic: bool) -> npt.NDArray[np.intp]:
    """Indices of at most `most` boxes that no better one of their class covers by more than `iou`; best first.

    `found` must be sorted, best first. `agnostic`: a box of any class may cover it.
    """
    boxes = found.xyxy if agnostic else found.xyxy + _class_offsets(found)
    area = box_area(boxes)
    low, high = boxes[:, :2], boxes[:, 2:]
    kept: list[int] = []
    left = np.arange(len(found))
    while len(left) and len(kept) < most:
        best, rest = left[0], left[1:]
        kept.append(int(best))
        sides = (np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest])).clip(0)
        shared = sides[:, 0] * sides[:, 1]
        left = rest[shared <= iou * (area[best] + area[rest] - shared)]  # no division: empty boxes cover nothing
    return np.array(kept, np.intp)


def _class_offsets(found: Detections) -> Float32:
    """(N, 1) pixels that move each class where it overlaps no other."""
    reach = float(found.xyxy.max(initial=0) - found.xyxy.min(initial=0)) + 1
    return (found.class_id * reach).astype(np.float32)[:, None]


def _suppressed_already(raw: Float32, min_score: float, wanted: npt.NDArray[np.bool_]) -> Detections:
    """Rows that reach the score and are of a wanted class, best first."""
    rows = raw[np.isfinite(raw).all(axis=1) & (raw[:, 4] >= min_score)]
    class_id = rows[:, 5].astype(np.int32)
    known = (class_id >= 0) & (class_id < len(wanted))
    rows, class_id = rows[known], class_id[known]
    order = np.argsort(-rows[:, 4], kind="stable")
    order = order[wanted[class_id[order]]]
    return Detections(_f32(rows[order, :4]), _f32(rows[order, 4]), class_id[order])


def _candidates(raw: Float32, min_score: float, wanted: npt.NDArray[np.bool_]) -> Detections:
    """Anchors whose best class reaches the score and is wanted, best first, as boxes in model pixels."""
    reached = np.flatnonzero(raw[4:].max(axis=0) >= min_score)  # few of thousands: the rest is not looked at again
    columns = raw[:, reached]
    columns = columns[:, np.isfinite(columns[:4]).all(axis=0)]  # half precision may overflow
    class_id = columns[4:].argmax(axis=0).astype(np.int32)
    score = columns[4:].max(axis=0)
    order = np.argsort(-score, kind="stable")
    order = order[wanted[class_id[order]]][:MAX_CANDIDATES]
    center, half_size = columns[:2, order].T, columns[2:4, order].T / 2
    return Detections(_f32(np.hstack([center - half_size, center + half_size])), _f32(score[order]), class_id[order])


def _in_source(found: Detections, to_source: Float32, source_wh: Int32, most: int) -> Detections:
    scale, offset = np.tile(to_source[:2], 2), np.tile(to_source[2:], 2)
    xyxy = clip_boxes((found.xyxy - offset) / scale, float(source_wh[0]), float(source_wh[1]))
    seen = np.flatnonzero(box_area(xyxy) > 0)[:most]  # a box in the padding alone has no area left
    return Detections(xyxy[seen], found.score[seen], found.class_id[seen])


def _f32(values: npt.NDArray[Any]) -> Float32:
    return np.ascontiguousarray(values, np.float32)
