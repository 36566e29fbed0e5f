"""A camera's change of recipe on its way: it waits for a gap between parts, and not for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.answers import InForce
from pipeline.deployments.job import CameraJob
from stages.values import Event, Frame

RECIPE_CHANGED = "recipe_changed"
RECIPE_REFUSED = "recipe_refused"


@dataclass(slots=True)
class Changeover:
    """To `job`'s recipe. Time is the frames': the clock of their arrival, or a recording's own."""

    job: CameraJob
    since: float | None = None  # when the first frame came that the new recipe could have been for

    def is_due(self, frame: Frame, under_way: int) -> bool:
        """True where the camera is to change before this frame: no part is under way, or it has waited long enough."""
        if self.since is None:
            self.since = _at(frame)
        timeout_s = self.job.change.timeout_s if self.job.change is not None else 0.0
        return under_way == 0 or _at(frame) - self.since >= timeout_s

    def waited_s(self, frame: Frame) -> float:
        """How long it has waited by this frame."""
        return 0.0 if self.since is None else max(0.0, _at(frame) - self.since)


def changed_event(before: str, job: CameraJob, frame: Frame, waited_s: float, under_way: int, cut_short: int) -> Event:
    """The camera works by `job`'s recipe from this frame on; told once for each change."""
    data = {"waited_ms": round(waited_s * 1e3), "forced": under_way > 0, "under_way": under_way, "cut_short": cut_short}
    return _event(RECIPE_CHANGED, before, job, frame, data)


def refused_event(before: str, job: CameraJob, frame: Frame, reason: str) -> Event:
    """The camera cannot work by `job`'s recipe, and goes on by the one before."""
    return _event(RECIPE_REFUSED, before, job, frame, {"reason": reason})


def in_force(job: CameraJob, refused: str = "", *, older_parts: bool = False) -> InForce:
    """What is told of a camera that works by this job."""
    return InForce(job.recipe, job.config_hash, _change_id(job), job.roi, refused, older_parts)


def _event(kind: str, before: str, job: CameraJob, frame: Frame, data: Mapping[str, object]) -> Event:
    change_id = _change_id(job)
    told = {"change_id": change_id, "from": before, "to": job.recipe, **data}
    return Event(f"{job.camera_id}/{kind}/{change_id}", kind, frame.captured_at, told)


def _change_id(job: CameraJob) -> str:
    return job.change.change_id if job.change is not None else ""


def _at(frame: Frame) -> float:
    return frame.received_at if frame.position.is_live and frame.received_at > 0 else frame.captured_at
