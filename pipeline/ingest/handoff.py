"""The hand-over between a camera's decode thread and whoever takes its frames: bounded, heard, leavable."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.ingest.source import UnmadePicture
from stages.errors import RaylineError
from stages.values import CameraId, Clock, EndOfStream, Frame, Position

QUEUE_FULL = "queue_full"


class OnFull(StrEnum):
    """What `put` does when there is no room."""

    DROP_OLDEST = "drop_oldest"  # live: the freshest frame wins, the oldest goes and is counted
    WAIT = "wait"  # files and Kafka: nothing is lost, the producer waits


class HandoffClosed(RaylineError):
    """The other side is done; nothing more can be put or taken."""


@dataclass(frozen=True, slots=True)
class UnmadeFrame:
    """A frame whose picture is made when it is taken: dropped ones then cost no copy."""

    camera_id: CameraId
    seq: int
    captured_at: float
    clock: Clock
    position: Position
    image: UnmadePicture
    received_at: float
    follows: Position | None = None
    decode_s: float = 0.0

    def made(self, dropped: Mapping[str, int]) -> Frame:
        """The frame with its picture."""
        return Frame(
            self.camera_id, self.seq, self.captured_at, self.clock, self.position, self.image.make(), self.received_at,
            dropped, self.follows, self.decode_s,
        )  # fmt: skip


class Handoff:
    """Frames of one camera, in order, at most `capacity` of them. An EndOfStream always has room."""

    def __init__(self, capacity: int, on_full: OnFull) -> None:
        if capacity < 1:
            raise ValueError(f"a hand-over needs room for at least one frame, got {capacity}")
        self.on_full = on_full
        self._capacity = capacity
        self._held: deque[tuple[Frame | UnmadeFrame | EndOfStream, Counter[str] | None]] = deque()
        self._lost: Counter[str] | None = None  # since the newest held
        self._totals: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._listener: Callable[[], None] | None = None

    def put(self, item: Frame | UnmadeFrame | EndOfStream) -> None:
        """Hands one over. DROP_OLDEST never blocks, WAIT blocks until there is room. Raises HandoffClosed."""
        with self._changed:
            if not isinstance(item, EndOfStream):
                self._make_room()
            if self._closed:
                raise HandoffClosed("the hand-over is closed")
            lost, self._lost = self._lost, None
            self._held.append((item, lost))
            self._changed.notify_all()
        self._tell()

    def _make_room(self) -> None:
        if self.on_full is OnFull.WAIT:
            while len(self._held) >= self._capacity and not self._closed:
                self._changed.wait()  # left by take and by close
            return
        while len(self._held) >= self._capacity and not isinstance(self._held[0][0], EndOfStream):
            _, lost = self._held.popleft()
            self._totals[QUEUE_FULL] += 1
            lost = Counter() if lost is None else lost
            lost[QUEUE_FULL] += 1
            self._carry(lost)

    def _carry(self, lost: Counter[str]) -> None:
        """Losses before the head belong to the frame now at the head. Called for every frame under load."""
        if not self._held:
            self._lost = _both(lost, self._lost)
            return
        item, own = self._held[0]
        self._held[0] = (item, _both(lost, own))

    def count_drop(self, reason: str, count: int = 1) -> None:
        """Counts frames that were lost before they could be put; the next frame put will carry it."""
        if count < 1:
            return
        with self._changed:
            self._totals[reason] += count
            self._lost = self._lost if self._lost is not None else Counter()
            self._lost[reason] += count

    def take(self, timeout_s: float = 0.0) -> Frame | EndOfStream:
        """Oldest held. Raises TimeoutError, or once nothing is left the producer's error or HandoffClosed."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._held:
                self._raise_if_closed()
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"no frame within {timeout_s} s")
                self._changed.wait(left)
            taken = self._pop()
        return _made(*taken)

    def try_take(self) -> Frame | EndOfStream | None:
        """Oldest held, or None if there is none yet. Raises the producer's error or HandoffClosed when all is taken."""
        with self._changed:
            if not self._held:
                self._raise_if_closed()
                return None
            taken = self._pop()
        return _made(*taken)

    def _pop(self) -> tuple[Frame | UnmadeFrame | EndOfStream, Counter[str] | None]:
        self._changed.notify_all()
        return self._held.popleft()

    def _raise_if_closed(self) -> None:
        if self._error is not None:
            raise self._error
        if self._closed:
            raise HandoffClosed("the hand-over is closed")

    def close(self, error: BaseException | None = None) -> None:
        """No more will be put; a blocked `put` is left, what is held can still be taken. The first close counts."""
        with self._changed:
            if self._closed:
                return
            self._closed, self._error = True, error
            self._changed.notify_all()
        self._tell()

    def set_listener(self, listener: Callable[[], None] | None) -> None:
        """Called, from any thread and outside the lock, whenever something became ready; must not block."""
        self._listener = listener
        if listener is not None and self.is_ready:
            listener()

    def _tell(self) -> None:
        if (listener := self._listener) is not None:
            listener()

    @property
    def is_ready(self) -> bool:
        """True if `try_take` would give something or raise."""
        with self._changed:
            return bool(self._held) or self._closed

    def drop_counts(self) -> dict[str, int]:
        """Frames lost so far, by reason."""
        with self._changed:
            return dict(self._totals)

    def __len__(self) -> int:
        return len(self._held)


def _both(lost: Counter[str], others: Counter[str] | None) -> Counter[str]:
    if others:
        lost.update(others)
    return lost


def _made(item: Frame | UnmadeFrame | EndOfStream, lost: Counter[str] | None) -> Frame | EndOfStream:
    """What the consumer gets; outside the lock, for it may copy a picture."""
    if isinstance(item, UnmadeFrame):
        return item.made(dict(lost or ()))
    if lost and isinstance(item, Frame):
        return replace(item, dropped={**item.dropped, **lost})
    return item
