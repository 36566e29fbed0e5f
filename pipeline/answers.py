"""What the track deployment answers to the ingest actor, per camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stages.geometry import Roi
from stages.values import CameraId, Position


class Outcome(StrEnum):
    """What became of a camera's part of a batch."""

    PUBLISHED = "published"  # written now, or found written by an earlier attempt
    SPOOLED = "spooled"  # Redis is away: on disk, and published when it is back; a later answer counts it
    CONFLICT = "conflict"  # somebody else wrote since: send the same again; what is stored by then decides
    BEHIND = "behind"  # the store lacks frames before these: read again from behind `cursor`
    UNAVAILABLE = "unavailable"  # the store cannot be reached; replayable sources send again, live ones go on
    FAILED = "failed"  # working on this camera's frames raised; its state is let go, the frames are counted as lost
    GIVEN_UP = "given_up"  # the graph stayed away too long; the frames are counted as lost


@dataclass(frozen=True, slots=True)
class InForce:
    """What a camera's frames are worked on by now; what is desired may wait for a gap between parts."""

    recipe: str
    config_hash: str
    change_id: str = ""  # of the change that brought it; empty: none did
    roi: Roi | None = None
    refused: str = ""  # why the recipe that is desired cannot be worked by
    older_parts: bool = False  # parts may still go by the recipe before it, here or in what is stored


@dataclass(frozen=True, slots=True)
class CameraAnswer:
    """One camera's outcome and, where that is not what the writer built on, the cursor that is stored."""

    outcome: Outcome
    cursor: str | None = None
    published: int = 0  # frames written by this call
    latencies_s: tuple[float, ...] = ()  # capture (or arrival) to publish, one per frame published
    failed: int = 0  # of the frames published, those whose result is an error
    verdicts: Mapping[str, int] = field(default_factory=dict)  # verdict -> parts, since the last published answer
    health: str | None = None  # what the camera can see, by its last frame; None before the first
    keeps_count: bool = False  # who answered counts the frames lost here, and tells them in a later message itself
    late: int = 0  # frames published since the last answer that had waited on disk
    late_lost: Mapping[str, int] = field(default_factory=dict)  # frames that waited on disk and are lost, by reason
    waiting: int = 0  # frames on disk now
    in_force: InForce | None = None  # None: not known


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames of one camera that are lost for good, so that nobody waits for them: behind `after`, up to `to`."""

    after: Position | None  # None: from the first on
    to: Position

    def __contains__(self, position: Position) -> bool:
        if position.source != self.to.source or position > self.to:
            return False
        return self.after is None or self.after.source != position.source or position > self.after


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """One answer per camera of the batch."""

    cameras: Mapping[CameraId, CameraAnswer] = field(default_factory=dict)
