"""Which messages of a partition are still under way, and up to where all are done."""

from __future__ import annotations

import threading


class OffsetLedger:
    """Offsets begin in rising order, on one thread, and are done in any, on another."""

    def __init__(self, start: int) -> None:
        self._next = start
        self._open: dict[int, int] = {}  # offset -> pictures still under way; in rising order
        self._lock = threading.Lock()

    def begin(self, offset: int) -> None:
        """The message is being worked on."""
        with self._lock:
            self._open[offset] = 1
            self._next = offset + 1

    def expect(self, offset: int, pictures: int) -> None:
        """It gave so many pictures; none: it is done."""
        with self._lock:
            if pictures:
                self._open[offset] = pictures
            else:
                self._open.pop(offset, None)

    def done(self, offset: int, pictures: int = 1) -> None:
        """So many of its pictures are published or lost for good, or it is a dead letter."""
        with self._lock:
            left = self._open.get(offset, 0) - pictures
            if left > 0:
                self._open[offset] = left
            else:
                self._open.pop(offset, None)

    @property
    def low_water(self) -> int:
        """Every message before this offset is done."""
        with self._lock:
            return next(iter(self._open), self._next)
