"""The costs of this machine, measured now; takes some 20 s, an export of the model not counted."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from pipeline.capacity.av_decoding import decode_cost, sample_picture
from pipeline.capacity.cost import Cost, Known
from pipeline.capacity.demand import Cameras, Demand, Model
from pipeline.capacity.measured import Measured
from pipeline.capacity.models import table_name
from stages.detect.backend import Backend, load_backend
from stages.detect.machine import usable_cpus
from stages.detect.settings import ModelSettings, Runtime
from stages.preprocess.letterbox import Preprocessor
from stages.values import CameraId, Clock, Frame, Position

logger = logging.getLogger(__name__)

_BATCH = 4
_ROUNDS = 5
_ROUND_S = 0.6


def measure(demand: Demand) -> Measured:
    """Decode, copy, letterbox and model on this machine, in CPU time. Raises ModelError where the model does not load.

    Other work on the machine makes figures larger, for cores share caches and memory.
    """
    cameras, model = demand.cameras, demand.model
    here = f"this machine, {usable_cpus()} cores, {time.strftime('%Y-%m-%d')}"
    decoding = decode_cost(cameras.codec, cameras.width & ~1, cameras.height & ~1)
    settings = _settings(model)
    backend = load_backend(settings)
    cpu_ms, wall_ms = _model_ms(backend, settings)
    on_gpu = "cuda" in backend.runtime
    source = f"{model.name} in {backend.runtime}, {here}"
    return Measured(
        decode_ms=_here(decoding.decode_ms, f"{cameras.codec}, {here}"),
        picture_ms=_here(decoding.picture_ms, here),
        prepare_ms=_here(_prepare_ms(cameras, model.image_size), here),
        runtime=_runtime_of(backend),
        cpu_ms=_here(cpu_ms, source),
        gpu_ms=_here(wall_ms, f"batches of {_BATCH}, {source}") if on_gpu else None,
    )


def _settings(model: Model) -> ModelSettings:
    """Raises ModelError, once they are loaded, for weights that are not there."""
    weights = model.name
    if not Path(weights).expanduser().exists() and (name := table_name(weights)) is not None:
        weights = str(_random_weights(name))
    return ModelSettings(weights=weights, image_size=model.image_size, runtime=model.runtime)


def _random_weights(name: str) -> Path:
    """Weights that were never trained, made once: they take the same time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    path = cache / "rayline" / f"{name}-random.pt"
    if not path.exists():
        from ultralytics.models import YOLO

        path.parent.mkdir(parents=True, exist_ok=True)
        logger.info("making a %s with random weights, for its time alone", name)
        YOLO(f"{name}.yaml").save(str(path))
    return path


def _model_ms(backend: Backend, settings: ModelSettings) -> tuple[float, float]:
    """Core-milliseconds and milliseconds of the clock an image, the middle of a few rounds."""
    tensor = np.random.default_rng(0).integers(0, 256, (_BATCH, 3, *settings.image_size), dtype=np.uint8)
    backend.infer(tensor, settings.min_score)
    rounds = [_timed(lambda: backend.infer(tensor, settings.min_score), _BATCH) for _ in range(_ROUNDS)]
    return median(cpu for cpu, _ in rounds), median(wall for _, wall in rounds)


def _prepare_ms(cameras: Cameras, image_size: tuple[int, int]) -> float:
    pictures = [sample_picture(cameras.width & ~1, cameras.height & ~1, number) for number in range(_BATCH)]
    frames = [
        Frame(CameraId("cam"), n, 0.0, Clock.ARRIVAL, Position("live", 1, n), picture)
        for n, picture in enumerate(pictures)
    ]
    preprocessor = Preprocessor(image_size)
    preprocessor.prepare(frames)
    return _timed(lambda: preprocessor.prepare(frames), _BATCH)[0]


def _timed(call: Callable[[], object], images: int) -> tuple[float, float]:
    """CPU and clock milliseconds an image, of calls for a while."""
    cpu, wall, done = time.process_time(), time.perf_counter(), 0
    while time.perf_counter() - wall < _ROUND_S or not done:
        call()
        done += images
    return (time.process_time() - cpu) * 1e3 / done, (time.perf_counter() - wall) * 1e3 / done


def _runtime_of(backend: Backend) -> Runtime:
    first = backend.runtime.split()[0].lower()
    return next((known for known in Runtime if first.startswith(known.value)), Runtime.TORCH)


def _here(value: float, source: str) -> Cost:
    return Cost(value, Known.MEASURED, source)
