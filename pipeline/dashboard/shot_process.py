"""The process that takes a test shot: a camera's settings in by standard input, its picture or why there is none out.

It loads nothing of the page: what hangs or crashes with a camera takes the page nowhere.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import orjson

_NICE = 10  # the line goes first
_WIDTH = 960


def main() -> None:
    """The process."""
    os.nice(_NICE)
    told = orjson.loads(sys.stdin.buffer.read())
    sys.stdout.buffer.write(_answer(told["settings"], told["timeout_s"]))


def _answer(settings: dict[str, Any], timeout_s: float) -> bytes:
    import cv2

    from pipeline.ingest.camera_settings import CameraSettings
    from pipeline.ingest.look import look_at
    from pipeline.ingest.source import SourceError, made
    from pipeline.sinks.preview_picture import shrunk

    # Only what opens it: whether the recipe fits is for who saves it.
    camera = CameraSettings(**{name: value for name, value in settings.items() if name in CameraSettings.model_fields})
    try:
        look = look_at(camera, timeout_s)
    except SourceError as exc:
        return orjson.dumps({"error": str(exc)})
    picture = made(look.pictures[-1].image)
    fine, jpeg = cv2.imencode(".jpg", shrunk(picture, _WIDTH))
    if not fine:
        return orjson.dumps({"error": "its picture cannot be encoded"})
    head = {"width": picture.width, "height": picture.height, "fps": look.fps, "codec": look.codec}
    return orjson.dumps(head) + b"\n" + jpeg.tobytes()


if __name__ == "__main__":
    main()
