"""How far a line's change of recipe has come, by what is desired and what its cameras are reported to work by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from pipeline.ingest.camera_state import FINAL, CameraState
from pipeline.orchestrate.base_overrides import LineOverride
from pipeline.orchestrate.desired import DesiredState
from pipeline.orchestrate.state import CameraReport, SystemReport
from stages.values import CameraId

_AWAY = (CameraState.PAUSED, *FINAL)  # no frame comes until a person acts


class CameraChangeover(BaseModel):
    """One camera's part in it."""

    camera: str
    recipe: str | None = Field(description="In force there, by the last report. null: nothing reports of it.")
    state: Literal["in_force", "pending", "away", "refused", "own"] = Field(
        description="in_force: it works by the new recipe. pending: by the one before, until a gap between parts. "
        "away: paused, ended or failed; it changes with its next frame. refused: its model does not know the recipe's "
        "classes. own: it names a recipe of its own and keeps it."
    )
    reason: str | None = Field(None, description="Why it is not in force yet, where that is known.")


class Changeover(BaseModel):
    """A line's last change of recipe."""

    line: str
    change_id: str = Field(description="Names it in events, reports and the audit log. Empty: there was none.")
    before: str = Field(alias="from", description="The recipe that was desired before.")
    to: str
    asked_at: float | None = Field(description="Unix seconds UTC.")
    state: Literal["done", "pending", "refused"] = Field(
        description="done: in force at each camera it is for that gives frames."
    )
    cameras: list[CameraChangeover]

    model_config = {"populate_by_name": True, "serialize_by_alias": True}


def changeover_of(desired: DesiredState, report: SystemReport | None, line: str) -> Changeover:
    """The last change of a line of the config file; of one without, or that the file has overtaken, how it stands."""
    override = _last_change(desired, line)
    recipe = desired.config.lines[line].recipe
    change_id = override.change_id if override is not None else ""
    reports = {} if report is None else {camera.camera: camera for camera in report.cameras}
    cameras = [
        _camera(desired, camera_id, change_id, reports)
        for camera_id, camera in desired.cameras.items()
        if camera.line == line
    ]
    return Changeover(
        line=line,
        change_id=change_id,
        before=override.before if override is not None else recipe,
        to=recipe,
        asked_at=override.at if override is not None else None,
        state=_together(cameras),
        cameras=cameras,
    )


def _last_change(desired: DesiredState, line: str) -> LineOverride | None:
    """None where there was none, or the config file has overtaken it: then cameras are told of no change either."""
    override = desired.base.lines.get(line)
    if override is None or f"line {line}" in desired.base_problems:
        return None
    return override if override.brought(desired.config.lines[line].recipe) else None


def _camera(
    desired: DesiredState, camera_id: CameraId, change_id: str, reports: Mapping[str, CameraReport]
) -> CameraChangeover:
    camera, told = desired.cameras[camera_id], reports.get(camera_id)
    recipe = None if told is None else told.recipe
    if not desired.takes_recipe_of_line(camera_id):
        return CameraChangeover(camera=camera_id, recipe=recipe, state="own", reason="it names a recipe of its own")
    if told is None:
        return CameraChangeover(camera=camera_id, recipe=None, state="pending", reason="nothing reports of it")
    if told.recipe_refused is not None and told.recipe_desired == camera.recipe_name:
        return CameraChangeover(camera=camera_id, recipe=recipe, state="refused", reason=told.recipe_refused)
    if told.recipe == camera.recipe_name and told.change_id == change_id:
        return CameraChangeover(camera=camera_id, recipe=recipe, state="in_force")
    state: Literal["away", "pending"] = "away" if told.state in _AWAY else "pending"
    return CameraChangeover(camera=camera_id, recipe=recipe, state=state, reason=_why_not_yet(told))


def _why_not_yet(told: CameraReport) -> str:
    if told.state != CameraState.RUNNING:
        return f"it is {told.state}: it changes with its next frame"
    return (
        f"it works by {told.recipe!r} until a gap between parts" if told.recipe_desired else "it has not answered yet"
    )


def _together(cameras: Sequence[CameraChangeover]) -> Literal["done", "pending", "refused"]:
    states = {camera.state for camera in cameras}
    if "pending" in states:
        return "pending"
    return "refused" if "refused" in states else "done"
