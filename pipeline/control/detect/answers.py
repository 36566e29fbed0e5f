"""What `POST /v1/detect` answers: objects, sizes and models as the messages of wire schema v1 tell them."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from pydantic import BaseModel, Field

from pipeline.control.detect.refusals import ImageFailed
from stages.results.messages import model_ref, object_list
from stages.results.models import DetectedObject, ModelRef, Size
from stages.values import Detections, ModelInfo, Tracks

ANSWER_SCHEMA = "rayline.detect/1.0"


class ImageAnswer(BaseModel):
    """One image. Where `error` tells why it could not be worked on, there is nothing else."""

    size: Size | None = Field(description="Of the picture as decoded and turned upright; boxes are in its pixels.")
    model: ModelRef | None
    objects: list[DetectedObject] = Field(description="Best first; `id` is null, for nothing is tracked.")
    latency_ms: dict[str, float] = Field(
        description="Milliseconds by stage: fetch, decode, wait, preprocess and detect (of its whole batch), annotate, "
        "total."
    )
    annotated_base64: str | None = Field(description="A JPEG with the objects drawn in, where `annotate` asked for it.")
    error: str | None


class DetectAnswer(BaseModel):
    """All images of a request, in their order."""

    schema_: str = Field(alias="schema", pattern=r"^rayline\.detect/1\.\d+$")
    images: list[ImageAnswer]


@dataclass(frozen=True, slots=True)
class Answered:
    """One image and what was seen in it."""

    size_wh: tuple[int, int]
    model: ModelInfo
    tracks: Tracks
    latency_ms: Mapping[str, float]
    jpeg: bytes | None = None


def answer_body(outcomes: Sequence[Answered | ImageFailed]) -> bytes:
    """A DetectAnswer."""
    return orjson.dumps({"schema": ANSWER_SCHEMA, "images": [_image(one) for one in outcomes]})


def untracked(found: Detections) -> Tracks:
    """The same objects, of no identity."""
    return Tracks(found.xyxy, found.score, found.class_id, np.full(len(found), -1, np.int32))


def _image(one: Answered | ImageFailed) -> dict[str, Any]:
    if isinstance(one, ImageFailed):
        return {
            "size": None,
            "model": None,
            "objects": [],
            "latency_ms": {},
            "annotated_base64": None,
            "error": str(one),
        }
    return {
        "size": {"width": one.size_wh[0], "height": one.size_wh[1]},
        "model": model_ref(one.model),
        "objects": object_list(one.tracks, one.model.class_names),
        "latency_ms": {stage: round(took, 2) for stage, took in one.latency_ms.items()},
        "annotated_base64": None if one.jpeg is None else base64.b64encode(one.jpeg).decode(),
        "error": None,
    }
