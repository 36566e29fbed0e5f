"""Objects drawn into a picture, as films and annotated answers show them."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.sinks.snapshots import to_bgr
from stages.values import Picture, Tracks, UInt8

_COLOURS = ((80, 200, 80), (230, 160, 60), (80, 160, 255), (200, 90, 220), (60, 220, 220), (110, 110, 240))  # B G R


def canvas_of(picture: Picture) -> UInt8:
    """(H, W, 3) uint8 B G R, grey pictures too."""
    image = to_bgr(picture)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8) if image.ndim == 2 else image


def draw_objects(canvas: UInt8, tracks: Tracks, names: tuple[str, ...]) -> None:
    """Every object's box, label, score and id, into the picture itself (H, W, 3 uint8 B G R)."""
    for (x1, y1, x2, y2), score, class_id, track_id in zip(
        tracks.xyxy.round().astype(int).tolist(),
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
