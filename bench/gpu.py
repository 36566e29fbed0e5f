"""Where a GPU's time goes, one stage more at a time, no Ray: `python -m bench.gpu --json FILE`.

For each batch size: the model alone on pixels that lie on the device (`engine`); with upload and answers (`infer`);
with boxes decoded (`detector`); and with decoded pictures letterboxed before (`end_to_end`), as a fused replica works;
each by one thread and by two, as a replica has. Then end to end by several processes that share the GPU. Without a GPU
the same way runs on the CPU: a trial of the program, no figure of anything.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
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
REPLICAS_TIMEOUT_S = 300.0
_ready: Barrier  # of a replica's process
Rates = dict[str, dict[int, float]]  # frames a second by stage, then by batch size


@dataclass(frozen=True)
class Load:
    """What is measured with."""

    weights: str
    image_size: tuple[int, int] = (384, 640)  # (h, w) the model sees
    picture: tuple[int, int] = (1280, 720)  # (w, h) as decoded
    max_batch: int = 64


class GpuStages:
    """One model and pictures for it; each method does one stage more than the one before, for a whole batch."""

    def __init__(self, load: Load) -> None:
        path, image_size, max_batch = load.weights, load.image_size, load.max_batch
        settings = ModelSettings(weights=path, image_size=image_size, runtime=Runtime.TORCH, max_batch=max_batch)
        loaded = UltralyticsBackend(Path(path), "", usable_cpus(), torch.cuda.is_available(), trusted=True)
        self.backend = TorchBackend(loaded, image_size, max_batch)
        self._min_score = settings.min_score
        self._detector = Detector(self.backend, settings, "bench")
        self._preprocessor = Preprocessor(image_size)
        self._frames = [_frame(number, load.picture) for number in range(max_batch)]
        self._prepared = self._preprocessor.prepare(self._frames)

    def engine(self, size: int) -> None:
        """The model alone."""
        self.backend.run_resident(size)

    def infer(self, size: int) -> None:
        """With upload and answers."""
        self.backend.infer(self._prepared.tensor[:size], self._min_score)

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


def replicas_rate(load: Load, replicas: int, seconds: float) -> float:
    """Frames a second from decoded pictures to boxes, in the largest batches, by this many processes at once."""
    spawning = get_context("spawn")
    with ProcessPoolExecutor(replicas, spawning, _replica_begins, (spawning.Barrier(replicas),)) as pool:
        rates = pool.map(_replica_rate, [load] * replicas, [seconds] * replicas, timeout=REPLICAS_TIMEOUT_S)
        return round(sum(rates), 1)


def _replica_begins(ready: Barrier) -> None:
    global _ready
    _ready = ready


def _replica_rate(load: Load, seconds: float) -> float:
    stages = GpuStages(load)
    stages.end_to_end(load.max_batch)
    _ready.wait(REPLICAS_TIMEOUT_S)  # all are loaded: from here on they share the GPU
    return rate(stages.end_to_end, load.max_batch, LANES, seconds)


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
    load = Load(path, _pair(options.image_size), _pair(options.picture), options.max_batch)
    replicas = {count: replicas_rate(load, count, options.seconds) for count in map(int, options.replicas.split(","))}
    tell(_report(GpuStages(load), replicas, options), options.json)


def _report(stages: GpuStages, replicas: dict[int, float], options: argparse.Namespace) -> dict[str, Any]:
    here = machine()
    fps = stages.rates(batch_sizes(options.max_batch), options.seconds)
    best = {name: max(by_size.values()) for name, by_size in fps.items()}
    engine = max(best["engine_1"], best[f"engine_{LANES}"])
    alone = fps["infer_1"]
    return {
        "bench": "gpu",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "runtime": stages.backend.runtime,
        "fps": fps,
        "end_to_end_by_replicas": replicas,
        "end_to_end_over_engine": round(max(replicas.values()) / engine, 3),
        "infer_over_batch_1": {size: round(by_size / alone[1], 2) for size, by_size in alone.items()},
        "picture": options.picture,
        "image_size": options.image_size,
        "weights": options.weights or weights_name(weights()),
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
    parser.add_argument(
        "--replicas", default="1,2,4", help="processes that share the GPU; each has its own memory there"
    )
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
