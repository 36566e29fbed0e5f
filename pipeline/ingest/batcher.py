"""Gathers what is ready across a shard's cameras at the moment a batch can go."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass

from pipeline.ingest.handoff import Handoff, HandoffClosed
from pipeline.ingest.source import SourceError
from stages.values import CameraId, CameraNotice, EndOfStream, Frame, Position

_MOST_NOTICES = 256  # more than a shard's cameras can make while one batch is under way; the oldest go


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was ready: frames in order per camera, the ends that came behind them, and what cameras had to say."""

    frames: tuple[Frame, ...]
    ends: tuple[EndOfStream, ...] = ()
    notices: tuple[CameraNotice, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.frames or self.ends or self.notices)


class Batcher:
    """Fills batches of at most `max_batch` frames, one per camera per turn, a different camera first each time."""

    def __init__(self, max_batch: int) -> None:
        if max_batch < 1:
            raise ValueError(f"a batch holds at least one frame, got {max_batch}")
        self._max_batch = max_batch
        self._handoffs: dict[CameraId, Handoff] = {}
        self._last: dict[CameraId, tuple[int, Position | None]] = {}  # seq, and position where it can be read again
        self._notices: deque[CameraNotice] = deque(maxlen=_MOST_NOTICES)
        self._turn = 0
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._lock = threading.Lock()

    def add(self, camera_id: CameraId, handoff: Handoff) -> None:
        """Gathers from this camera too, from now on. From the loop's thread."""
        self.remove(camera_id)
        self._handoffs[camera_id] = handoff
        handoff.set_listener(self._wake)

    def remove(self, camera_id: CameraId) -> None:
        """Forgets a camera; what its hand-over still holds stays there. From the loop's thread."""
        handoff = self._handoffs.pop(camera_id, None)
        self._last.pop(camera_id, None)
        if handoff is not None:
            handoff.set_listener(None)

    def notice(self, notice: CameraNotice) -> None:
        """Sends a camera's new state with the next batch, at once if nothing else is ready. From the loop's thread."""
        self._notices.append(notice)
        self._wake()

    def __len__(self) -> int:
        return len(self._handoffs)

    async def next_batch(self) -> Gathered:
        """Waits until something is ready, then takes what is there, at most `max_batch` frames.

        One waiter at a time; cancelling it loses nothing.
        """
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        while True:
            with self._lock:
                self._waiting = (loop, ready)
            # Gather only after telling the producers that someone waits, or a frame could come unheard in between.
            if gathered := self._gather():
                with self._lock:
                    self._waiting = None
                return gathered
            await ready.wait()
            ready.clear()

    def _wake(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is None or waiting[0].is_closed():
            return
        waiting[0].call_soon_threadsafe(waiting[1].set)

    def _gather(self) -> Gathered:
        frames: list[Frame] = []
        ends: list[EndOfStream] = []
        turn = self._next_turn()
        while turn and len(frames) < self._max_batch:
            turn = [camera_id for camera_id in turn if self._take_one(camera_id, frames, ends)]
        notices = tuple(self._notices)
        self._notices.clear()
        return Gathered(tuple(frames), tuple(ends), notices)

    def _next_turn(self) -> list[CameraId]:
        cameras = list(self._handoffs)
        if not cameras:
            return []
        self._turn = (self._turn + 1) % len(cameras)
        return cameras[self._turn :] + cameras[: self._turn]

    def _take_one(self, camera_id: CameraId, frames: list[Frame], ends: list[EndOfStream]) -> bool:
        """Takes the camera's next frame or end; False when it has no more to give now."""
        if len(frames) >= self._max_batch:
            return False
        try:
            item = self._handoffs[camera_id].try_take()
        except (HandoffClosed, SourceError) as error:
            seq, position = self._last.get(camera_id, (-1, None))
            ends.append(EndOfStream(camera_id, seq, str(error), position))
            self.remove(camera_id)
            return False
        if isinstance(item, Frame):
            self._last[camera_id] = (item.seq, None if item.position.is_live else item.position)
            frames.append(item)
        elif isinstance(item, EndOfStream):
            ends.append(item)
            self.remove(camera_id)  # nothing comes behind an end
        return isinstance(item, Frame)
