"""The Redis keys of a line; the braces keep them on one slot, so one script may write them all."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ANY = "*"


class CameraKeys(NamedTuple):
    """Where one camera's results go."""

    cursor: str
    detections: str
    events: str
    inspections: str
    readers: str


@lru_cache(maxsize=4096)
def camera_keys(line: str, camera: str) -> CameraKeys:
    """Keys of a camera on a line. Raises ValueError if a name could leave its place in a key."""
    for name in (line, camera):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a line or camera name: letters, digits, '_', '.' and '-' only")
    base = f"rayline:{{{line}}}"
    return CameraKeys(
        cursor=f"{base}:cursor:{camera}",
        detections=f"{base}:detections:{camera}",
        events=f"{base}:events:{camera}",
        inspections=f"{base}:inspections",
        readers=readers_key(line),
    )


def readers_key(line: str) -> str:
    """Where a line's registered readers note how far they are: nothing they have not seen is trimmed."""
    return f"rayline:{{{line}}}:readers"


def count_key(line: str) -> str:
    """Where a line's count and that of its part counter are kept."""
    return f"rayline:{{{line}}}:count"


def watch_key(line: str, camera: str) -> str:
    """There while somebody watches the camera."""
    return _picture_key("watch", line, camera)


def preview_key(line: str, camera: str) -> str:
    """A stream of the newest pictures for those who watch."""
    return _picture_key("preview", line, camera)


def _picture_key(kind: str, line: str, camera: str) -> str:
    camera_keys(line, camera)  # raises where a name could leave its place
    return f"rayline:{{{line}}}:{kind}:{camera}"


TRACES = "rayline:traces"  # a stream: each entry the roads of one batch's frames
TRACE_SAMPLE = "rayline:traces:sample"  # the share of batches that somebody who looks wants traced


def stream_pattern(kind: str, line: str = _ANY, camera: str = _ANY) -> str:
    """Redis glob of the streams of a kind: detections, events or inspections."""
    base = f"rayline:{{{line}}}:{kind}"
    return base if kind == "inspections" else f"{base}:{camera}"


def line_and_stream(key: str) -> tuple[str, str]:
    """(line, what stands behind it) of a line's key: ("L1", "detections:cam-1")."""
    line, _, rest = key.removeprefix("rayline:{").partition("}:")
    return line, rest


def dead_key(stream: str, group: str) -> str:
    """Where a group's dead letters of a stream go, on the stream's slot. Raises ValueError for a bad group name."""
    if not is_key_name(group):
        raise ValueError(f"{group!r} cannot be a group name: letters, digits, '_', '.' and '-' only")
    return f"{stream[: stream.index('}') + 1]}:dead:{group}"


def is_key_name(name: str) -> bool:
    """True where the name can stay in its place in a key."""
    return _NAME.fullmatch(name) is not None


def cursor_owner(key: str) -> tuple[str, str]:
    """(line, camera) of a cursor key."""
    line, camera = key.removeprefix("rayline:{").split("}:cursor:", 1)
    return line, camera
