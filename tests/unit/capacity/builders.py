"""A demand to be changed in one place at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline.capacity.demand import Cameras, Demand, Model, Site

_CAMERAS = Cameras(100, 10.0, 20.0, 1280, 720)
_MODEL = Model("mine", cpu_ms=50.0)
_SITE = Site(frames_per_batch=2.0)


def demand(cameras: dict[str, Any] | None = None, model: Model | None = None, **site: Any) -> Demand:
    return Demand(replace(_CAMERAS, **(cameras or {})), model or _MODEL, replace(_SITE, **site))
