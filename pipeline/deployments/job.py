"""What the graph must know of a camera to work on its frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from stages.geometry import Roi
from stages.health.camera_health import HealthSettings
from stages.inspection.settings import InspectionSettings
from stages.track.settings import TrackSettings
from stages.track.zones import ZonesSettings
from stages.values import CameraId, LineId, Thresholds


@dataclass(frozen=True, slots=True)
class Change:
    """A line's change of recipe, as somebody asked for it."""

    change_id: str
    timeout_s: float  # longest wait for a gap between parts


@dataclass(frozen=True, slots=True)
class CameraJob:
    """One camera's recipe, resolved; travels with its batches, so any replica can take the camera over."""

    camera_id: CameraId
    line: LineId
    station: str
    model: str
    recipe: str
    config_hash: str  # changes when anything here does
    source_kind: str  # rtsp | http | file | kafka | ...
    track: TrackSettings
    zones: ZonesSettings
    health: HealthSettings
    inspection: InspectionSettings | None = None
    roi: Roi | None = None
    counts: bool = True  # the line's parts are counted here
    annotated_to: str | None = None  # path of an annotated video of this camera, for `up --save`
    thresholds: Thresholds | None = None  # what the model is to tell of; None: as its own settings say
    change: Change | None = None  # that brought the recipe; None: it is the config file's
    before: CameraJob | None = None  # by the recipe that was to be changed: for who has to go on by that until then

    def is_but_for_thresholds(self, other: Self) -> bool:
        """True where the two make the same of the same detections."""
        return self._with(other, config_hash=other.config_hash) == other

    def is_but_for_recipe(self, other: Self) -> bool:
        """True where the two are of the same camera, in the same place, seen by the same model."""
        recipe = {name: getattr(other, name) for name in ("recipe", "track", "zones", "health", "inspection", "roi")}
        return self._with(other, config_hash=other.config_hash, **recipe) == other

    def _with(self, other: Self, **fields: Any) -> CameraJob:
        return replace(self, thresholds=other.thresholds, change=other.change, before=other.before, **fields)


def rois_of(jobs: Mapping[CameraId, CameraJob]) -> dict[CameraId, Roi]:
    """What is cut out of each camera's picture; none of those of which the model sees all."""
    return {camera_id: job.roi for camera_id, job in jobs.items() if job.roi is not None}
