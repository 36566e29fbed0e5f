"""What the graph must know of a camera to work on its frames."""

from __future__ import annotations

from dataclasses import dataclass

from stages.geometry import Roi
from stages.health.camera_health import HealthSettings
from stages.inspection.settings import InspectionSettings
from stages.track.settings import TrackSettings
from stages.track.zones import ZonesSettings
from stages.values import CameraId, LineId


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
