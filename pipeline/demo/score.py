"""Counts what a detector found against what was there: average precision, recall and precision, class by class."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.demo.line import TruthBox
from pipeline.demo.render import CLASS_NAMES
from pipeline.demo.watcher import Seen

MATCH_IOU = 0.5
COUNTED_SHARE = 0.4  # boxes with less of them in the picture count neither as missed nor as false


@dataclass
class Score:
    """Fed picture by picture; the figures at the end."""

    _hits: dict[str, list[tuple[float, bool]]] = field(default_factory=lambda: {name: [] for name in CLASS_NAMES})
    _there: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLASS_NAMES, 0))
    pictures: int = 0

    def add(self, seen: Seen, truth: Sequence[TruthBox]) -> None:
        """Match one picture's boxes, the best scored first, each to the unmatched truth it overlaps most."""
        self.pictures += 1
        for kind, name in enumerate(CLASS_NAMES):
            boxes = [box for box in truth if box.label == name]
            self._there[name] += sum(box.visible >= COUNTED_SHARE for box in boxes)
            free = np.ones(len(boxes), bool)
            mine = seen.kind == kind
            for xyxy, score in zip(seen.xyxy[mine], seen.score[mine], strict=True):
                overlaps = np.array([iou(xyxy, box.xyxy) for box in boxes]) * free
                best = int(overlaps.argmax()) if len(boxes) else -1
                if best < 0 or overlaps[best] < MATCH_IOU:
                    if not self._cut_off(xyxy, boxes):
                        self._hits[name].append((float(score), False))
                    continue
                free[best] = False
                if boxes[best].visible >= COUNTED_SHARE:
                    self._hits[name].append((float(score), True))

    def figures(self, threshold: float) -> dict[str, dict[str, float]]:
        """Per class: ap50, and recall, precision and the number of truths at the threshold."""
        return {name: self._figures(name, threshold) for name in CLASS_NAMES}

    def _cut_off(self, xyxy: NDArray[np.float32], boxes: Sequence[TruthBox]) -> bool:
        return any(box.visible < COUNTED_SHARE and iou(xyxy, box.xyxy) > 0.1 for box in boxes)

    def _figures(self, name: str, threshold: float) -> dict[str, float]:
        hits = sorted(self._hits[name], reverse=True)
        there = self._there[name]
        right = sum(hit for score, hit in hits if score >= threshold)
        claimed = sum(score >= threshold for score, _ in hits)
        return {
            "ap50": round(_average_precision([hit for _, hit in hits], there), 4),
            "recall": round(right / max(there, 1), 4),
            "precision": round(right / max(claimed, 1), 4),
            "truths": there,
        }


def iou(a: Sequence[float] | NDArray[np.float32], b: Sequence[float]) -> float:
    """Intersection over union of two (x1, y1, x2, y2)."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))


def _average_precision(hits: Sequence[bool], there: int) -> float:
    """Area under the precision-recall curve, precision made monotone (all points)."""
    if not hits or not there:
        return 0.0
    found = np.cumsum(hits)
    recall = np.concatenate([[0.0], found / there])
    precision = np.concatenate([[1.0], found / np.arange(1, len(hits) + 1)])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))
