"""A line changes over to another recipe of its model."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from pipeline.control.access.roles import Principal
from pipeline.control.authors import By
from pipeline.control.names import LineName, unknown
from pipeline.control.services import Caller, Here
from pipeline.names import NAME_PATTERN
from pipeline.orchestrate.changeover import Changeover, changeover_of
from pipeline.orchestrate.desired import DesiredState

router = APIRouter(tags=["lines"])

EXAMPLE: dict[str, Any] = {
    "line": "filling",
    "change_id": "6f1c0d3b9a4e4d07",
    "from": "small",
    "to": "large",
    "asked_at": 1795860000.0,
    "state": "pending",
    "cameras": [
        {"camera": "cam-1", "recipe": "small", "state": "pending", "reason": "it works by 'small' until a gap"},
        {"camera": "cam-2", "recipe": "lids", "state": "own", "reason": "it names a recipe of its own"},
    ],
}


class RecipeGiven(BaseModel):
    """The recipe to change to."""

    model_config = {"extra": "forbid"}

    recipe: Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)] = Field(
        description="Name of an entry of `recipes`, of the model that the line runs.", examples=["large"]
    )


@router.put(
    "/v1/lines/{line}/recipe",
    summary="Change a line over to another recipe",
    status_code=202,
    responses={
        200: {"description": "It is in force already.", "model": Changeover},
        202: {"content": {"application/json": {"example": EXAMPLE}}},
    },
)
async def change_recipe(
    here: Here, caller: Caller, by: By, line: LineName, given: RecipeGiven, response: Response
) -> Changeover:
    """Each camera changes in a gap between parts; the line's `changeover` tells when it has.

    It is for the cameras that name no recipe of their own. The same recipe asked for again is the same change.
    """

    def expect(desired: DesiredState) -> None:
        _require_line(desired, caller, line)

    async with here.desired() as store:
        desired = await store.set_recipe(line, given.recipe, expect, by)
    async with here.state() as states:
        changeover = changeover_of(desired, await states.read(desired.cameras_on(line)), line)
    if changeover.state == "done":
        response.status_code = 200
    return changeover


def _require_line(desired: DesiredState, caller: Principal, line: str) -> None:
    names = caller.visible(desired.config.line_ids())
    if line not in names:
        raise unknown("line", line, names)
