"""Wire schema v1 as pydantic models: what consumers parse, and where the JSON Schemas come from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from stages.errors import RaylineError
from stages.results.messages import DETECTION_SCHEMA, EVENT_SCHEMA, INSPECTION_SCHEMA, UNINSPECTED_SCHEMA
from stages.values import Clock, HealthState, Verdict


class MessageError(RaylineError):
    """Bytes that are no message of a schema version known here; the text names the schema and the field."""


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


Time = Annotated[AwareDatetime, PlainSerializer(_rfc3339, when_used="json")]
Box = Annotated[
    tuple[float, float, float, float],
    Field(description="x1 y1 x2 y2 in source pixels, rounded to 0.1; the origin is the picture's top left corner."),
]


class Part(BaseModel):
    """Base of all models here: unknown fields are ignored, since a later 1.x may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, use_enum_values=False)


class Size(Part):
    """Size of the source picture in pixels."""

    width: int = Field(ge=1)
    height: int = Field(ge=1)


class SourceRef(Part):
    """Where in which source a frame stands."""

    kind: str = Field(description="What was read: rtsp, http, kafka, file, ...")
    position: str = Field(description="Strictly rises within one source as text: `source|major|minor`, zero-padded.")


class ModelRef(Part):
    """Which model spoke."""

    name: str
    version: str
    sha256: str = Field(description="Of the weights file.")
    variant: str = Field(description="live or canary; shadow results are never published.")
    runtime: str = Field(description="torch, onnx, openvino or tensorrt.")


class DetectedObject(Part):
    """One object in a frame."""

    id: int | None = Field(description="Track id, counted per camera; null when the object is not tracked.")
    label: str
    class_id: int
    score: float = Field(ge=0, le=1)
    box: Box


class DetectionMessage(Part):
    """One processed frame of one camera."""

    message_id: str = Field(description="The same on every replay of this frame: drop what you have seen.")
    schema_: str = Field(alias="schema", pattern=r"^rayline\.detection/1\.\d+$")
    camera: str
    line: str
    station: str
    source: SourceRef
    seq: int = Field(ge=0, description="Counts every frame the source gave in this run; a gap shows loss.")
    captured_at: Time = Field(description="RFC 3339, UTC, milliseconds; read from `clock`.")
    clock: Clock = Field(description="rtcp: camera's clock; arrival: ours; media: file time; message: producer's.")
    published_at: Time
    size: Size
    model: ModelRef
    recipe: str | None
    config_hash: str | None
    objects: list[DetectedObject]
    health: HealthState = Field(description="What the camera can see; objects of an unhealthy picture prove nothing.")
    dropped_since_last: dict[str, int] = Field(description="Frames of this camera dropped since the one before.")
    latency_ms: dict[str, float] = Field(description="Milliseconds by stage; `total` is capture to publish.")
    error: str | None = Field(description="Why this frame could not be worked on; objects is empty then.")


class EventMessage(Part):
    """Something that happened at a camera."""

    message_id: str = Field(description="Equals event_id.")
    schema_: str = Field(alias="schema", pattern=r"^rayline\.event/1\.\d+$")
    event_id: str
    kind: str = Field(
        description="line_crossed, zone_entered, zone_left, camera_health, camera_state, recipe_changed, "
        "recipe_refused, system."
    )
    camera: str
    line: str
    station: str
    source: SourceRef | None = Field(description="The frame it was seen in; null when no frame gave rise to it.")
    at: Time
    published_at: Time
    recipe: str | None
    config_hash: str | None
    data: dict[str, Any] = Field(description="Depends on kind.")


class DefectFound(Part):
    """One defect on a part, in the frame it was seen best."""

    label: str
    score: float = Field(ge=0, le=1)
    box: Box
    part_box: Box | None = Field(None, description="The part in that frame; null where nobody knows. Since 1.2.")


class Snapshot(Part):
    """A stored picture of a part."""

    uri: str
    sha256: str | None
    part_box: tuple[float, float, float, float] | None = Field(
        None, description="The part in the stored picture, x1 y1 x2 y2 in the stored picture's pixels. Since 1.2."
    )


class InspectionMessage(Part):
    """One part and its one verdict."""

    message_id: str = Field(description="Equals inspection_id.")
    schema_: str = Field(alias="schema", pattern=r"^rayline\.inspection/1\.\d+$")
    kind: Literal["inspection"]
    inspection_id: str = Field(description="camera / run of birth / track id.")
    external_id: str | None = Field(description="Serial number from a reader or PLC; null until one gives it.")
    camera: str
    line: str
    station: str
    counts: bool = Field(
        True, description="The line's parts are counted at this station: count entries where this is true. Since 1.1."
    )
    source: SourceRef
    track_id: int
    verdict: Verdict
    reasons: list[str]
    defects: list[DefectFound]
    votes: dict[str, int] = Field(
        description="Feature or defect: frames it was seen in; `usable`: frames that counted."
    )
    box: Box
    size: Size
    captured_at: Time = Field(description="When the part's centre crossed the trigger.")
    clock: Clock
    decided_at: Time
    published_at: Time
    model: ModelRef
    recipe: str | None
    config_hash: str | None
    snapshot: Snapshot | None = Field(description="null: none was asked for, or see snapshot_error.")
    snapshot_error: str | None
    latency_ms: float | None = Field(description="captured_at to published_at; null when clock is media.")


class UninspectedMessage(Part):
    """A stretch of time in which parts may have passed unseen."""

    message_id: str = Field(description="interval_id with /open or /closed: an interval may be told twice.")
    schema_: str = Field(alias="schema", pattern=r"^rayline\.uninspected/1\.\d+$")
    kind: Literal["uninspected"]
    interval_id: str
    camera: str
    line: str
    station: str
    source: SourceRef
    since: Time
    until: Time | None = Field(description="null while it lasts.")
    reason: str
    clock: Clock
    published_at: Time
    recipe: str | None
    config_hash: str | None


Message = DetectionMessage | EventMessage | InspectionMessage | UninspectedMessage

_MODELS: dict[str, type[Message]] = {
    "detection": DetectionMessage,
    "event": EventMessage,
    "inspection": InspectionMessage,
    "uninspected": UninspectedMessage,
}
_VERSIONS = {
    "detection": DETECTION_SCHEMA,
    "event": EVENT_SCHEMA,
    "inspection": INSPECTION_SCHEMA,
    "uninspected": UNINSPECTED_SCHEMA,
}


def parse_message(data: bytes) -> Message:
    """The message in `data`, any 1.x version of any stream. Raises MessageError."""
    try:
        raw = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise MessageError(f"not JSON: {exc}") from None
    schema = raw.get("schema") if isinstance(raw, dict) else None
    model = _MODELS.get(_kind_of_v1(schema))
    if model is None:
        raise MessageError(f"schema {schema!r} is not one of rayline.{{{','.join(_MODELS)}}}/1.x")
    try:
        return model.model_validate(raw)
    except ValidationError as exc:
        where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()[:5])
        raise MessageError(f"{schema}: {where}") from None


def export_schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema by message name: detection, event, inspection, uninspected."""
    return {name: _schema(_VERSIONS[name], model) for name, model in _MODELS.items()}


def _schema(version: str, model: type[Message]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": version, **schema}


def _kind_of_v1(schema: object) -> str:
    if not isinstance(schema, str) or not schema.startswith("rayline."):
        return ""
    name, _, version = schema.removeprefix("rayline.").partition("/")
    return name if version.startswith("1.") else ""
