"""One camera behind the detector: tracker, zones, health and inspection, with one checkpoint for all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgpack

from pipeline.deployments.job import CameraJob
from stages.health.camera_health import CameraHealth
from stages.health.picture_age import PictureAge
from stages.inspection.inspector import Inspector, Judged
from stages.inspection.rules import Rules
from stages.inspection.trigger import WHOLE
from stages.track.tracker import Tracker
from stages.track.zones import Zones
from stages.values import (
    CameraNotice,
    Clock,
    Detections,
    Event,
    Frame,
    FrameFailed,
    FrameResult,
    HealthState,
    ModelInfo,
    PictureStats,
    Tracks,
)

CHECKPOINT_VERSION = 1


class CameraChain:
    """Works on one camera's frames, in order. Owned by one track replica at a time."""

    def __init__(self, job: CameraJob, class_names: tuple[str, ...], run: str) -> None:
        self.job = job
        self._class_names, self._run = class_names, run
        self._tracker = Tracker(job.track, class_names)
        self._zones = Zones(job.zones, job.camera_id, class_names)
        self._health = CameraHealth(job.health)
        self._age = PictureAge()
        self._inspector = self._inspector_by(job)
        self._last_health = HealthState.OK

    def _inspector_by(self, job: CameraJob) -> Inspector | None:
        if job.inspection is None:
            return None
        where = (job.camera_id, job.station, self._run, self._class_names)
        return Inspector(job.inspection, *where, view=job.roi or WHOLE, recipe=job.recipe)

    def update(
        self,
        frame: Frame,
        found: Detections | FrameFailed,
        stats: PictureStats | FrameFailed,
        model: ModelInfo,
        timings_ms: Mapping[str, float],
        *,
        is_evidence: bool = True,
    ) -> FrameResult:
        """All that comes of one frame. A failed frame gives a result with `error`, and nothing is tracked in it.

        `is_evidence`: False where the frame was cut out for the model otherwise than the recipe says.
        """
        started = time.perf_counter()
        now = time.time()
        failed = next((x.reason for x in (found, stats) if isinstance(x, FrameFailed)), None)
        size_wh = (frame.image.width, frame.image.height)
        tracks, judged = Tracks.empty(), Judged()
        events: tuple[Event, ...] = ()
        if not isinstance(found, FrameFailed) and not isinstance(stats, FrameFailed):
            health = self._health.update(stats, frame.captured_at, self._looked_at(frame, now))
            skipped = sum(frame.dropped.values())
            tracks = self._tracker.update(found, frame.image, skipped)
            events = self._zones.update(tracks, size_wh, frame.position, frame.captured_at)
            events += self._health_event(health, frame)
            judged = self._judge(tracks, size_wh, frame, health, now, is_evidence)
        return FrameResult(
            camera_id=frame.camera_id,
            seq=frame.seq,
            captured_at=frame.captured_at,
            clock=frame.clock,
            position=frame.position,
            size_wh=size_wh,
            tracks=tracks,
            health=self._last_health,
            model=model,
            dropped=frame.dropped,
            timings_ms={**timings_ms, "track": (time.perf_counter() - started) * 1e3},
            events=events,
            inspections=judged.inspections,
            uninspected=judged.uninspected,
            error=failed,
        )

    def notice(self, notice: CameraNotice) -> Judged:
        """What the camera's new state means for the parts under way."""
        if self._inspector is None:
            return Judged()
        reason = notice.reason or notice.state
        return self._inspector.camera_state(notice.at, seeing=notice.seeing, reason=reason)

    def end(self, at: float, now: float, *, failed: bool) -> Judged:
        """The stream is over: parts that never reached the trigger get their verdict now.

        `failed`: it broke off for good, and the camera stays blind.
        """
        return self._inspector.end(at, now, blind=failed) if self._inspector else Judged()

    @property
    def under_way(self) -> int:
        """Parts that were seen and have no verdict; 0 is a gap between parts."""
        return self._inspector.under_way if self._inspector else 0

    @property
    def has_older(self) -> bool:
        """True while parts under way go by the recipe before."""
        return self._inspector is not None and self._inspector.has_older

    def change(self, job: CameraJob, now: float) -> Judged:
        """From the next frame on by this job's recipe; identities go on. What it cut short is told, with the recipe
        before. Raises ModelError or ValueError where the model does not know its classes: then nothing has changed.
        """
        before = self.job
        tracker, zones = self._tracker, self._zones
        if job.track != before.track:
            tracker = Tracker(job.track, self._class_names)
            tracker.restore(self._tracker.checkpoint())
        if job.zones != before.zones:
            zones = Zones(job.zones, job.camera_id, self._class_names)
            zones.restore(self._zones.checkpoint())
        inspector = self._inspector_by(job)
        judged = Judged()
        if self._inspector is not None and inspector is not None:
            alike = job.track == before.track and job.health == before.health
            judged = Judged(self._inspector.succeeded_by(inspector, now, sees_alike=alike))
        elif self._inspector is not None:
            judged = self._inspector.retire(now)
        self._health.use(job.health)
        self.job, self._tracker, self._zones, self._inspector = job, tracker, zones, inspector
        return judged

    @property
    def size_wh(self) -> tuple[int, int]:
        """Of the last picture that was inspected."""
        return self._inspector.size_wh if self._inspector else (1, 1)

    def checkpoint(self) -> bytes:
        """Plain data (msgpack), at most 4 kB, from which another replica goes on."""
        data: bytes = msgpack.packb(
            {
                "version": CHECKPOINT_VERSION,
                "config": self.job.config_hash,
                "recipe": self.job.recipe,
                "change": self.job.change.change_id if self.job.change else "",
                "tracker": self._tracker.checkpoint(),
                "zones": self._zones.checkpoint(),
                "inspector": self._inspector.checkpoint() if self._inspector else None,
            }
        )
        return data

    def restore(self, checkpoint: bytes) -> None:
        """Go on where `checkpoint` was taken. Raises ValueError if it is of an unknown version."""
        data: dict[str, Any] = msgpack.unpackb(checkpoint, strict_map_key=False)
        if data.get("version") != CHECKPOINT_VERSION:
            raise ValueError(f"checkpoint version {data.get('version')!r}, this Rayline knows {CHECKPOINT_VERSION}")
        self._tracker.restore(data["tracker"])
        self._zones.restore(data["zones"])
        if self._inspector and data["inspector"] is not None:
            self._inspector.restore(data["inspector"], self._rules_before())

    def _rules_before(self) -> list[Rules]:
        """Of the recipe before this one, by which parts may be under way."""
        before = self.job.before
        if before is None or before.inspection is None:
            return []
        try:
            return [Rules(before.inspection, self._class_names, before.roi or WHOLE, before.recipe)]
        except ValueError:  # of classes that the model does not know: nothing was ever judged by it
            return []

    def _looked_at(self, frame: Frame, now: float) -> float:
        """When the picture is judged, by the clock that dated it: a recorded one is as fresh as ever."""
        if not frame.position.is_live or frame.received_at <= 0:
            return frame.captured_at if frame.clock in (Clock.MEDIA, Clock.MESSAGE) else now
        return frame.captured_at + self._age.of(frame.captured_at, frame.received_at, frame.clock, now)

    def _judge(
        self,
        tracks: Tracks,
        size_wh: tuple[int, int],
        frame: Frame,
        health: HealthState,
        now: float,
        is_evidence: bool,
    ) -> Judged:
        if self._inspector is None:
            return Judged()
        return self._inspector.update(
            tracks,
            size_wh,
            frame.position,
            frame.captured_at,
            health,
            now,
            received_at=frame.received_at if frame.position.is_live and frame.received_at > 0 else None,
            blind_since=self._health.since,
            repeated=self._health.repeated,
            lost=sum(frame.dropped.values()),
            is_evidence=is_evidence,
        )

    def _health_event(self, health: HealthState, frame: Frame) -> tuple[Event, ...]:
        before, self._last_health = self._last_health, health
        if health is before:
            return ()
        return (
            Event(
                event_id=f"{frame.camera_id}/{frame.position.encode()}/health",
                kind="camera_health",
                at=frame.captured_at,
                data={"health": health.value, "before": before.value},
            ),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """By which recipe a camera was at work when its checkpoint was made."""

    recipe: str
    change_id: str


def standing_of(checkpoint: bytes | None) -> Standing | None:
    """None where there is none, or it is of a Rayline that did not tell."""
    try:
        data = {} if checkpoint is None else msgpack.unpackb(checkpoint, strict_map_key=False)
        return Standing(data["recipe"], data["change"])
    except (ValueError, KeyError, TypeError, msgpack.UnpackException):
        return None


def class_names_of(job: CameraJob) -> tuple[str, ...]:
    """Every class that the model must know; parts under way may go by the recipe before."""
    names = set(job.track.classes or ())
    if job.before is not None:
        names.update(class_names_of(job.before))
    if job.inspection is not None:
        names |= {job.inspection.part_label, *(defect.label for defect in job.inspection.defects)}
        names |= {label for feature in job.inspection.required for label in feature.labels}
    return tuple(sorted(names))


def failed_result(frame: Frame, reason: str, model: ModelInfo, timings_ms: Mapping[str, float]) -> FrameResult:
    """A frame that failed before anything is known of its camera: published with its error, nothing tracked."""
    return FrameResult(
        camera_id=frame.camera_id,
        seq=frame.seq,
        captured_at=frame.captured_at,
        clock=frame.clock,
        position=frame.position,
        size_wh=(frame.image.width, frame.image.height),
        tracks=Tracks.empty(),
        health=HealthState.STALE,
        model=model,
        dropped=frame.dropped,
        timings_ms=timings_ms,
        error=reason,
    )


def state_event(notice: CameraNotice) -> Event:
    """The camera's new state, as consumers see it."""
    return Event(
        # The number starts anew with each reader, and two runs may share an epoch: the time makes it unique.
        event_id=f"{notice.camera_id}/{notice.epoch}/state/{round(notice.at * 1e3)}-{notice.number}",
        kind="camera_state",
        at=notice.at,
        data={"state": notice.state, "reason": notice.reason},
    )
