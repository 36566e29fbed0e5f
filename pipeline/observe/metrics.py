"""What Rayline counts and measures, as sentences; Ray carries it to Prometheus as `ray_rayline_...`."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from typing import Protocol

from pipeline.observe.traces import FrameTrace
from stages.trace import Stage

STATES = ("connecting", "running", "paused", "reconnecting", "ended", "failed")

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.4, 0.7, 1.0, 2.0, 5.0)
_TOLD_BY_ALL = frozenset({Stage.PREPROCESS, Stage.TRACK, Stage.PUBLISH})
_FRAMES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 64.0)

COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "rayline_frames_in": ("Frames a camera's source gave.", ("camera",)),
    "rayline_frames_published": ("Frames whose result reached Redis.", ("camera",)),
    "rayline_frames_dropped": ("Frames let go of, by reason.", ("camera", "reason")),
    "rayline_frames_failed": ("Frames whose result is an error.", ("camera",)),
    "rayline_batches": ("Batches of frames that went through the graph.", ("shard",)),
    "rayline_batches_lost": ("Batches given up after retries.", ("shard", "reason")),
    "rayline_reconnects": ("Times a camera's connection was made anew.", ("camera",)),
    "rayline_inspections": ("Parts judged, by verdict.", ("line", "station", "verdict")),
    "rayline_sink_failures": ("Writes the result store refused or never answered.", ("sink",)),
    "rayline_relayed": ("Messages the other side of a relay has stored.", ("relay", "topic")),
    "rayline_relay_failures": ("Times a relay waited, set a message aside or found a gap.", ("relay", "reason")),
    "rayline_spool_drained": ("Frames stored that had waited on disk.", ("camera",)),
    "rayline_spool_set_aside": ("Damaged spool files that were set aside.", ("shard",)),
}
GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "rayline_camera_state": ("1 for the state a camera is in, 0 for the others.", ("camera", "state")),
    "rayline_batches_in_flight": ("Batches of a shard inside the graph.", ("shard",)),
    "rayline_relay_behind": ("Entries a relay has not handed on.", ("relay",)),
    "rayline_relay_behind_seconds": ("Seconds of entries a relay has not handed on.", ("relay",)),
    "rayline_spool_bytes": ("Bytes that wait on disk for Redis.", ("shard",)),
    "rayline_spool_frames": ("Frames that wait on disk for Redis.", ("shard",)),
    "rayline_spool_oldest_seconds": ("Age of the oldest that waits on disk, seconds.", ("shard",)),
}
HISTOGRAMS: Mapping[str, tuple[str, tuple[float, ...], tuple[str, ...]]] = {
    "rayline_batch_frames": ("Frames per batch: how full batches get.", _FRAMES, ("shard",)),
    "rayline_stage_seconds": ("Seconds of a stage, for a batch or a traced frame.", _SECONDS, ("stage",)),
    "rayline_queue_age_seconds": ("Age of a batch's oldest frame when it was sent, seconds.", _SECONDS, ("shard",)),
    "rayline_capture_to_publish_seconds": ("Seconds from capture to publish, per frame.", _SECONDS, ("camera",)),
}


class Meter(Protocol):
    """Where numbers go. Called on the hot path: never blocks, never raises."""

    def count(self, name: str, amount: float, tags: dict[str, str]) -> None:
        """Add to a counter of COUNTERS."""

    def set(self, name: str, value: float, tags: dict[str, str]) -> None:
        """Put a gauge of GAUGES to a value."""

    def observe(self, name: str, value: float, tags: dict[str, str]) -> None:
        """Put one value into a histogram of HISTOGRAMS."""


class NullMeter:
    """Nobody counts: outside Ray."""

    def count(self, name: str, amount: float, tags: dict[str, str]) -> None:
        """Nothing."""

    def set(self, name: str, value: float, tags: dict[str, str]) -> None:
        """Nothing."""

    def observe(self, name: str, value: float, tags: dict[str, str]) -> None:
        """Nothing."""


class RayMeter:
    """Ray's own metrics; its agent on each node answers Prometheus."""

    def __init__(self) -> None:
        from ray.util import metrics  # here and not above: processes without Ray never pay for its import

        self._counters = {name: metrics.Counter(name, text, tags) for name, (text, tags) in COUNTERS.items()}
        self._gauges = {name: metrics.Gauge(name, text, tags) for name, (text, tags) in GAUGES.items()}
        self._histograms = {
            name: metrics.Histogram(name, text, list(bounds), tags) for name, (text, bounds, tags) in HISTOGRAMS.items()
        }

    def count(self, name: str, amount: float, tags: dict[str, str]) -> None:
        """Add to a counter."""
        self._counters[name].inc(amount, tags)

    def set(self, name: str, value: float, tags: dict[str, str]) -> None:
        """Put a gauge to a value."""
        self._gauges[name].set(value, tags)

    def observe(self, name: str, value: float, tags: dict[str, str]) -> None:
        """Put one value into a histogram."""
        self._histograms[name].observe(value, tags)


class Metrics:
    """The sentences. One per process is enough; tests hand in a meter of their own."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def frames_in(self, camera: str, frames: int = 1) -> None:
        """The source gave frames."""
        self._count("rayline_frames_in", frames, {"camera": camera})

    def frame_published(self, camera: str, latency_s: float) -> None:
        """A frame's result reached Redis, so long after its capture."""
        tags = {"camera": camera}
        self._meter.count("rayline_frames_published", 1, tags)
        self._meter.observe("rayline_capture_to_publish_seconds", latency_s, tags)

    def frames_dropped(self, camera: str, reason: str, frames: int = 1) -> None:
        """Frames were let go of. `reason` comes from a short fixed list."""
        self._count("rayline_frames_dropped", frames, {"camera": camera, "reason": reason})

    def frames_failed(self, camera: str, frames: int = 1) -> None:
        """Frames were published whose result is an error."""
        self._count("rayline_frames_failed", frames, {"camera": camera})

    def batch_carried(self, shard: str, frames: int, oldest_s: float | None = None) -> None:
        """A batch of frames went through the graph; its oldest frame was so old when it left."""
        tags = {"shard": shard}
        self._meter.count("rayline_batches", 1, tags)
        self._meter.observe("rayline_batch_frames", frames, tags)
        if oldest_s is not None:
            self._meter.observe("rayline_queue_age_seconds", oldest_s, tags)

    def batch_lost(self, shard: str, reason: str) -> None:
        """A batch was given up. `reason` is an error's class name."""
        self._meter.count("rayline_batches_lost", 1, {"shard": shard, "reason": reason})

    def batches_in_flight(self, shard: str, batches: int) -> None:
        """So many batches of the shard are inside the graph."""
        self._meter.set("rayline_batches_in_flight", batches, {"shard": shard})

    def stage_took(self, stage: str, took_s: float) -> None:
        """A stage worked on one batch for so long."""
        self._meter.observe("rayline_stage_seconds", took_s, {"stage": stage})

    def frames_traced(self, traces: Collection[FrameTrace]) -> None:
        """Frames of one batch were traced. What every batch tells of itself by `stage_took` is not told again."""
        for number, one in enumerate(traces):
            for mark, _, took_s in one.stretches():
                if mark in one.own.marks or (number == 0 and mark.stage not in _TOLD_BY_ALL):
                    self.stage_took(mark.stage, took_s)

    def camera_state(self, camera: str, state: str) -> None:
        """The camera is in this state, and in no other."""
        for name in STATES:
            self._meter.set("rayline_camera_state", float(name == state), {"camera": camera, "state": name})

    def camera_gone(self, camera: str) -> None:
        """The camera was taken away: it is in no state."""
        self.camera_state(camera, "")

    def reconnected(self, camera: str, times: int = 1) -> None:
        """A camera's connection was made anew."""
        self._count("rayline_reconnects", times, {"camera": camera})

    def parts_judged(self, line: str, station: str, verdict: str, parts: int = 1) -> None:
        """Parts got their verdict."""
        self._count("rayline_inspections", parts, {"line": line, "station": station, "verdict": verdict})

    def sink_failed(self, sink: str) -> None:
        """A write was refused or never answered."""
        self._meter.count("rayline_sink_failures", 1, {"sink": sink})

    def relayed(self, relay: str, topic: str, messages: int = 1) -> None:
        """The other side of a relay has stored messages."""
        self._count("rayline_relayed", messages, {"relay": relay, "topic": topic})

    def relay_failed(self, relay: str, reason: str) -> None:
        """A relay could not go on, or not with a message. `reason` is redis, away, refused or lost."""
        self._meter.count("rayline_relay_failures", 1, {"relay": relay, "reason": reason})

    def relay_behind(self, relay: str, seconds: float, entries: float | None = None) -> None:
        """What a relay has not handed on yet; `entries` None: Redis before 7.0 does not always count them."""
        if entries is not None:
            self._meter.set("rayline_relay_behind", entries, {"relay": relay})
        self._meter.set("rayline_relay_behind_seconds", seconds, {"relay": relay})

    def frames_drained(self, camera: str, frames: int) -> None:
        """Frames that had waited on disk reached Redis."""
        self._count("rayline_spool_drained", frames, {"camera": camera})
        self._count("rayline_frames_published", frames, {"camera": camera})

    def spool_holds(self, shard: str, size_bytes: int, oldest_s: float, frames: int) -> None:
        """So much waits on disk, the oldest for so long."""
        tags = {"shard": shard}
        self._meter.set("rayline_spool_bytes", size_bytes, tags)
        self._meter.set("rayline_spool_oldest_seconds", oldest_s, tags)
        self._meter.set("rayline_spool_frames", frames, tags)

    def spool_set_aside(self, shard: str) -> None:
        """A damaged spool file was renamed."""
        self._meter.count("rayline_spool_set_aside", 1, {"shard": shard})

    def _count(self, name: str, amount: int, tags: dict[str, str]) -> None:
        if amount > 0:  # Ray raises on anything else
            self._meter.count(name, amount, tags)


def ray_metrics() -> Metrics:
    """Metrics of this process: through Ray where it has joined one, else counted by nobody."""
    ray = sys.modules.get("ray")  # not imported for this: a process without Ray never pays for it
    return Metrics(RayMeter() if ray is not None and ray.is_initialized() else NullMeter())
