"""A YOLO in ONNX Runtime as a user writes it: letterbox, run, non-maximum suppression. NumPy and OpenCV only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import onnxruntime

from bench.peers.adapter import IMAGE_SIZE, IOU, MIN_SCORE

GREY = (114, 114, 114)


class YoloOnnx:
    """One session; any number of pictures at once."""

    def __init__(self, path: str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        for name, size in zip(("height", "width"), IMAGE_SIZE, strict=True):
            options.add_free_dimension_override_by_name(name, size)
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def detect(self, pictures: Sequence[Any]) -> list[Any]:
        """(n, 6) for each BGR picture: x1, y1, x2, y2 in its pixels, score, class."""
        fitted = [_letterbox(picture) for picture in pictures]
        blob = cv2.dnn.blobFromImages([image for image, *_ in fitted], 1 / 255, swapRB=True)
        answers = self._session.run(None, {self._input: blob})[0]
        return [_boxes(one, *place) for one, (_, *place) in zip(answers, fitted, strict=True)]


def _letterbox(picture: Any) -> tuple[Any, float, int, int]:
    height, width = IMAGE_SIZE
    scale = min(height / picture.shape[0], width / picture.shape[1])
    if scale != 1:
        picture = cv2.resize(picture, (round(picture.shape[1] * scale), round(picture.shape[0] * scale)))
    rows, columns = height - picture.shape[0], width - picture.shape[1]
    top, left = rows // 2, columns // 2
    edges = (top, rows - top, left, columns - left)
    return cv2.copyMakeBorder(picture, *edges, cv2.BORDER_CONSTANT, value=GREY), scale, left, top


def _boxes(answer: Any, scale: float, left: int, top: int) -> Any:
    scores = answer[4:].max(0)
    kept = np.flatnonzero(scores >= MIN_SCORE)
    if not len(kept):
        return np.zeros((0, 6), np.float32)
    classes, scores, (x, y, w, h) = answer[4:, kept].argmax(0), scores[kept], answer[:4, kept]
    boxes = np.stack([x - w / 2, y - h / 2, w, h], 1)
    chosen = cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores.tolist(), classes.tolist(), MIN_SCORE, IOU)
    corners = np.stack([x - w / 2 - left, y - h / 2 - top, x + w / 2 - left, y + h / 2 - top], 1) / scale
    return np.column_stack([corners, scores, classes])[np.asarray(chosen, int)].astype(np.float32)
