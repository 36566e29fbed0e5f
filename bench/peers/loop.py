"""A loop in one process: a thread for each camera keeps its newest frame, the loop takes what is there as one batch.

What a careful user writes without any framework. ByteTrack is ultralytics'.
"""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import onnxruntime
from ultralytics.engine.results import Boxes
from ultralytics.trackers.byte_tracker import BYTETracker
from ultralytics.utils import YAML
from ultralytics.utils.checks import check_yaml

from bench.peers.adapter import Meter, answer, parser
from bench.peers.yolo_onnx import YoloOnnx

FRAME_TIMEOUT_S = 30.0


class Newest:
    """The newest frame of each camera, and when it was grabbed."""

    def __init__(self) -> None:
        self.is_wanted = True
        self._frames: dict[int, tuple[float, Any]] = {}
        self._come = threading.Condition()

    def put(self, camera: int, picture: Any) -> None:
        """Takes the place of the camera's last one."""
        with self._come:
            self._frames[camera] = (time.monotonic(), picture)
            self._come.notify()

    def take(self) -> dict[int, tuple[float, Any]]:
        """All there are, at least one. Raises TimeoutError."""
        with self._come:
            if not self._come.wait_for(lambda: self._frames, FRAME_TIMEOUT_S):
                raise TimeoutError(f"no camera gave a frame for {FRAME_TIMEOUT_S:.0f} s")
            taken, self._frames = self._frames, {}
        return taken


def main() -> None:
    """Run until the time is over; one JSON line."""
    options = parser(__doc__).parse_args()
    model, newest, meter = YoloOnnx(options.weights, options.threads), Newest(), Meter(options.seconds)
    readers = [threading.Thread(target=_read, args=(n, url, newest)) for n, url in enumerate(options.urls)]
    for reader in readers:
        reader.start()
    try:
        _run(model, newest, meter, len(options.urls))
    finally:
        newest.is_wanted = False
    for reader in readers:
        reader.join()
    answer(meter.figures(), version="-", runtime=f"onnxruntime {onnxruntime.__version__}", tracker="ByteTrack")


def _run(model: YoloOnnx, newest: Newest, meter: Meter, cameras: int) -> None:
    settings = SimpleNamespace(**YAML.load(check_yaml("bytetrack.yaml")))
    trackers = [BYTETracker(settings) for _ in range(cameras)]
    running = True
    while running:
        taken = newest.take()
        found = model.detect([picture for _, picture in taken.values()])
        for (camera, (grabbed_at, picture)), boxes in zip(taken.items(), found, strict=True):
            trackers[camera].update(Boxes(np.asarray(boxes), picture.shape[:2]), picture)
            running = meter.saw(camera, grabbed_at) and running


def _read(camera: int, url: str, newest: Newest) -> None:
    capture = cv2.VideoCapture(url)
    while newest.is_wanted:
        there, picture = capture.read()
        if not there:
            raise RuntimeError(f"camera {camera} gave no frame")
        newest.put(camera, picture)
    capture.release()


if __name__ == "__main__":
    main()
