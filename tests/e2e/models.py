"""What the model tests share: where the real weights are, seeded small ones, and ultralytics' own two pictures."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from ultralytics.utils import ASSETS

from stages.detect.detector import Detector
from stages.preprocess.letterbox import Preprocessor
from stages.values import CameraId, Clock, Detections, Frame, Picture, PixelFormat, Position

WEIGHTS = Path(__file__).parents[3] / "shared" / "data" / "weights"
needs_weights = pytest.mark.skipif(not WEIGHTS.is_dir(), reason="../shared is absent")


def asset_frames(*names: str) -> list[Frame]:
    """Frames of ultralytics' own pictures: bus.jpg, zidane.jpg."""
    return [_frame(name, number) for number, name in enumerate(names)]


def detect(detector: Detector, size_hw: tuple[int, int], *names: str) -> list[Detections]:
    """What the detector finds in these pictures, asked for in one batch."""
    answers = detector.detect(Preprocessor(size_hw).prepare(asset_frames(*names))).detections
    assert [answer for answer in answers if not isinstance(answer, Detections)] == []
    return [answer for answer in answers if isinstance(answer, Detections)]


def assert_same(found: Detections, expected: Detections, box_px: float, score: float) -> None:
    """Equal things in equal order of class and score, to a tolerance."""
    assert len(found) == len(expected)
    for one in range(len(expected)):  # equal scores may change places: look for the nearest of the class
        gap = np.abs(found.xyxy - expected.xyxy[one]).max(axis=1)
        gap[found.class_id != expected.class_id[one]] = np.inf
        nearest = int(gap.argmin())
        assert gap[nearest] <= box_px
        assert abs(float(found.score[nearest] - expected.score[one])) <= score


def seeded_weights(folder: Path, config: str = "yolo11n.yaml", classes: int = 3) -> Path:
    """A small model of random but repeatable weights, as ultralytics saves one."""
    from ultralytics.models import YOLO
    from ultralytics.nn.tasks import DetectionModel
    from ultralytics.utils.torch_utils import init_seeds

    init_seeds(7)
    model = YOLO(config)
    model.model = DetectionModel(config, nc=classes, verbose=False)
    model.model.names = {0: "bottle", 1: "cap", 2: "label"}
    path = folder / f"{Path(config).stem}-{classes}.pt"
    model.save(path)
    return path


def sha256(path: Path) -> str:
    """The file's digest."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _frame(name: str, number: int) -> Frame:
    bgr = cv2.imread(str(ASSETS / name))
    assert bgr is not None
    rgb = np.ascontiguousarray(bgr[..., ::-1])
    picture = Picture(rgb, PixelFormat.RGB24, rgb.shape[1], rgb.shape[0])
    return Frame(CameraId(name), number, 0.0, Clock.MEDIA, Position("file:assets", 0, number), picture)
