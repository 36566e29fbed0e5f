"""When a picture was taken: the camera's clock where it can be believed, ours otherwise, the file's for files."""

from __future__ import annotations

import logging

from stages.values import Clock

logger = logging.getLogger(__name__)

_LONGEST_GAP_S = 10.0  # a longer step of the time stamps is a jump of its clock, not time that passed
_SLEW = 0.2  # share of the time between two pictures by which a better knowledge of the clock may move the second
_TOO_FAR_S = 2.0  # further ahead than this it jumps: moving there slowly would date pictures wrong too long
_LEAST_STEP_S = 0.02  # between two pictures of which only one has a time stamp: a first one often has none
_SETTLED_S = 0.02  # nearer to the camera's clock than this, a time is called the camera's
_LEAK = 2e-4  # how fast the least delay seen may rise again: camera clocks run off by less


class CaptureClock:
    """Capture times of one live run: arrival until the first sender report, the camera's clock from then on.

    Times keep the pace of the camera's time stamps, whatever the network does to arrivals, and never go back: speeds
    are measured on them. When the clock comes to be known better, they move over by a fifth of the time that passes.
    `max_skew_s` is how far the camera's clock may differ from ours and still be used.
    """

    def __init__(self, name: str, max_skew_s: float) -> None:
        self._name = name
        self._max_skew_s = max_skew_s
        self._offset_s: float | None = None  # camera's wall clock minus media time
        self._least_delay_s: float | None = None  # least arrival time minus media time
        self._refused = False
        self._last_at = float("-inf")
        self._last_media_s: float | None = None

    def reported(self, camera_wall_s: float, media_s: float, arrived_s: float) -> None:
        """Takes what a sender report says: this media time was taken at this time of the camera's clock."""
        skew = camera_wall_s - arrived_s
        if abs(skew) <= self._max_skew_s:
            self._offset_s, self._refused = camera_wall_s - media_s, False
            return
        self._offset_s = None
        if not self._refused:
            self._refused = True
            logger.warning(
                "camera %s: its clock differs from ours by %.1f s (limit %.1f s); using arrival times until it is set",
                self._name, skew, self._max_skew_s,
            )  # fmt: skip

    def at(self, media_s: float | None, arrived_s: float) -> tuple[float, Clock]:
        """Unix seconds at which the picture was taken, and whose clock says so."""
        step = None if media_s is None or self._last_media_s is None else media_s - self._last_media_s
        if step is not None and not 0 < step <= _LONGEST_GAP_S:
            step = self._least_delay_s = self._offset_s = None  # the time stamps jumped: what they meant is over
        self._last_media_s = media_s
        clock, known = self._known(media_s, arrived_s, step)
        at = self._moved_over(known, step)
        self._last_at = at
        return at, clock if clock is Clock.ARRIVAL or abs(at - known) < _SETTLED_S else Clock.ARRIVAL

    def _known(self, media_s: float | None, arrived_s: float, step: float | None) -> tuple[Clock, float]:
        """The best that is known of when the picture was taken."""
        if media_s is None:
            return Clock.ARRIVAL, arrived_s
        if self._offset_s is not None:
            if abs(media_s + self._offset_s - arrived_s) <= self._max_skew_s + _LONGEST_GAP_S:
                return Clock.RTCP, media_s + self._offset_s
            self._offset_s = None  # the time stamps jumped since the last report
        delay = arrived_s - media_s
        if self._least_delay_s is not None:
            delay = min(delay, self._least_delay_s + _LEAK * (step or 0.0))
        self._least_delay_s = delay
        return Clock.ARRIVAL, media_s + delay

    def _moved_over(self, known: float, step: float | None) -> float:
        if step is None:
            return max(known, self._last_at + _LEAST_STEP_S)
        in_pace = self._last_at + step
        if known - in_pace > _TOO_FAR_S:
            return known
        return in_pace + min(max(known - in_pace, -_SLEW * step), _SLEW * step)


class MediaClock:
    """Seconds since the run began, by a file's time stamps; rises through missing, jumping and repeated ones."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._now_s = -interval_s
        self._last_pts_s: float | None = None

    def at(self, pts_s: float | None) -> float:
        """Media seconds of the next picture."""
        step = self._interval_s
        if pts_s is not None and self._last_pts_s is not None and 0 < pts_s - self._last_pts_s <= _LONGEST_GAP_S:
            step = pts_s - self._last_pts_s
        self._last_pts_s = pts_s
        self._now_s += step
        return self._now_s

    def go_to(self, media_s: float) -> None:
        """The next picture is the one at this time, not the first."""
        self._now_s = media_s - self._interval_s

    def new_loop(self) -> None:
        """The file starts over: the next picture follows one interval after the last."""
        self._last_pts_s = None
