"""Gives recorded pictures out at the speed they were taken."""

from __future__ import annotations

from collections.abc import Callable

_TOO_LATE_S = 1.0  # behind a longer hold-up the rhythm starts anew instead of catching up in a burst


class Pacer:
    """Waits for the moment of each picture. `wait` sleeps for so many seconds and may be left early."""

    def __init__(self, wait: Callable[[float], object], clock: Callable[[], float]) -> None:
        self._wait = wait
        self._clock = clock
        self._zero: float | None = None  # clock at media time 0

    def wait_until(self, media_s: float) -> None:
        """Returns when this media time has come; at once for the first picture, a late one, and a jump back."""
        now = self._clock()
        early_s = 0.0 if self._zero is None else self._zero + media_s - now
        if self._zero is None or early_s < -_TOO_LATE_S:
            self._zero = now - media_s
        elif early_s > 0:
            self._wait(early_s)
