"""A short look at a camera, outside the pipeline: its last pictures, and let go."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace

from pipeline.ingest.camera import make_source
from pipeline.ingest.camera_settings import CameraSettings
from pipeline.ingest.source import SourceFrame, SourceLost, made

LOOK_S = 1.0  # long enough that one of the pictures is one the pipeline took too
MOST_PICTURES = 32


def take_pictures(settings: CameraSettings, timeout_s: float, look_s: float = LOOK_S) -> list[SourceFrame]:
    """The last pictures of `look_s` after the first, at most 32; of a replayable source the first alone.

    Raises SourceError where none comes within `timeout_s`, or why there can be none.
    """
    settings = settings.model_copy(update={"open_timeout_s": min(settings.open_timeout_s, timeout_s)})
    source = make_source(settings)
    timer = threading.Timer(timeout_s, source.cancel)
    timer.daemon = True
    timer.start()
    try:
        source.open()
        pictures: deque[SourceFrame] = deque(maxlen=MOST_PICTURES)
        until = 0.0
        for frame in source.frames():
            if not isinstance(frame, SourceFrame):
                continue
            until = until or time.monotonic() + look_s
            pictures.append(replace(frame, image=made(frame.image)))  # the decoder has only so many
            if not source.live or time.monotonic() >= until:
                break
    finally:
        timer.cancel()
        source.close()
    if not pictures:
        raise SourceLost(f"{settings.url} gave no picture within {timeout_s:.0f} s")
    return list(pictures)
