"""Results as bytes for the wire, schema v1: plain dicts and orjson, because this runs once per frame."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from stages.values import Clock, Defect, Event, FrameResult, Inspection, ModelInfo, Position, Tracks, Uninspected

DETECTION_SCHEMA = "rayline.detection/1.0"
EVENT_SCHEMA = "rayline.event/1.0"
INSPECTION_SCHEMA = "rayline.inspection/1.2"
UNINSPECTED_SCHEMA = "rayline.uninspected/1.0"


@dataclass(frozen=True, slots=True)
class ResultContext:
    """What a camera's messages say beside its results: where it stands and what it was told to do."""

    line: str
    station: str
    source_kind: str  # rtsp | http | kafka | file | ...
    recipe: str | None = None
    config_hash: str | None = None
    counts: bool = True  # the line's parts are counted here


def message_id(camera: str, position: Position) -> str:
    """32 hex digits that are the same for the same frame of the same source, however often it is processed."""
    return hashlib.blake2b(f"{camera}\0{position.encode()}".encode(), digest_size=16).hexdigest()


def message_id_of(message: bytes) -> bytes:
    """The `message_id` of bytes built here, without reading the rest: it is always the first key."""
    head, found, tail = message.partition(b'{"message_id":"')
    text, quote, _ = tail.partition(b'"')
    if head or not found or not quote or b"\\" in text:
        return str(orjson.loads(message)["message_id"]).encode()
    return text


def detection_message(result: FrameResult, ctx: ResultContext, published_at: float | None = None) -> bytes:
    """One processed frame. `published_at` is Unix seconds, now if not given."""
    published_at = time.time() if published_at is None else published_at
    latency = {stage: round(took, 2) for stage, took in result.timings_ms.items()}
    total = _latency_ms(result.captured_at, published_at, result.clock)
    if total is not None:
        latency["total"] = total
    return orjson.dumps(
        {
            "message_id": message_id(result.camera_id, result.position),
            "schema": DETECTION_SCHEMA,
            "camera": result.camera_id,
            "line": ctx.line,
            "station": ctx.station,
            "source": _source(result.position, ctx),
            "seq": result.seq,
            "captured_at": rfc3339(result.captured_at),
            "clock": result.clock,
            "published_at": rfc3339(published_at),
            "size": {"width": result.size_wh[0], "height": result.size_wh[1]},
            "model": model_ref(result.model),
            "recipe": ctx.recipe,
            "config_hash": ctx.config_hash,
            "objects": object_list(result.tracks, result.model.class_names),
            "health": result.health,
            "dropped_since_last": dict(result.dropped),
            "latency_ms": latency,
            "error": result.error,
        }
    )


def event_message(event: Event, result: FrameResult, ctx: ResultContext, published_at: float | None = None) -> bytes:
    """One event that a frame gave rise to."""
    source = _source(result.position, ctx)
    return _event(event, result.camera_id, ctx, source, published_at)


def camera_event_message(event: Event, camera: str, ctx: ResultContext, published_at: float | None = None) -> bytes:
    """One event that no frame gave rise to: a camera lost, frames dropped, a setting changed."""
    return _event(event, camera, ctx, None, published_at)


def inspection_message(
    inspection: Inspection, result: FrameResult, ctx: ResultContext, published_at: float | None = None
) -> bytes:
    """One part and its verdict. `result` is the frame it was decided in: it names the model and the clock."""
    published_at = time.time() if published_at is None else published_at
    return orjson.dumps(
        {
            "message_id": inspection.inspection_id,
            "schema": INSPECTION_SCHEMA,
            "kind": "inspection",
            "inspection_id": inspection.inspection_id,
            "external_id": inspection.external_id,
            "camera": inspection.camera_id,
            "line": ctx.line,
            "station": inspection.station,
            "counts": ctx.counts,
            "source": _source(inspection.position, ctx),
            "track_id": inspection.track_id,
            "verdict": inspection.verdict,
            "reasons": list(inspection.reasons),
            "defects": [_defect(defect) for defect in inspection.defects],
            "votes": dict(inspection.votes),
            "box": _box(inspection.xyxy),
            "size": {"width": result.size_wh[0], "height": result.size_wh[1]},
            "captured_at": rfc3339(inspection.captured_at),
            "clock": result.clock,
            "decided_at": rfc3339(inspection.decided_at),
            "published_at": rfc3339(published_at),
            "model": model_ref(result.model),
            "recipe": ctx.recipe,
            "config_hash": ctx.config_hash,
            "snapshot": _snapshot(inspection),
            "snapshot_error": inspection.snapshot_error,
            "latency_ms": _latency_ms(inspection.captured_at, published_at, result.clock),
        },
        option=orjson.OPT_SERIALIZE_NUMPY,  # votes and ids come from array code
    )


def uninspected_message(
    interval: Uninspected, result: FrameResult, ctx: ResultContext, published_at: float | None = None
) -> bytes:
    """A stretch of time in which parts may have passed unseen; one message when it opens, one when it closes."""
    published_at = time.time() if published_at is None else published_at
    phase = "open" if interval.until is None else "closed"
    return orjson.dumps(
        {
            # An interval may be told twice; one id for both would make consumers drop its end.
            "message_id": f"{interval.interval_id}/{phase}",
            "schema": UNINSPECTED_SCHEMA,
            "kind": "uninspected",
            "interval_id": interval.interval_id,
            "camera": interval.camera_id,
            "line": ctx.line,
            "station": ctx.station,
            "source": _source(result.position, ctx),
            "since": rfc3339(interval.since),
            "until": None if interval.until is None else rfc3339(interval.until),
            "reason": interval.reason,
            "clock": result.clock,
            "published_at": rfc3339(published_at),
            "recipe": ctx.recipe,
            "config_hash": ctx.config_hash,
        }
    )


def model_ref(model: ModelInfo) -> dict[str, str]:
    """Which model spoke, as messages tell it: `ModelRef`."""
    return {
        "name": model.name,
        "version": model.version,
        "sha256": model.sha256,
        "variant": model.variant,
        "runtime": model.runtime,
    }


def object_list(tracks: Tracks, class_names: tuple[str, ...]) -> list[dict[str, Any]]:
    """What was seen, as messages tell it: a `DetectedObject` each."""
    if not len(tracks):
        return []
    # + 0.0 turns -0.0 into 0.0; float64 first, or 12.3 would leave as 12.300000190734863
    boxes = (tracks.xyxy.astype(np.float64).round(1) + 0.0).tolist()
    scores = tracks.score.astype(np.float64).round(4).tolist()
    known = len(class_names)
    return [
        {
            "id": track_id if track_id >= 0 else None,
            "label": class_names[class_id] if 0 <= class_id < known else f"class_{class_id}",
            "class_id": class_id,
            "score": score,
            "box": box,
        }
        for box, score, class_id, track_id in zip(
            boxes, scores, tracks.class_id.tolist(), tracks.track_id.tolist(), strict=True
        )
    ]


def rfc3339(unix_s: float) -> str:
    """Unix seconds as RFC 3339 in UTC with milliseconds, `2026-11-22T10:00:00.123Z`."""
    fraction, whole = math.modf(unix_s)
    carried, micros = divmod(round(fraction * 1e6), 1_000_000)  # rounded as datetime does
    return f"{_second(int(whole) + carried)}.{micros // 1000:03d}Z"


@lru_cache(maxsize=64)
def _second(unix_s: int) -> str:
    """Frames of one second, and of all cameras, share it."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat()[:-6]


def _event(
    event: Event, camera: str, ctx: ResultContext, source: Mapping[str, str] | None, published_at: float | None
) -> bytes:
    return orjson.dumps(
        {
            "message_id": event.event_id,
            "schema": EVENT_SCHEMA,
            "event_id": event.event_id,
            "kind": event.kind,
            "camera": camera,
            "line": ctx.line,
            "station": ctx.station,
            "source": source,
            "at": rfc3339(event.at),
            "published_at": rfc3339(time.time() if published_at is None else published_at),
            "recipe": ctx.recipe,
            "config_hash": ctx.config_hash,
            "data": dict(event.data),
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def _source(position: Position, ctx: ResultContext) -> dict[str, str]:
    return {"kind": ctx.source_kind, "position": position.encode()}


def _box(xyxy: tuple[float, float, float, float]) -> list[float]:
    return [round(float(value), 1) + 0.0 for value in xyxy]


def _defect(defect: Defect) -> dict[str, Any]:
    on_part = None if defect.part_xyxy is None else _box(defect.part_xyxy)
    return {"label": defect.label, "score": round(defect.score, 4), "box": _box(defect.xyxy), "part_box": on_part}


def _snapshot(inspection: Inspection) -> dict[str, Any] | None:
    if inspection.snapshot is None:
        return None
    part = None if inspection.snapshot_xyxy is None else _box(inspection.snapshot_xyxy)
    return {"uri": inspection.snapshot, "sha256": inspection.snapshot_sha256, "part_box": part}


def _latency_ms(captured_at: float, published_at: float, clock: Clock) -> float | None:
    """Milliseconds from capture to publish; None where `captured_at` is not a time of day."""
    return None if clock is Clock.MEDIA else round((published_at - captured_at) * 1000, 2)
