"""Where a GPU's time goes, one stage more at a time, no Ray: `python -m bench.gpu --json FILE`.

For each batch size: the model alone on pixels that lie on the device (`engine`); with upload and answers, from one
thread and from two, as a replica has (`infer`); with boxes decoded (`detector`); and with decoded pictures letterboxed
before (`end_to_end`), as a fused replica works. Without a GPU the same way runs on the CPU: a trial of the program, no
figure of anything.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, cast

import cv2
import torch

from bench.machine import machine, weights, weights_name
from bench.results import tell
from stages.detect.detector import Detector
from stages.detect.machine import usable_cpus
from stages.detect.settings import ModelSettings, Runtime
from stages.detect.torch_backend import LANES, TorchBackend
from stages.detect.torch_lane import batch_sizes
from stages.detect.ultralytics_backend import UltralyticsBackend
from stages.preprocess.letterbox import Preprocessor
from stages.values import CameraId, Clock, Frame, Picture, PixelFormat, Position, Prepared, UInt8

ROUNDS = 5
Rates = dict[str, dict[int, float]]  # frames a second by stage, then by batch size


class GpuStages:
    """One model and pictures for it; each method does one stage more than the one before, for a whole batch."""

    def __init__(self, path: str, image_size: tuple[int, int], picture: tuple[int, int], max_batch: int) -> None:
        """`image_size`: (h, w) the model sees; `picture`: (w, h) as decoded."""
        settings = ModelSettings(weights=path, image_size=image_size, runtime=Runtime.TORCH, max_batch=max_batch)
        half, low = torch.cuda.is_available(), settings.min_score
        loaded = UltralyticsBackend(Path(path), "", usable_cpus(), half, trusted=True, min_score=low)
        self.backend = TorchBackend(loaded, image_size, max_batch, low)
        self._detector = Detector(self.backend, settings, "bench")
        self._preprocessor = Preprocessor(image_size)
        self._frames = [_frame(number, picture) for number in range(max_batch)]
        self._prepared = self._preprocessor.prepare(self._frames)

    def engine(self, size: int) -> None:
        """The model alone."""
        self.backend.run_resident(size)

    def infer(self, size: int) -> None:
        """With upload and answers."""
        self.backend.infer(self._prepared.tensor[:size])

    def detector(self, size: int) -> None:
        """With boxes decoded, letterboxed before."""
        self._detector.detect(self._part(size))

    def end_to_end(self, size: int) -> None:
        """From decoded pictures to boxes."""
        self._detector.detect(self._preprocessor.prepare(self._frames[:size]))

    def rates(self, sizes: tuple[int, ...], seconds: float) -> Rates:
        """Every stage at every size: by one thread and by as many as a replica has."""
        stages = {"engine": self.engine, "infer": self.infer, "detector": self.detector, "end_to_end": self.end_to_end}
        return {
            f"{name}_{threads}": {size: rate(work, size, threads, seconds) for size in sizes}
            for name, work in stages.items()
            for threads in (1, LANES)
        }

    def _part(self, size: int) -> Prepared:
        whole = self._prepared
        return replace(
            whole,
            tensor=whole.tensor[:size],
            to_source=whole.to_source[:size],
            source_wh=whole.source_wh[:size],
            index=whole.index[:size],
            stats=whole.stats[:size],
        )


def rate(work: Callable[[int], None], size: int, threads: int, seconds: float) -> float:
    """Frames a second by this many threads that each do `work(size)` over and over; median of rounds."""
    work(size)
    return round(median(_round(work, size, threads, seconds / ROUNDS) for _ in range(ROUNDS)), 1)


def _round(work: Callable[[int], None], size: int, threads: int, seconds: float) -> float:
    started = time.perf_counter()

    def repeat(_: int) -> int:
        done = 0
        while time.perf_counter() - started < seconds:
            work(size)
            done += size
        return done

    with ThreadPoolExecutor(threads) as pool:
        done = sum(pool.map(repeat, range(threads)))
    return done / (time.perf_counter() - started)


def _frame(number: int, picture: tuple[int, int]) -> Frame:
    """A street with a bus and people, as a decoder gives it; each its own memory, as the next frame's is."""
    width, height = picture
    from ultralytics.utils import ASSETS  # after stages.detect has set its environment

    street = cv2.imread(str(ASSETS / "bus.jpg"))
    if street is None:
        raise SystemExit(f"{ASSETS}: ultralytics' pictures are missing; install it anew")
    pixels = cast(UInt8, cv2.cvtColor(cv2.resize(street, picture), cv2.COLOR_BGR2YUV_I420))
    image = Picture(pixels, PixelFormat.YUV420P, width, height)
    return Frame(CameraId("bench"), number, 0.0, Clock.MEDIA, Position("file:bench", 0, number), image)


def main() -> None:
    """Measure and tell."""
    options = _options()
    path = options.weights or weights()
    height, width = _pair(options.image_size)
    stages = GpuStages(path, (height, width), _pair(options.picture), options.max_batch)
    tell(_report(stages, options, path), options.json)


def _report(stages: GpuStages, options: argparse.Namespace, path: str) -> dict[str, Any]:
    here = machine()
    fps = stages.rates(batch_sizes(options.max_batch), options.seconds)
    best = {name: max(by_size.values()) for name, by_size in fps.items()}
    engine, through = (max(best[f"{name}_1"], best[f"{name}_{LANES}"]) for name in ("engine", "end_to_end"))
    alone = fps["infer_1"]
    return {
        "bench": "gpu",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "runtime": stages.backend.runtime,
        "fps": fps,
        "end_to_end_over_engine": round(through / engine, 3),
        "infer_over_batch_1": {size: round(by_size / alone[1], 2) for size, by_size in alone.items()},
        "picture": options.picture,
        "image_size": options.image_size,
        "weights": weights_name(path) if options.weights is None else options.weights,
        "machine": here,
    }


def _pair(text: str) -> tuple[int, int]:
    first, second = map(int, text.split("x"))
    return first, second


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="default: COCO yolo11n")
    parser.add_argument("--image-size", default="384x640", help="height and width the model sees")
    parser.add_argument("--picture", default="1280x720", help="width and height of the decoded pictures")
    parser.add_argument("--max-batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.0, help="per stage, batch size and number of threads")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
