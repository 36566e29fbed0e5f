"""One camera as the API tells it: what it is to do, what differs from the config file, and how it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from pipeline.masking import MASK
from pipeline.orchestrate.desired import DesiredState, OverrideKind
from pipeline.orchestrate.state import CameraReport, SystemReport, by_name
from stages.values import CameraId

STARTING, UNKNOWN = "starting", "unknown"
State = Literal["connecting", "running", "paused", "reconnecting", "ended", "failed", "starting", "unknown"]
_REPORTED = (
    *("since", "health", "fps_in", "fps_out", "latency_ms_p50", "latency_ms_p95", "dropped", "parts", "size", "clock"),
    *("last_frame_at", "reconnects", "waiting", "last_error", "last_error_at", "shard"),
)

EXAMPLE: dict[str, Any] = {
    "name": "cam-1",
    "line": "filling",
    "station": "cam-1",
    "recipe": "bottles",
    "model": "bottles",
    "url": "rtsp://viewer:***@10.0.3.11/stream1",
    "settings": {"fps": 10.0, "line": "filling", "url": "rtsp://viewer:***@10.0.3.11/stream1"},
    "override": "changed",
    "changed_at": 1795861312.4,
    "problem": None,
    "in_force": True,
    "paused": False,
    "state": "running",
    "since": 1795860000.0,
    "health": "ok",
    "fps_in": 10.0,
    "fps_out": 10.0,
    "latency_ms_p50": 61.0,
    "latency_ms_p95": 93.5,
    "dropped": {"stale": 3},
    "parts": {"pass": 1204, "reject": 7},
    "size": [1920, 1080],
    "clock": "rtcp",
    "last_frame_at": 1795861400.1,
    "reconnects": 0,
    "waiting": 0,
    "last_error": None,
    "last_error_at": None,
    "shard": "bottles-live-0",
}


class Versions(BaseModel):
    """Of what is desired: which is told, and which runs."""

    version: int = Field(description="Of all that is desired; it rises with every change of anything.")
    version_in_force: int | None = Field(description="The one that runs; null: nothing reports.")


class CameraView(BaseModel):
    """A camera. Times are Unix seconds UTC; rates and latencies are of the last few seconds."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE]}}

    name: str
    line: str
    station: str
    recipe: str
    model: str
    url: str = Field(description="Without its password, here as everywhere.")
    settings: dict[str, Any] = Field(description="What is set of it, file and changes together; secrets are masked.")
    override: OverrideKind | None = Field(description="In what it differs from the config file; null: in nothing.")
    changed_at: float | None = Field(description="When it was last changed; null: it is as in the config file.")
    problem: str | None = Field(description="Why its change is not in force; the camera runs as the file says.")
    in_force: bool = Field(description="Whether what is desired of it is what runs; a change takes about a second.")
    paused: bool
    state: str = Field(
        description="connecting, running, paused, reconnecting, ended or failed. starting: nothing was reported of it "
        "yet. unknown: nothing reports at all."
    )
    since: float | None = Field(None, description="When it entered that state.")
    health: str | None = Field(None, description="ok, or why its pictures are no evidence: black, frozen, stale, ...")
    fps_in: float = 0.0
    fps_out: float = 0.0
    latency_ms_p50: float | None = Field(None, description="Capture to publish.")
    latency_ms_p95: float | None = None
    dropped: dict[str, int] = Field(default_factory=dict, description="Reason -> frames, since the camera was added.")
    parts: dict[str, int] = Field(default_factory=dict, description="Verdict -> parts.")
    size: tuple[int, int] | None = Field(None, description="Width and height of the last picture, pixels.")
    clock: str | None = Field(None, description="Whose clock dates its pictures: rtcp, arrival, media or message.")
    last_frame_at: float | None = None
    reconnects: int = 0
    waiting: int = Field(0, description="Frames on disk, published when Redis takes them.")
    last_error: str | None = None
    last_error_at: float | None = None
    shard: str = ""


class CameraAnswer(CameraView, Versions):
    """A camera, and by which version of what is desired."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE | {"version": 12, "version_in_force": 12}]}}


class CameraList(Versions):
    """Cameras in the order of their names."""

    cameras: list[CameraView]
    next: str | None = Field(description="There are more: give this as `after`. null: these are the last.")
    removed: list[str] = Field(description="Cameras of the config file that were taken away; `reset` brings them back.")
    problems: dict[str, str] = Field(description="Camera -> why its change is not in force.")


def answer_of(desired: DesiredState, report: SystemReport | None, camera: CameraId) -> CameraAnswer:
    """Of a camera that is to run."""
    reported = None if report is None else report.camera(camera)
    return CameraAnswer(**_fields(desired, report, camera, reported), **versions(desired, report))


def views(desired: DesiredState, report: SystemReport | None, cameras: list[CameraId]) -> list[CameraView]:
    """Of these cameras, which are to run, in their order."""
    reports = by_name(report)
    return [CameraView(**_fields(desired, report, camera, reports.get(camera))) for camera in cameras]


def state_of(report: SystemReport | None, reported: CameraReport | None) -> str:
    """What a camera's state is called."""
    if report is None:
        return UNKNOWN
    return STARTING if reported is None else reported.state


def versions(desired: DesiredState, report: SystemReport | None) -> dict[str, Any]:
    """What is desired and what runs."""
    return {"version": desired.version, "version_in_force": None if report is None else report.desired_version}


def _fields(
    desired: DesiredState, report: SystemReport | None, camera: CameraId, reported: CameraReport | None
) -> dict[str, Any]:
    resolved, settings = desired.cameras[camera], desired.shown(camera)
    override, kind = desired.overrides.get(camera), desired.kind(camera)
    problem = desired.problems.get(camera) or (report.problems.get(camera) if report is not None else None)
    changed = override.version if override is not None and override.version else desired.version
    fields: dict[str, Any] = {
        "name": camera,
        "line": resolved.line,
        "station": resolved.station,
        "recipe": resolved.recipe_name,
        "model": resolved.model_name,
        "url": settings["url"],
        "settings": _without_places(settings),
        "override": kind,
        "changed_at": override.at if override is not None and kind is not None else None,
        "problem": problem,
        "in_force": problem is None and report is not None and report.desired_version >= changed,
        "paused": desired.is_paused(camera),
        "state": state_of(report, reported),
    }
    if reported is not None:
        fields |= {name: getattr(reported, name) for name in _REPORTED}
    return fields


def _without_places(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Where this machine keeps its secrets is nobody's affair either."""
    return {name: MASK if name.endswith("_file") and value else value for name, value in settings.items()}
