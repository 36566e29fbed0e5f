"""Where the track stage leaves frames of watched cameras, and the encoder takes the newest of each."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from stages.values import Frame, FrameResult, Inspection

CameraKey = tuple[str, str]  # line, camera

GONE_AFTER_S = 3.0  # a camera that gave no frame for so long is not asked about
VERDICT_SHOWN_S = 2.0
_MOST_VERDICTS = 16


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame to be shown, what came of it, and the parts judged lately."""

    frame: Frame
    result: FrameResult
    judged: tuple[Inspection, ...]


@dataclass(slots=True)
class _Watched:
    """What is kept of a camera while it is watched."""

    due_at: float
    judged: deque[Inspection] = field(default_factory=lambda: deque(maxlen=_MOST_VERDICTS))

    def lately(self, at: float) -> tuple[Inspection, ...]:
        return tuple(part for part in self.judged if at - part.captured_at <= VERDICT_SHOWN_S)


class PreviewDesk:
    """Bounded hand-over between threads: one frame a camera, the newest; who is behind misses the others.

    `offer` never waits for the encoder, and for a camera that nobody watches does next to nothing.
    """

    def __init__(self, fps: float, clock: Callable[[], float]) -> None:
        self._period_s = 1 / fps
        self._clock = clock
        self._seen_at: dict[CameraKey, float] = {}
        self._watched: dict[CameraKey, _Watched] = {}
        self._waiting: dict[CameraKey, Shot] = {}
        self._changed = threading.Condition()
        self._closed = False

    def offer(self, line: str, frame: Frame, result: FrameResult) -> None:
        """A frame was worked on."""
        key, now = (line, frame.camera_id), self._clock()
        self._seen_at[key] = now
        watched = self._watched.get(key)
        if watched is None:
            return
        watched.judged.extend(result.inspections)
        if now < watched.due_at:
            return
        watched.due_at = max(watched.due_at + self._period_s, now)  # on the beat, but never two at once
        with self._changed:
            self._waiting[key] = Shot(frame, result, watched.lately(frame.captured_at))
            self._changed.notify()

    def here(self) -> list[CameraKey]:
        """Cameras whose frames come here now."""
        oldest = self._clock() - GONE_AFTER_S
        for key in [key for key, seen_at in list(self._seen_at.items()) if seen_at < oldest]:
            del self._seen_at[key]
        return list(self._seen_at)

    def watch(self, keys: Collection[CameraKey]) -> None:
        """From now on these are watched, and no others."""
        known, now = self._watched, self._clock()
        self._watched = {key: known.get(key) or _Watched(now) for key in keys}

    @property
    def watched(self) -> frozenset[CameraKey]:
        """As `watch` said last."""
        return frozenset(self._watched)

    def take(self, timeout_s: float) -> dict[CameraKey, Shot]:
        """The newest frame of each camera that waits; nothing after `timeout_s`, or once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, max(0.0, timeout_s))
            taken, self._waiting = self._waiting, {}
        return taken

    def close(self) -> None:
        """Whoever waits in `take` is let go; frames are not kept any more."""
        with self._changed:
            self._closed = True
            self._watched = {}
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        """True once it is."""
        return self._closed
