"""A backend that answers what it is told, and prepared batches to ask it with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.detect.settings import ModelSettings
from stages.errors import StageError
from stages.values import Float32, FrameFailed, PictureStats, Prepared, UInt8

NAMES = ("bottle", "cap", "label")
STATS = PictureStats(100.0, 20.0, 50.0, bytes(192))
Thing = tuple[float, float, float, float, float, int]  # x1 y1 x2 y2 score class, model pixels


class ScriptedBackend:
    """Answers each row by the number in its first pixel: `answers[number]`."""

    names = NAMES
    sha256 = "0" * 64
    runtime = "scripted"

    def __init__(self, answers: Sequence[Float32], fails: bool = False) -> None:
        self._answers = answers
        self._fails = fails
        self.batches: list[int] = []
        self.asked: list[float] = []  # the lowest score of each batch

    def infer(self, tensor: UInt8, min_score: float = 0.0) -> Float32:
        if self._fails:
            raise StageError("device gone")
        self.batches.append(len(tensor))
        self.asked.append(min_score)
        return np.stack([self._answers[row[0, 0, 0]] for row in tensor])


def dense(*things: Thing, classes: int = len(NAMES), anchors: int = 20) -> Float32:
    """A (4 + classes, anchors) answer with these things in its first anchors."""
    raw = np.zeros((4 + classes, anchors), np.float32)
    for anchor, (x1, y1, x2, y2, score, class_id) in enumerate(things):
        raw[:4, anchor] = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
        raw[4 + class_id, anchor] = score
    return raw


def end2end(*things: Thing, boxes: int = 20) -> Float32:
    """A (boxes, 6) answer with these things first."""
    raw = np.zeros((boxes, 6), np.float32)
    raw[: len(things)] = np.array(things, np.float32).reshape(-1, 6)
    return raw


def prepared(*numbers: int, failed: Sequence[int] = ()) -> Prepared:
    """A batch whose rows carry these numbers, of 1280x720 frames halved onto 640x384; `failed` frames have no row."""
    count = len(numbers) + len(failed)
    index = tuple(number for number in range(count) if number not in failed)
    tensor = np.zeros((len(numbers), 3, 384, 640), np.uint8)
    tensor[:, 0, 0, 0] = numbers
    return Prepared(
        tensor=tensor,
        to_source=np.tile(np.array([[0.5, 0.5, 0, 12]], np.float32), (len(numbers), 1)),
        source_wh=np.tile(np.array([[1280, 720]], np.int32), (len(numbers), 1)),
        index=index,
        stats=tuple(FrameFailed("odd size") if number in failed else STATS for number in range(count)),
        took_ms=1.5,
    )


def settings(**changes: object) -> ModelSettings:
    """Settings of a model that is never loaded."""
    return ModelSettings.model_validate({"weights": "scripted.pt", **changes})
