"""A model's thresholds, changed while it runs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from pipeline.control.access.roles import Principal
from pipeline.control.authors import By
from pipeline.control.names import ModelName, unknown
from pipeline.control.problems import ApiError
from pipeline.control.routes.models import ModelView, view_of
from pipeline.control.services import Caller, Here
from pipeline.orchestrate.desired import DesiredState

router = APIRouter(tags=["models"])


class ThresholdsGiven(BaseModel):
    """Those to change; null takes back the config file's."""

    model_config = {"extra": "forbid", "json_schema_extra": {"examples": [{"min_score": 0.4}, {"iou": None}]}}

    min_score: float | None = Field(None, ge=0.001, le=1, description="Lowest score kept.")
    iou: float | None = Field(
        None, gt=0, le=1, description="Overlap above which the weaker of two boxes of a class is dropped."
    )
    max_detections: int | None = Field(None, ge=1, le=1000, description="Most boxes kept of one frame, best first.")


@router.patch("/v1/models/{model}", summary="Change a model's thresholds while it runs")
async def change_thresholds(here: Here, caller: Caller, by: By, model: ModelName, given: ThresholdsGiven) -> ModelView:
    """In force about two seconds later for each of its cameras, from one batch to the next; no frame is dropped.

    Other settings, weights among them, start with `rayline up`. /v1/detect goes by the config file's.
    """
    changes: dict[str, Any] = given.model_dump(include=given.model_fields_set)
    if not changes:
        raise ApiError(422, "nothing to change: give at least one of min_score, iou, max_detections")

    def expect(desired: DesiredState) -> None:
        _require_own(desired, caller, model)

    async with here.desired() as store:
        desired = await store.set_thresholds(model, changes, expect, by)
    return view_of(here, caller, desired, model)


def _require_own(desired: DesiredState, caller: Principal, model: str) -> None:
    """A model's thresholds are for all its cameras, so every line that uses it must be theirs."""
    if model not in desired.config.models:
        raise unknown("model", model, desired.config.models)
    used_by = {camera.line for camera in desired.cameras.values() if camera.model_name == model}
    if not all(caller.may_see(line) for line in used_by):
        raise ApiError(403, f"model {model!r} is used on lines that are none of yours")
