"""Messages as they are published, a few words each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import orjson

from stages.results.messages import rfc3339

AT = 1_795_000_020.125  # Unix seconds; its minute began 0.125 s before
_numbers = itertools.count(1)


def part(
    name: str | None = None,
    *,
    at: float = AT,
    verdict: str = "pass",
    labels: Sequence[str] = (),
    line: str = "filling",
    camera: str = "cam-1",
    **fields: Any,
) -> bytes:
    """An inspection; without a name one of its own."""
    part_id = name or f"{camera}/{next(_numbers)}"
    return orjson.dumps(
        {
            "message_id": part_id,
            "schema": "rayline.inspection/1.1",
            "kind": "inspection",
            "inspection_id": part_id,
            "external_id": None,
            "camera": camera,
            "line": line,
            "station": "capper",
            "counts": True,
            "source": {"kind": "rtsp", "position": "live|1|1"},
            "track_id": 1,
            "verdict": verdict,
            "reasons": list(labels),
            "defects": [{"label": label, "score": 0.9, "box": [0, 0, 1, 1]} for label in labels],
            "votes": {"usable": 3},
            "box": [0, 0, 9, 9],
            "size": {"width": 64, "height": 48},
            "captured_at": rfc3339(at),
            "clock": "arrival",
            "decided_at": rfc3339(at + 0.25),
            "published_at": rfc3339(at + 0.5),
            "model": {"name": "bottles", "version": "3", "sha256": "ab", "variant": "live", "runtime": "onnx"},
            "recipe": "cola",
            "config_hash": "abc",
            "snapshot": None,
            "snapshot_error": None,
            "latency_ms": 500.0,
            **fields,
        }
    )


def interval(
    name: str, until: float | None = None, *, since: float = AT, line: str = "filling", camera: str = "cam-1"
) -> bytes:
    """A time nobody inspected: it begins, or with `until` it ends."""
    return orjson.dumps(
        {
            "message_id": f"{name}/{'open' if until is None else 'closed'}",
            "schema": "rayline.uninspected/1.0",
            "kind": "uninspected",
            "interval_id": name,
            "camera": camera,
            "line": line,
            "station": "capper",
            "source": {"kind": "rtsp", "position": "live|1|1"},
            "since": rfc3339(since),
            "until": None if until is None else rfc3339(until),
            "reason": "black",
            "clock": "arrival",
            "published_at": rfc3339(since),
            "recipe": "cola",
            "config_hash": "abc",
        }
    )


def event(
    name: str, kind: str = "camera_health", *, at: float = AT, line: str = "filling", camera: str = "cam-1", **data: Any
) -> bytes:
    """Something that happened."""
    return orjson.dumps(
        {
            "message_id": name,
            "schema": "rayline.event/1.0",
            "event_id": name,
            "kind": kind,
            "camera": camera,
            "line": line,
            "station": "capper",
            "source": None,
            "at": rfc3339(at),
            "published_at": rfc3339(at),
            "recipe": None,
            "config_hash": None,
            "data": data,
        }
    )
