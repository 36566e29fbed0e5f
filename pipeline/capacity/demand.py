"""What is asked of a site: cameras, frames and a model, and the machines there are to choose from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.capacity.costs import Codec
from stages.detect.settings import Runtime
from stages.errors import RaylineError


class DemandError(RaylineError):
    """What was asked for cannot be planned; the message says why and what would do."""


@dataclass(frozen=True, slots=True)
class Cameras:
    """Cameras that are all alike. Raises DemandError for what no camera is."""

    count: int
    fps: float  # frames a second that are looked at, of each
    camera_fps: float  # frames a second each sends; all of them are decoded
    width: int = 1920
    height: int = 1080
    codec: Codec = Codec.H264
    mbit_per_s: float | None = None  # of each; None: as the codec usually needs for this size
    objects: float = 5.0  # in a frame, on average

    def __post_init__(self) -> None:
        _at_least(self.count, 1, "--cameras")
        _positive(self.fps, "--fps")
        if not self.fps <= self.camera_fps <= 240:
            raise DemandError(
                f"--fps {self.fps:g} of cameras that send {self.camera_fps:g} frames a second: more than they send "
                "cannot be looked at, and none sends more than 240; correct --fps or --camera-fps"
            )
        if not (64 <= self.width <= 16384 and 64 <= self.height <= 16384):
            raise DemandError(f"a picture of {self.width}x{self.height}: sides from 64 to 16384 pixels can be planned")
        if self.mbit_per_s is not None:
            _positive(self.mbit_per_s, "--mbit")
        if not 0 <= self.objects <= 1000:
            raise DemandError(f"--objects {self.objects:g}: from 0 to 1000 in a frame")

    @property
    def seen_per_s(self) -> float:
        """Frames a second that are looked at, of all cameras."""
        return self.count * self.fps

    @property
    def picture_bytes(self) -> int:
        """As it travels: 4:2:0."""
        return self.width * self.height * 3 // 2


@dataclass(frozen=True, slots=True)
class Model:
    """What looks at the frames. `name` is one of the table, unless its time is given or measured."""

    name: str
    image_size: tuple[int, int] = (384, 640)  # height, width
    runtime: Runtime = Runtime.AUTO
    cpu_ms: float | None = None  # core-milliseconds an image, where the asker knows
    gpu_ms: float | None = None  # milliseconds of a GPU an image, where the asker knows

    def __post_init__(self) -> None:
        if any(side < 32 or side % 32 for side in self.image_size):
            raise DemandError(f"--image-size {self.image_size[1]}x{self.image_size[0]}: multiples of 32, from 32")
        for value, option in ((self.cpu_ms, "--cpu-ms"), (self.gpu_ms, "--gpu-ms")):
            if value is not None:
                _positive(value, option)


@dataclass(frozen=True, slots=True)
class Site:
    """The machines to choose from, and how they are to be used."""

    cores_per_node: int = 16
    gpu: str | None = None  # a card of the table, or any name where its time is given
    gpus_per_node: int = 1
    shard_size: int = 8
    max_batch: int = 8
    frames_per_batch: float | None = None  # None: as measured
    kept_entries: int = 10_000  # redis.maxlen_detections
    headroom: float = 0.3  # of every core and GPU, left free

    def __post_init__(self) -> None:
        _at_least(self.cores_per_node, 1, "--cores-per-node")
        _at_least(self.gpus_per_node, 1, "--gpus-per-node")
        _at_least(self.kept_entries, 100, "--maxlen")
        if not 1 <= self.shard_size <= 32:
            raise DemandError(f"--shard-size {self.shard_size}: graph.shard_size is from 1 to 32")
        if self.frames_per_batch is not None and not 1 <= self.frames_per_batch <= self.max_batch:
            raise DemandError(
                f"--frames-per-batch {self.frames_per_batch:g}: from 1 to graph.max_batch {self.max_batch}"
            )
        if not 0 <= self.headroom <= 0.9:
            raise DemandError(f"--headroom {self.headroom:g}: a share of each machine, from 0 to 0.9")

    @property
    def usable(self) -> float:
        """Of every core and GPU."""
        return 1 - self.headroom


@dataclass(frozen=True, slots=True)
class Demand:
    """All that a plan is made for."""

    cameras: Cameras
    model: Model
    site: Site


def _at_least(value: int, least: int, option: str) -> None:
    if value < least:
        raise DemandError(f"{option} {value}: at least {least}")


def _positive(value: float, option: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise DemandError(f"{option} {value:g}: must be above 0")
