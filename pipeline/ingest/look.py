"""A short look at a camera, outside the pipeline: its last pictures, and let go."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace

from pipeline.ingest.camera import make_source
from pipeline.ingest.camera_settings import CameraSettings
from pipeline.ingest.source import SourceFrame, SourceLost, made

LOOK_S = 1.0  # long enough that one of the pictures is one the pipeline took too
MOST_PICTURES = 32


@dataclass(frozen=True, slots=True)
class Look:
    """What a look saw."""

    pictures: list[SourceFrame]  # at least one
    codec: str  # "" where nobody knows

    @property
    def fps(self) -> float | None:
        """Pictures a second; None where there were too few to tell."""
        first, last = self.pictures[0], self.pictures[-1]
        took_s = last.received_at - first.received_at
        return (len(self.pictures) - 1) / took_s if len(self.pictures) > 2 and took_s > 0 else None


def take_pictures(settings: CameraSettings, timeout_s: float, look_s: float = LOOK_S) -> list[SourceFrame]:
    """The last pictures of `look_s` after the first, at most 32; of a replayable source the first alone.

    Raises SourceError where none comes within `timeout_s`, or why there can be none.
    """
    return look_at(settings, timeout_s, look_s).pictures


def look_at(settings: CameraSettings, timeout_s: float, look_s: float = LOOK_S) -> Look:
    """The same, with what else shows."""
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
    return Look(list(pictures), source.codec)
