"""Models: what they are set to, and who uses them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from pipeline.control.access.roles import Principal
from pipeline.control.names import ModelName, unknown
from pipeline.control.services import Caller, Here, Services
from pipeline.orchestrate.base_overrides import HOT
from pipeline.orchestrate.desired import DesiredState

router = APIRouter(tags=["models"])

EXAMPLE: dict[str, Any] = {
    "name": "bottles",
    "running": True,
    "version": "1",
    "sha256": None,
    "image_size": [256, 416],
    "classes": None,
    "min_score": 0.25,
    "iou": 0.6,
    "agnostic": False,
    "max_detections": 300,
    "max_batch": 8,
    "runtime": "auto",
    "changed": {"min_score": 0.2},
    "recipes": ["bottles"],
    "lines": ["filling"],
    "cameras": ["cam-1", "cam-2"],
}


class ModelView(BaseModel):
    """A model version of the configuration, and who uses it, of what is yours."""

    model_config = {"json_schema_extra": {"examples": [EXAMPLE]}}

    name: str
    running: bool = Field(description="Whether it was started: those that a camera of the config file uses are.")
    version: str = Field(description="As every result tells it.")
    sha256: str | None = Field(description="Digest that its weights must have; null: any are taken.")
    image_size: tuple[int, int] = Field(description="Height and width it sees, pixels.")
    classes: tuple[str, ...] | None = Field(description="Classes kept; null: all.")
    min_score: float
    iou: float
    agnostic: bool
    max_detections: int
    max_batch: int
    runtime: str
    changed: dict[str, float | int] = Field(
        description="Of what was changed while it runs, what the config file says; null in a change takes that back."
    )
    recipes: list[str]
    lines: list[str]
    cameras: list[str]


class ModelList(BaseModel):
    """Models in the order of their names."""

    models: list[ModelView]


@router.get("/v1/models", summary="The models, and who uses them")
async def list_models(here: Here, caller: Caller) -> ModelList:
    """Those of the configuration; `running` ones can be asked with /v1/detect."""
    async with here.desired() as store:
        desired = await store.read()
    return ModelList(models=[view_of(here, caller, desired, name) for name in sorted(desired.config.models)])


@router.get("/v1/models/{model}", summary="One model, and who uses it")
async def get_model(here: Here, caller: Caller, model: ModelName) -> ModelView:
    """What it is set to, and which recipes, lines and cameras use it."""
    async with here.desired() as store:
        desired = await store.read()
    if model not in desired.config.models:
        raise unknown("model", model, desired.config.models)
    return view_of(here, caller, desired, model)


def view_of(here: Services, caller: Principal, desired: DesiredState, name: str) -> ModelView:
    """A model that the configuration names."""
    settings, in_file = desired.config.models[name], desired.file.models[name]
    used_by = [
        camera for camera in desired.cameras.values() if camera.model_name == name and caller.may_see(camera.line)
    ]
    return ModelView(
        name=name,
        running=name in here.models,
        version=settings.version,
        sha256=settings.sha256,
        image_size=settings.image_size,
        classes=settings.classes,
        min_score=settings.min_score,
        iou=settings.iou,
        agnostic=settings.agnostic,
        max_detections=settings.max_detections,
        max_batch=settings.max_batch,
        runtime=settings.runtime.value,
        changed={key: getattr(in_file, key) for key in HOT if getattr(settings, key) != getattr(in_file, key)},
        recipes=sorted(recipe for recipe, its in desired.config.recipes.items() if its.model == name),
        lines=sorted({camera.line for camera in used_by}),
        cameras=[camera.camera_id for camera in used_by],
    )
