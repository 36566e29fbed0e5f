"""What came of a frame, drawn on its picture (H, W, 3 uint8, B G R)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from stages.values import Float32, FrameResult, Inspection, Tracks, UInt8, Verdict

Colour = tuple[int, int, int]  # B G R

_COLOURS: tuple[Colour, ...] = (
    (80, 200, 80),
    (230, 160, 60),
    (80, 160, 255),
    (200, 90, 220),
    (60, 220, 220),
    (110, 110, 240),
)
_VERDICTS: dict[Verdict, Colour] = {
    Verdict.PASS: (90, 230, 90),
    Verdict.REJECT: (80, 80, 255),
    Verdict.INDETERMINATE: (60, 200, 255),
}


_AS_IT_IS = np.ones(4, np.float32)


def canvas_of(image: UInt8) -> UInt8:
    """A copy to draw on (H, W, 3), of an image that is B G R or (H, W) grey."""
    return cast(UInt8, cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)) if image.ndim == 2 else image.copy()


def draw_objects(canvas: UInt8, tracks: Tracks, names: Sequence[str], scale: Float32 = _AS_IT_IS) -> None:
    """Every object's box, label, score and id, into the picture itself; boxes times `scale` (x, y, x, y)."""
    for (x1, y1, x2, y2), score, class_id, track_id in zip(
        (tracks.xyxy * scale).round().astype(int).tolist(),
        tracks.score.tolist(),
        tracks.class_id.tolist(),
        tracks.track_id.tolist(),
        strict=True,
    ):
        colour = _COLOURS[class_id % len(_COLOURS)]
        label = names[class_id] if class_id < len(names) else str(class_id)
        text = f"{label} {score:.2f}" + (f" #{track_id}" if track_id >= 0 else "")
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, 2)
        cv2.putText(canvas, text, (x1, max(10, y1 - 4)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)


def draw(image: UInt8, result: FrameResult, judged: Sequence[Inspection] | None = None) -> UInt8:
    """A copy of the picture with every object's box, label, score and id, and the verdict of each part in `judged`.

    `judged`: None for those of this very frame. The picture may be of another size than the frame: boxes are scaled.
    """
    canvas = canvas_of(image)
    scale = _scale(canvas, result)
    draw_objects(canvas, result.tracks, result.model.class_names, scale)
    for inspection in result.inspections if judged is None else judged:
        _draw_verdict(canvas, inspection, _where(inspection, result) * scale)
    return canvas


def _draw_verdict(canvas: UInt8, inspection: Inspection, xyxy: np.ndarray) -> None:
    x1, y1 = (int(v) for v in xyxy[:2])
    text = " ".join((inspection.verdict.upper(), *inspection.reasons))
    at, font = (max(0, x1), max(22, y1 - 18)), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(canvas, text, at, font, 0.5, (0, 0, 0), 4, cv2.LINE_AA)  # readable on white parts too
    cv2.putText(canvas, text, at, font, 0.5, _VERDICTS[inspection.verdict], 1, cv2.LINE_AA)


def _where(inspection: Inspection, result: FrameResult) -> np.ndarray:
    """The part's box in this frame, x1 y1 x2 y2 in source pixels; at the trigger where it is not seen any more."""
    seen = np.flatnonzero(result.tracks.track_id == inspection.track_id)
    return result.tracks.xyxy[seen[0]] if len(seen) else np.array(inspection.xyxy, np.float32)


def _scale(canvas: UInt8, result: FrameResult) -> Float32:
    """What source pixels are multiplied by, for x1 y1 x2 y2."""
    height, width = canvas.shape[:2]
    return np.array([width / result.size_wh[0], height / result.size_wh[1]] * 2, np.float32)
