"""Gives pictures out at the speed they were taken, where they come faster: from files, or in lumps."""

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


_HASTE = 0.8  # share of the time between two pictures after which the next may come while late ones are caught up with
_LONGEST_STEP_S = 1.0  # a longer one is a hole or a jump of the time stamps, and nothing to wait out


class LivePacer:
    """The same for a live stream that comes in lumps: late pictures are caught up with gradually, not in a burst.

    So a jitter of a lump costs a hand-over of two pictures nothing. Wants every picture, the ones left out too.
    """

    def __init__(self, wait: Callable[[float], object], clock: Callable[[], float]) -> None:
        self._wait = wait
        self._clock = clock
        self._zero = 0.0  # clock at media time 0
        self._last_media_s: float | None = None
        self._given = 0.0  # when the last picture was

    def wait_until(self, media_s: float) -> None:
        """Returns when this media time has come; at once for the first picture, one very late, and behind a hole."""
        now = self._clock()
        step_s = None if self._last_media_s is None else media_s - self._last_media_s
        self._last_media_s = media_s
        early_s = self._zero + media_s - now
        if step_s is None or not 0 < step_s <= _LONGEST_STEP_S or early_s < -_TOO_LATE_S:
            self._zero = now - media_s
        elif (wait_s := max(early_s, self._given + _HASTE * step_s - now)) > 0:
            self._wait(wait_s)
        self._given = self._clock()
