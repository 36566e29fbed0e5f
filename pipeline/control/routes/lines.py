"""Lines: their cameras, what was counted and judged, and whether parts pass unseen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from pipeline.config import ResolvedCamera
from pipeline.control.cameras.answers import STARTING, UNKNOWN, Versions, state_of, versions
from pipeline.control.names import LineName, unknown
from pipeline.control.services import Caller, Here, Services
from pipeline.ingest.camera_state import CameraState
from pipeline.orchestrate.changeover import Changeover, changeover_of
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.line_count import CountStore, LineCount
from pipeline.orchestrate.state import CameraReport, SystemReport, by_name
from pipeline.sinks.redis_pool import RedisPool

router = APIRouter(tags=["lines"])

# From the worst on: what a person looks at first.
WORST_FIRST = (
    *(CameraState.FAILED, UNKNOWN, CameraState.RECONNECTING, CameraState.CONNECTING, STARTING, CameraState.PAUSED),
    *(CameraState.ENDED, CameraState.RUNNING),
)
_SEES = (CameraState.RUNNING, CameraState.ENDED)  # at its end nothing passes any more
EXAMPLE: dict[str, Any] = {
    "name": "filling",
    "recipe": "bottles",
    "cameras": [
        {"name": "cam-1", "station": "capper", "recipe": "bottles", "state": "running", "health": "ok", "counts": True}
    ],
    "stations": ["capper"],
    "counting_camera": "cam-1",
    "counts": {
        "counter": "redis:line1:parts",
        "since": 1795860000.0,
        "counted": 1213,
        "inspected": 1211,
        "difference": 2,
        "uninspected": 1,
        "blind_since": None,
        "error": None,
    },
    "parts": {"pass": 1204, "reject": 7},
    "verdicts": {"pass": 1204, "reject": 7},
    "state": "running",
    "uninspected_now": False,
    "changeover": None,
}


class CameraOfLine(BaseModel):
    """A camera of the line."""

    name: str
    station: str
    recipe: str
    state: str
    health: str | None = Field(description="ok, or why its pictures are no evidence; null: nothing was reported.")
    counts: bool = Field(description="Whether the line's parts are counted here.")


class Counts(BaseModel):
    """What the line's part counter counted, and what was inspected. Times are Unix seconds UTC."""

    counter: str = Field(description="Its address, without its password.")
    since: float
    counted: int
    inspected: int
    difference: int = Field(description="Parts counted and not inspected; below zero: the other way round.")
    uninspected: int = Field(description="Stretches of time in which the camera could not see.")
    blind_since: float | None = Field(description="Since when the one lasts in which it cannot see now.")
    error: str | None = Field(description="Why the counter could not be read the last time.")


class LineView(BaseModel):
    """A production line."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE]}}

    name: str
    recipe: str | None = Field(description="The one its cameras work by that name none. null: it has no camera.")
    cameras: list[CameraOfLine]
    stations: list[str]
    counting_camera: str | None = Field(description="Where its parts are counted.")
    counts: Counts | None = Field(description="null: it has no part counter, or nothing was counted yet.")
    parts: dict[str, int] = Field(description="Verdict -> parts, at the counting camera.")
    verdicts: dict[str, int] = Field(description="Verdict -> parts, of all its cameras together.")
    state: str | None = Field(description="Its cameras' worst. null: it has none.")
    uninspected_now: bool | None = Field(
        description="Whether parts pass unseen: the counting camera, or without one any, gives no picture that is "
        "evidence. null: nothing reports."
    )
    changeover: Changeover | None = Field(description="The last change of its recipe. null: there was none.")


class LineAnswer(LineView, Versions):
    """A line, and by which version of what is desired."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE | {"version": 12, "version_in_force": 12}]}}


class LineList(Versions):
    """Lines in the order of their names."""

    lines: list[LineView]


@router.get("/v1/lines", summary="Your lines, and how they do")
async def list_lines(here: Here, caller: Caller) -> LineList:
    """Lines of the config file, and cameras that are a line of their own."""
    desired, report = await _read(here)
    names = caller.visible(desired.config.line_ids())
    return LineList(**versions(desired, report), lines=await views_of(here.redis, desired, report, names))


@router.get("/v1/lines/{line}", summary="One line, and how it does")
async def get_line(here: Here, caller: Caller, line: LineName) -> LineAnswer:
    """Its cameras, what was counted and judged, and whether parts pass unseen."""
    desired, report = await _read(here, line)
    names = caller.visible(desired.config.line_ids())
    if line not in names:
        raise unknown("line", line, names)
    [view] = await views_of(here.redis, desired, report, [line])
    return LineAnswer(**view.model_dump(), **versions(desired, report))


async def _read(here: Services, line: str | None = None) -> tuple[DesiredState, SystemReport | None]:
    """With `line`, no other line's cameras are in the report."""
    async with here.desired() as store:
        desired = await store.read()
    async with here.state() as states:
        return desired, await states.read(None if line is None else desired.cameras_on(line))


async def views_of(
    redis: RedisPool, desired: DesiredState, report: SystemReport | None, names: Sequence[str]
) -> list[LineView]:
    """The lines of these names, and how they do. Raises SinkUnavailable."""
    counted = [name for name in names if name in desired.config.lines and desired.config.lines[name].part_counter]
    async with redis.use() as client:
        counts = {count.line: count for count in await CountStore(client).read(counted)}
    cameras: dict[str, list[ResolvedCamera]] = {}
    for camera in desired.cameras.values():
        cameras.setdefault(camera.line, []).append(camera)
    reports = by_name(report)
    return [_view(desired, report, name, cameras.get(name, []), reports, counts.get(name)) for name in names]


def _view(
    desired: DesiredState,
    report: SystemReport | None,
    name: str,
    cameras: Sequence[ResolvedCamera],
    reports: Mapping[str, CameraReport],
    count: LineCount | None,
) -> LineView:
    told = [_camera(camera, report, reports.get(camera.camera_id)) for camera in cameras]
    counting = next((camera.name for camera in told if camera.counts), None)
    line = desired.config.lines.get(name)
    seen = [each for camera in told if (each := reports.get(camera.name)) is not None]
    return LineView(
        name=name,
        recipe=line.recipe if line is not None else told[0].recipe if told else None,
        cameras=told,
        stations=sorted({camera.station for camera in told}),
        counting_camera=counting,
        counts=None if count is None else Counts(**count.model_dump(include=set(Counts.model_fields))),
        parts=_sums(each for each in seen if each.camera == counting),
        verdicts=_sums(seen),
        state=min((camera.state for camera in told), key=_badness, default=None),
        uninspected_now=None if report is None else _is_blind(told, counting),
        changeover=changeover_of(desired, report, name) if name in desired.base.lines and line is not None else None,
    )


def _camera(camera: ResolvedCamera, report: SystemReport | None, reported: CameraReport | None) -> CameraOfLine:
    return CameraOfLine(
        name=camera.camera_id,
        station=camera.station,
        recipe=camera.recipe_name,
        state=state_of(report, reported),
        health=None if reported is None else reported.health,
        counts=camera.counts,
    )


def _sums(cameras: Iterable[CameraReport]) -> dict[str, int]:
    parts: Counter[str] = Counter()
    for camera in cameras:
        parts.update(camera.parts)
    return dict(sorted(parts.items()))


def _badness(state: str) -> int:
    return WORST_FIRST.index(state) if state in WORST_FIRST else 0  # a state that we do not know is looked at first


def _is_blind(cameras: Sequence[CameraOfLine], counting: str | None) -> bool:
    watched = [camera for camera in cameras if counting in (None, camera.name)]
    return any(
        camera.state not in _SEES or (camera.health != "ok" and camera.state != CameraState.ENDED) for camera in watched
    )
