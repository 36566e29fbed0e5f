"""A decode thread with what others may know of it and do to it while it sits in a call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum

from pipeline.ingest.source import Source


class Phase(StrEnum):
    """Where a decode thread is: what its silence means."""

    BETWEEN = "between"  # waits before the next try
    OPENING = "opening"
    READING = "reading"
    DELIVERING = "delivering"  # the consumer is slow, not the source


class Reader:
    """One thread of a camera. A camera has one that counts; others are leftovers sitting in a call that hangs."""

    def __init__(self, name: str, clock: Callable[[], float], delay_s: float) -> None:
        self.cancelled = threading.Event()
        self.delay_s = delay_s  # before the next connection
        self.phase = Phase.BETWEEN
        self.phase_from = clock()  # for READING: since the last picture
        self._clock = clock
        self._name = name
        self._source: Source | None = None
        self._free = threading.Event()
        self._free.set()
        self._last_picture = self.phase_from
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[Reader], None]) -> None:
        """Begins `work(self)`. A daemon: a call that never returns must not keep the process alive."""
        self._thread = threading.Thread(target=work, args=(self,), name=self._name, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """True while its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Waits for the thread's end; True if it came."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self.is_alive

    def adopt(self, source: Source) -> None:
        """From the thread: this is what `cancel` must reach."""
        self._source = source
        if self.cancelled.is_set():
            source.cancel()

    def cancel(self) -> None:
        """Asks it to end as soon as its call returns."""
        self.cancelled.set()
        self._free.set()
        if (source := self._source) is not None:
            source.cancel()

    def hold(self) -> None:
        """It must not deliver until `go_on`."""
        self._free.clear()

    def go_on(self) -> None:
        """It may deliver again."""
        self._free.set()

    @property
    def is_held(self) -> bool:
        """True between `hold` and `go_on`."""
        return not self._free.is_set()

    def wait_while_held(self) -> None:
        """From the thread: returns when it may deliver, or is to end."""
        self._free.wait()  # left by go_on and by cancel

    def enter(self, phase: Phase) -> None:
        """From the thread: what it is about to do."""
        self.phase_from = self._clock()
        self.phase = phase
        self._last_picture = self.phase_from if phase is not Phase.DELIVERING else self._last_picture

    def back_to_reading(self, was_picture: bool) -> None:
        """From the thread, after a delivery: only pictures count as a sign of life."""
        if was_picture:
            self._last_picture = self._clock()
        self.phase_from = self._last_picture
        self.phase = Phase.READING
