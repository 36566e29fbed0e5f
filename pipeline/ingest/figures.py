"""What a shard is told of one camera, and what it tells of it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.answers import CameraAnswer, InForce
from pipeline.ingest.camera_settings import CameraSettings
from pipeline.ingest.camera_state import CameraStatus
from pipeline.ingest.carrier import CarrierFigures

LATENCIES_KEPT = 512


@dataclass(frozen=True, slots=True)
class CameraTask:
    """What a shard is to do with one camera."""

    settings: CameraSettings
    paused: bool = False
    run_id: str = ""  # of the `up` it belongs to: a reader made anew goes on in the same run of a file
    restart: str = ""  # another one: its source is to be opened anew


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """One camera as its shard sees it, for status and metrics."""

    status: CameraStatus
    published: int
    dropped: Mapping[str, int]  # by reason, since the shard started
    latencies_s: tuple[float, ...]  # newest last: capture (or arrival) to publish
    parts: Mapping[str, int] = field(default_factory=dict)  # verdict -> parts, since the shard started
    health: str = "ok"  # by the last frame published
    waiting: int = 0  # frames on disk, to be published when Redis is back
    in_force: InForce | None = None  # by the last answer; None before the first


@dataclass(slots=True)
class Published:
    """What came back for one camera."""

    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT))
    untold_s: list[float] = field(default_factory=list)  # latencies since the last tick, for the metrics
    parts: Counter[str] = field(default_factory=Counter)
    health: str = "ok"
    in_force: InForce | None = None

    def add(self, answer: CameraAnswer) -> None:
        self.latencies_s.extend(answer.latencies_s)
        self.untold_s.extend(answer.latencies_s)
        self.parts.update(answer.verdicts)
        self.health = answer.health or self.health
        self.in_force = answer.in_force or self.in_force

    def take_untold(self) -> list[float]:
        """Latencies, seconds, since the last time this was asked."""
        untold_s, self.untold_s = self.untold_s, []
        return untold_s

    def figures(self, status: CameraStatus, carried: CarrierFigures) -> CameraFigures:
        """All of it together."""
        dropped = dict(status.dropped)
        for lost in (carried.dropped, carried.dropped_late):
            for reason, count in lost.get(status.camera_id, {}).items():
                dropped[reason] = dropped.get(reason, 0) + count
        return CameraFigures(
            status=status,
            published=carried.frames_published[status.camera_id],
            dropped=dropped,
            latencies_s=tuple(self.latencies_s),
            parts=dict(self.parts),
            health=self.health,
            waiting=carried.waiting.get(status.camera_id, 0),
            in_force=self.in_force,
        )
