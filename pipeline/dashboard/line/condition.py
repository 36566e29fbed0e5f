"""What state a line is in, and why: out of its cameras' reports and when its last part came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.ingest.camera_state import CameraState
from pipeline.orchestrate.state import CameraReport, SystemReport, by_name
from stages.values import HealthState

LATELY_S = 60.0  # without a target, a running line without a part for so long is starved
_PARTS_MISSED = 10  # with one: as many parts as should have come meanwhile
_LEAST_S = 20.0  # people stop a fast belt for a moment without starving it
_TRYING_S = 5.0  # a camera connects in less


class LineState(StrEnum):
    """From the worst on."""

    SILENT = "silent"  # nothing reports
    AWAY = "away"  # a camera gives no pictures
    BLIND = "blind"  # its pictures are no evidence
    STALLED = "stalled"  # pictures come, results do not any more
    LOADING = "loading"  # pictures come, and no result has yet: the model loads
    STARTING = "starting"  # a camera is desired and has not been reported yet
    PAUSED = "paused"  # somebody paused a camera
    STARVED = "starved"  # all is well, but no part came lately
    ENDED = "ended"  # recorded sources are at their end
    RUNNING = "running"


WORST_FIRST = tuple(LineState)


@dataclass(frozen=True, slots=True)
class CameraOnLine:
    """A camera that is to watch the line."""

    name: str
    counts: bool = True  # the line's parts are counted there


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is so. `because` is a key of the page's texts, `values` go into it."""

    state: LineState
    because: str
    values: Mapping[str, str] = field(default_factory=dict)
    since: float | None = None  # Unix seconds; None: nobody knows


@dataclass(frozen=True, slots=True)
class Parts:
    """When the last part came. Of a line whose history nobody can read there is none of these."""

    last_at: float | None  # Unix seconds; None: there never was one
    target_per_hour: float | None = None


def conditions(
    cameras: Sequence[CameraOnLine], report: SystemReport | None, parts: Parts | None, now: float
) -> list[Condition]:
    """Everything that is so, the worst first; one at least."""
    if report is None:
        return [Condition(LineState.SILENT, "line.because.silent")]
    if not cameras:
        return [Condition(LineState.SILENT, "line.because.no_camera")]
    reports = by_name(report)
    found = [each for camera in cameras for each in _of_camera(camera.name, reports.get(camera.name), now)]
    if not found:
        found = [_of_belt(cameras, reports, parts, now)]
    return sorted(found, key=lambda each: (WORST_FIRST.index(each.state), each.values.get("camera", "")))


def _of_camera(name: str, told: CameraReport | None, now: float) -> Iterator[Condition]:
    """What keeps this camera from inspecting; nothing where it does, or is at its end."""
    if told is None:
        yield Condition(LineState.STARTING, "line.because.starting", {"camera": name})
    elif told.state == CameraState.PAUSED:
        yield Condition(LineState.PAUSED, "line.because.paused", {"camera": name}, told.since)
    elif told.state == CameraState.RUNNING:
        yield from _of_running(name, told)
    elif told.state == CameraState.CONNECTING and now - told.since < _TRYING_S:
        yield Condition(LineState.STARTING, "line.because.connecting", {"camera": name}, told.since)
    elif told.state != CameraState.ENDED:  # a state of a version that we do not know is looked at too
        because = "line.because.away_error" if told.last_error else "line.because.away"
        values = {"camera": name, "state": told.state, "error": told.last_error or ""}
        yield Condition(LineState.AWAY, because, values, told.since)


def _of_running(name: str, told: CameraReport) -> Iterator[Condition]:
    if told.frames_in and not told.frames_out:  # before the first result its health says nothing
        yield Condition(LineState.LOADING, "line.because.loading", {"camera": name, "model": told.model}, told.since)
        return
    if told.fps_in > 0 and told.fps_out == 0:
        because = "line.because.waiting" if told.waiting else "line.because.stalled"
        yield Condition(LineState.STALLED, because, {"camera": name, "waiting": str(told.waiting)})
    elif told.health != HealthState.OK:
        yield Condition(LineState.BLIND, "line.because.blind", {"camera": name, "health": told.health})


def _of_belt(
    cameras: Sequence[CameraOnLine], reports: Mapping[str, CameraReport], parts: Parts | None, now: float
) -> Condition:
    """Every camera sees, or is at its end: whether parts come."""
    watching = [reports[camera.name] for camera in cameras if reports[camera.name].state != CameraState.ENDED]
    if not watching:
        return Condition(LineState.ENDED, "line.because.ended")
    since = min(camera.since for camera in watching)
    if parts is None:
        return Condition(LineState.RUNNING, "line.because.running_unknown", since=since)
    waited_since = max(since, parts.last_at or 0.0)  # before that it could not have come
    if now - waited_since > lately_s(parts.target_per_hour):
        because = "line.because.starved" if parts.last_at is not None else "line.because.no_part_yet"
        return Condition(LineState.STARVED, because, since=waited_since)
    return Condition(LineState.RUNNING, "line.because.running", since=since)


def lately_s(target_per_hour: float | None) -> float:
    """Within so many seconds a part must come to a line that is not starved."""
    if target_per_hour is None:
        return LATELY_S
    return max(_LEAST_S, _PARTS_MISSED * 3600.0 / target_per_hour)
