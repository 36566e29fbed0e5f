"""Which pictures to take: a target rate, and how far reading is behind."""

from __future__ import annotations

_SLACK = 0.25  # of one target interval: time stamps rounded to milliseconds must not cost a picture
_PULL = 0.2  # of the way to its turn, with each picture: no step is seen
_NEAR_ENOUGH = 0.6  # of the time between two pictures of the source: none lies nearer


class RateSampler:
    """Takes pictures at `fps` on average from a faster stream; all of a slower one, or of any if None.

    `turn`: where in the interval they are to be taken, 0..1 by the wall clock; see `Turns`.
    """

    def __init__(self, fps: float | None, turn: float = 0.0) -> None:
        self._interval_s = 1.0 / fps if fps else 0.0
        self._turn = turn
        self._due: float | None = None
        self._offered: float | None = None  # the picture before, taken or not

    def take(self, at_s: float, wall_s: float | None = None) -> bool:
        """True if the picture at this time is wanted. A jump of time starts the rhythm anew.

        With `wall_s`, when it came, the rhythm is drawn to its turn; the camera's own clock may run as it likes.
        """
        if not self._interval_s:
            return True
        before, self._offered = self._offered, at_s
        if self._due is None or not -2 * self._interval_s < at_s - self._due < self._interval_s:
            self._due = at_s
        if at_s + _SLACK * self._interval_s < self._due:
            return False
        self._due += self._interval_s
        if wall_s is not None and before is not None:
            late_s = self._late_s(wall_s)
            self._due -= _PULL * late_s if abs(late_s) > _NEAR_ENOUGH * abs(at_s - before) else 0.0
        return True

    def _late_s(self, wall_s: float) -> float:
        """How far behind its turn a picture came, at most half an interval either way."""
        return ((wall_s / self._interval_s - self._turn + 0.5) % 1.0 - 0.5) * self._interval_s


class Lag:
    """How late packets are read, by their own time stamps.

    Measured against the least delay of the last window or two, so that two clocks drifting apart over days do not
    look like a backlog.
    """

    def __init__(self, window_s: float = 300.0) -> None:
        self._window_s = window_s
        self._least = float("inf")
        self._least_before = float("inf")
        self._window_from: float | None = None

    def behind_s(self, media_s: float, now_s: float) -> float:
        """Seconds the packet with this time stamp came later than the promptest one did."""
        delay = now_s - media_s
        if self._window_from is None or now_s - self._window_from > self._window_s:
            self._window_from, self._least_before, self._least = now_s, self._least, delay
        self._least = min(self._least, delay)
        return delay - min(self._least, self._least_before)

    def restart(self) -> None:
        """Forgets all: the stream's time stamps jumped."""
        self._least = self._least_before = float("inf")
        self._window_from = None


class KeyframesOnly:
    """Says when to leave out everything but keyframes: on above `limit_s` behind, off again below half of it."""

    def __init__(self, limit_s: float | None) -> None:
        self._limit_s = limit_s
        self._lag = Lag()
        self._skipping = False
        self._last_media_s: float | None = None

    def skip(self, media_s: float | None, now_s: float, keyframe: bool) -> bool:
        """True if this packet must not be decoded."""
        if self._limit_s is None or media_s is None:
            return False
        # B-frames step back by less; a camera whose clock was set back would be taken for late for minutes.
        if self._last_media_s is not None and not -2.0 < media_s - self._last_media_s <= 10.0:
            self._lag.restart()
        self._last_media_s = media_s
        behind = self._lag.behind_s(media_s, now_s)
        if behind > self._limit_s:
            self._skipping = True
        elif keyframe and behind < self._limit_s / 2:
            self._skipping = False  # only at a keyframe: what lies between needs the pictures left out
        return self._skipping and not keyframe
