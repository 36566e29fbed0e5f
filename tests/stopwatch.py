"""Time held against a promise, less what the machine took for itself."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

_TICK_S = 0.01
_JITTER_S = 0.03  # a tick so late is no standstill


class Stopwatch:
    """Seconds in which this process ran, or waited and could have run.

    A shared machine stands still for up to a second; no promise of Rayline's holds then. A thread that sleeps and wakes
    sees it: it wakes late. What the process itself computed meanwhile counts, for that may be what kept the thread.
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="stopwatch", daemon=True)
        self._began = self._seen = time.monotonic()
        self._ended: float | None = None
        self.stood_still_s = 0.0

    def __enter__(self) -> Self:
        self._began = self._seen = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = time.monotonic()
        self._over.set()
        self._thread.join()

    def restart(self) -> None:
        """From now on it counts anew."""
        self._began, self.stood_still_s = time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        """Since it began, until now or its end."""
        return (self._ended or time.monotonic()) - self._began - self.stood_still_s

    def _look(self) -> None:
        computed = time.process_time()
        while True:
            is_over = self._over.wait(_TICK_S)
            now, until_now = time.monotonic(), time.process_time()
            late = (self._ended or now) - self._seen - _TICK_S - (until_now - computed)
            if late > _JITTER_S:
                self.stood_still_s += late
            self._seen, computed = now, until_now
            if is_over:
                return
