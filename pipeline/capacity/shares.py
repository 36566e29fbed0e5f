"""What each kind of work takes of the cores."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.capacity import costs
from pipeline.capacity.cost import Cost, Known, by_pixels
from pipeline.capacity.demand import Cameras, Demand
from pipeline.capacity.measured import Measured
from pipeline.capacity.work import ModelWork

DECODE, TAKE, PREPARE, MODEL, BOXES, TRACK, OBJECTS, BATCHES = (
    "decode",
    "pictures into batches",
    "letterbox, statistics",
    "model",
    "boxes",
    "track, publish",
    "objects",
    "batches (Ray)",
)


@dataclass(frozen=True, slots=True)
class Share:
    """One kind of work, of all cameras together."""

    name: str
    unit: str  # frame sent | frame looked at | object | batch
    per_s: float  # units a second
    cost: Cost  # CPU milliseconds a unit

    @property
    def cores(self) -> float:
        """Cores it keeps busy, without headroom."""
        return self.per_s * self.cost.value / 1e3


def shares_of(demand: Demand, work: ModelWork, measured: Measured | None) -> tuple[Share, ...]:
    """All that frames cost, in the order in which they meet it."""
    cameras = demand.cameras
    sent = cameras.count * cameras.camera_fps
    seen = cameras.seen_per_s
    batches = seen / frames_per_batch(demand).value
    decode, picture, prepare = _picture_costs(cameras, measured)
    return (
        Share(DECODE, "frame sent", sent, decode),
        Share(TAKE, "frame", seen, _taken(picture)),
        Share(PREPARE, "frame", seen, prepare),
        Share(MODEL, "frame", seen, work.cpu_ms),
        Share(BOXES, "frame", seen, costs.BOXES_MS),
        Share(TRACK, "frame", seen, costs.TRACK_MS),
        Share(OBJECTS, "object", seen * cameras.objects, costs.OBJECT_MS),
        Share(BATCHES, "batch", batches, costs.BATCH_MS),
    )


def frames_per_batch(demand: Demand) -> Cost:
    """How full batches are taken to be, on average."""
    given = demand.site.frames_per_batch
    return costs.FRAMES_PER_BATCH if given is None else Cost(given, Known.GIVEN, "--frames-per-batch")


def shards(demand: Demand) -> int:
    """Processes that read cameras."""
    return math.ceil(demand.cameras.count / demand.site.shard_size)


def _picture_costs(cameras: Cameras, measured: Measured | None) -> tuple[Cost, Cost, Cost]:
    if measured is not None:
        return measured.decode_ms, measured.picture_ms, measured.prepare_ms
    width, height = cameras.width, cameras.height
    source = f"{cameras.codec} by {costs.DECODE_SOURCE}"
    return (
        by_pixels(costs.DECODE_MS[cameras.codec], width, height, source),
        by_pixels(costs.PICTURE_MS[cameras.codec], width, height, f"copied out, {costs.DECODE_SOURCE}"),
        by_pixels(costs.PREPARE_MS, width, height, costs.PREPARE_SOURCE),
    )


def _taken(picture: Cost) -> Cost:
    """Copied out of the decoder and once more into the object store, and what the reader does beside."""
    both = picture.times(2)
    return Cost(
        both.value + costs.TAKE_MS.value, both.known, f"{costs.TAKE_MS.source}; the pixels copied twice: {both.source}"
    )
