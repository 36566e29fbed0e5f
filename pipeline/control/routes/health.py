"""Whether it lives, and whether it can do its work: for probes, which have no token and are told no more than that."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from pipeline.control.problems import busy
from pipeline.control.services import Here

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """It answers."""

    status: Literal["ok"] = Field("ok", examples=["ok"])


class Ready(BaseModel):
    """The models answer, Redis answers, and the cameras' supervisor reports."""

    status: Literal["ready"] = Field("ready", examples=["ready"])


@router.get("/healthz", summary="Is this process alive?")
async def healthz() -> Alive:
    """Says nothing of what is behind it: restart on this, not on /readyz."""
    return Alive()


@router.get("/readyz", summary="Can it do its work?")
async def readyz(here: Here) -> Ready:
    """503 until the models are loaded, and while Redis or the supervisor is away."""
    if not await here.detector.is_ready():
        raise busy("a model is not ready yet")
    async with here.state() as state:
        if await state.read(()) is None:  # no camera: whether anybody reports is all
            raise busy("nothing reports: is `rayline up` running?")
    return Ready()
