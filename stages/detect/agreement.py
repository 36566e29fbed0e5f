"""How far two detectors see the same: what one finds of the other's boxes, and what it finds beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stages.geometry import box_iou
from stages.values import Detections, Float32

MATCH_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """One detector held against another on the same pictures, at each one's own lowest score."""

    pictures: int
    boxes: int  # of the other
    found: int  # of these: same class, overlap of at least MATCH_IOU
    extra: int  # boxes the other does not have
    iou: float  # mean overlap of those found
    score_change: float  # mean, of those found: below 0, it is less sure than the other

    @property
    def found_share(self) -> float:
        """Of the other's boxes; 1 where it has none."""
        return self.found / self.boxes if self.boxes else 1.0

    @property
    def extra_share(self) -> float:
        """Boxes beside the other's, for each of its own."""
        return self.extra / max(self.boxes, 1)


def agreement(pairs: Iterable[tuple[Detections, Detections]]) -> Agreement:
    """Of (the other's, its own) detections, one pair a picture. Each box is matched once, the best overlap first."""
    pictures = boxes = extra = 0
    overlaps: list[float] = []
    changes: list[float] = []
    for other, own in pairs:
        same_class = other.class_id[:, None] == own.class_id[None, :]
        overlap = np.where(same_class, box_iou(other.xyxy, own.xyxy), 0).astype(np.float32)
        matched = _matched(overlap)
        overlaps += [float(overlap[pair]) for pair in matched]
        changes += [float(own.score[mine] - other.score[its]) for its, mine in matched]
        pictures, boxes, extra = pictures + 1, boxes + len(other), extra + len(own) - len(matched)
    mean_iou, change = (float(np.mean(values)) if values else 0.0 for values in (overlaps, changes))
    return Agreement(pictures, boxes, len(overlaps), extra, mean_iou, change)


def _matched(overlap: Float32) -> list[tuple[int, int]]:
    """Pairs (row, column) of at least MATCH_IOU, the largest first, no row or column twice."""
    rows, columns = np.nonzero(overlap >= MATCH_IOU)
    order = np.argsort(-overlap[rows, columns], kind="stable")
    pairs: list[tuple[int, int]] = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if all(row != one and column != other for one, other in pairs):
            pairs.append((row, column))
    return pairs
