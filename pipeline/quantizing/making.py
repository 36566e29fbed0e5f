"""An 8-bit model of one's own: made with some of the pictures, held against the 32-bit one on the others."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from pipeline.quantizing.pictures import take_pictures
from stages.detect.agreement import Agreement, agreement
from stages.detect.backend import Backend, load_backend, onnx_of
from stages.detect.detector import Detector
from stages.detect.quantize import quantize
from stages.detect.settings import ModelSettings
from stages.errors import ModelError
from stages.values import Detections, Prepared, UInt8

logger = logging.getLogger(__name__)

LEAST_PICTURES = 12
HELD_BACK = 3  # one picture in so many is not calibrated with, to be held against
BATCHES = (1, 8)
_ROUNDS = 5
_ROUND_S = 0.3


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked for."""

    settings: ModelSettings  # of the 32-bit model; its runtime OpenVINO
    addresses: tuple[str, ...]  # where pictures come from
    target: Path  # .onnx
    most_pictures: int
    live_s: float


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of the clock an image, on this machine."""

    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it."""

    sha256: str
    bytes: int
    calibrated: int  # pictures
    agreement: Agreement  # with the 32-bit model, on pictures held back
    ms: dict[int, Times]  # by how many images are given at once
    runtime: str


def make(job: Job) -> Made:
    """Write the target; it is there only whole. Raises ModelError, or SourceError where pictures do not come."""
    source = onnx_of(job.settings)
    pictures = take_pictures(job.addresses, job.settings.image_size, job.most_pictures, job.live_s)
    if len(pictures) < LEAST_PICTURES:
        raise ModelError(
            f"{job.settings.weights}: {len(pictures)} pictures are too few to make it 8 bit with; "
            f"give {LEAST_PICTURES} at least, some hundreds of all that the cameras see are better"
        )
    held_back = pictures[HELD_BACK - 1 :: HELD_BACK]
    used = [one for number, one in enumerate(pictures, 1) if number % HELD_BACK]
    logger.info("making %s 8 bit with %d pictures", job.settings.weights, len(used))
    with tempfile.TemporaryDirectory(dir=job.target.parent, prefix=f".{job.target.name}.") as folder:
        path = Path(folder) / job.target.name
        quantize(source, path, (one.tensor for one in used))
        made = _held_against(job.settings, path, held_back, len(used))
        path.replace(job.target)
    return made


def _held_against(settings: ModelSettings, path: Path, pictures: Sequence[Prepared], calibrated: int) -> Made:
    changed = settings.model_copy(update={"weights": str(path), "sha256": None})
    before, after = load_backend(settings), load_backend(changed)
    was, now = (_answers(Detector(one, settings, "model"), pictures) for one in (before, after))
    return Made(
        sha256=after.sha256,
        bytes=path.stat().st_size,
        calibrated=calibrated,
        agreement=agreement(zip(was, now, strict=True)),
        ms=_ms(before, after, settings.image_size),
        runtime=after.runtime,
    )


def _answers(detector: Detector, pictures: Sequence[Prepared]) -> list[Detections]:
    found = [answer for one in pictures for answer in detector.detect(one).detections]
    return [answer for answer in found if isinstance(answer, Detections)]


def _ms(before: Backend, after: Backend, image_size: tuple[int, int]) -> dict[int, Times]:
    """Turn by turn, so that whatever else the machine does meets both."""
    rng = np.random.default_rng(0)
    found = {}
    for count in BATCHES:
        tensor = rng.integers(0, 256, (count, 3, *image_size), dtype=np.uint8)
        rounds = [(_round_ms(before, tensor), _round_ms(after, tensor)) for _ in range(1 + _ROUNDS)][1:]
        found[count] = Times(*(round(median(times), 2) for times in zip(*rounds, strict=True)))
    return found


def _round_ms(backend: Backend, tensor: UInt8) -> float:
    """Milliseconds an image."""
    images, started = 0, time.perf_counter()
    while time.perf_counter() - started < _ROUND_S:
        backend.infer(tensor)
        images += len(tensor)
    return (time.perf_counter() - started) * 1e3 / images
